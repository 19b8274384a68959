"""The twin over HTTP: OpenAI-compatible chat completions, plain and streamed, and a page to talk to it.

    POST /v1/chat/completions   GET /v1/models   GET /v1/models/NAME   GET /healthz   GET /

Importing this module loads FastAPI, so only what serves imports it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from llm_twin.errors import (
    EngineError,
    GateRefused,
    IntegrityError,
    MismatchError,
    MissingDependency,
    StoreError,
    TwinError,
    VersionNotFound,
    WorkspaceError,
    WorkspaceLocked,
)
from llm_twin.inference import wire
from llm_twin.inference.guard import Guard, is_loopback
from llm_twin.inference.reply import Reply
from llm_twin.inference.writer import Writer

LIVE = "twin"  # the model name that means: whatever is live
AT_ONCE = 4  # generations side by side; they share the engine's threads, more would each crawl
KEY = "LLM_TWIN_API_KEY"  # environment variable of the key that requests must bring, if any
MAX_BODY = 1_000_000  # bytes; what fills the context of any base served here is far below
# Nothing is wrong with the request: it is answered when asked again later, or once somebody has seen to it.
_PASSING = (EngineError, StoreError, WorkspaceLocked)
_LASTING = (IntegrityError, MismatchError, MissingDependency, VersionNotFound, WorkspaceError)
_PAGE = Path(__file__).with_name("page.html")

Provider = Callable[[str | None], Writer]


def create_app(
    provider: Provider,
    models: Callable[[], Sequence[str]],
    hosts: Collection[str] = (),
    key: str | None = None,
) -> FastAPI:
    """The application.

    Args:
        provider: gives the writer of a model name ("base", "v3"), or of the live pair for None; called in a
            thread at every request, so that a promotion is followed. VersionNotFound is answered with 404
            where the name is none of `models`.
        models: the names that can be asked for beside "twin"; called at every GET /v1/models.
        hosts: names that a Host header may hold beside localhost, 127.0.0.1 and [::1]; with 0.0.0.0 or ::
            among them, any plain address.
        key: that every request must bring; none must where it is None.
    """
    # The interactive documentation would load its scripts from elsewhere; the schema itself stays.
    app = FastAPI(title="LLM Twin", docs_url=None, redoc_url=None)
    app.add_middleware(Guard, hosts=frozenset(hosts), max_bytes=MAX_BODY, key=key)
    app.add_exception_handler(TwinError, _on_twin_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_bug)
    started, turns = int(time.time()), asyncio.Semaphore(AT_ONCE)
    page = _PAGE.read_text(encoding="utf-8")
    page_headers = {"Content-Security-Policy": _policy(page), "X-Content-Type-Options": "nosniff"}

    def names() -> tuple[str, ...]:
        return LIVE, *models()

    def reply_to(asked: wire.ChatRequest) -> Reply:
        try:
            writer = provider(None if asked.model == LIVE else asked.model)
        except VersionNotFound:
            if asked.model in (known := names()):
                raise  # what is missing is the features, which no client chooses
            raise wire.no_model(asked.model, known) from None
        sampling = asked.sampling(writer.sampling, writer.context)
        return writer.ask(asked.question, asked.history, sampling)

    @app.post("/v1/chat/completions", response_model=None)
    async def chat(asked: wire.ChatRequest, http: Request) -> Response:
        envelope = wire.Envelope(f"chatcmpl-{uuid.uuid4().hex}", int(time.time()), asked.model)
        async with turns:
            reply = await run_in_threadpool(reply_to, asked)
            if not asked.stream:
                await _run(reply, http)
                return JSONResponse(envelope.completion(reply))
        apart = asked.stream_options is not None and asked.stream_options.include_usage
        return _Stream(reply, _events(reply, envelope, apart, turns))

    @app.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return wire.models(await run_in_threadpool(names), started)

    @app.get("/v1/models/{name}")
    async def get_model(name: str) -> dict[str, Any]:
        known = await run_in_threadpool(names)
        if name not in known:
            raise wire.no_model(name, known)
        return wire.model(name, started)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers=page_headers)

    return app


def listen(host: str, port: int, allow_remote: bool = False) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Raises TwinError where the address is not loopback and `allow_remote` is not given, or cannot be bound.
    """
    if not allow_remote and not is_loopback(host):
        raise TwinError(
            f"serve.host = {host} would open the twin to the network",
            f"Use 127.0.0.1, or give --allow-remote and set {KEY} to a secret that others must send",
        )
    address = host.strip("[]")
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if os.name != "nt":  # where it lets another program take the same port
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise TwinError(
            f"{host}:{port} cannot be listened on ({error.strerror})",
            "Choose another by --host or --port; port 0 takes a free one",
        ) from None
    return bound


def announce(url: str) -> None:
    """Print where it listens, at once: the output may be a log that somebody waits for."""
    print(f"Serving on {url} (OpenAI base URL: {url}v1); Ctrl-C ends it", flush=True)


def serve(
    app: FastAPI,
    host: str,
    port: int,
    allow_remote: bool = False,
    listening: Callable[[str], None] = announce,
    start: Callable[[], object] = lambda: None,
) -> None:
    """Serve until Ctrl-C; `listening` gets the address, once `start` has made ready what will answer.

    Raises what `listen` and `start` raise.
    """
    with listen(host, port, allow_remote) as bound:
        start()
        bound.listen()  # whoever is told the address may ask at once
        shown = f"[{host.strip('[]')}]" if ":" in host else host
        listening(f"http://{shown}:{bound.getsockname()[1]}/")
        server(app).run(sockets=[bound])


def server(app: FastAPI) -> uvicorn.Server:
    """The server of `app`, to be run on a socket of `listen`; it logs warnings and errors only."""
    # Answers under way are given a moment at Ctrl-C; a client that never reads must not hold the server for
    # ever.
    settings = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=5)
    return uvicorn.Server(settings)


class _Stream(StreamingResponse):
    """Server-sent events that stop the generation however they end, a client that went away included."""

    def __init__(self, reply: Reply, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._reply = reply
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._events.aclose()
            self._reply.close()


async def _events(
    reply: Reply, envelope: wire.Envelope, usage_apart: bool, turns: asyncio.Semaphore
) -> AsyncGenerator[str, None]:
    yield envelope.role()
    try:
        async with turns:
            async for piece in iterate_in_threadpool(reply):
                yield envelope.delta(piece)
    except TwinError as error:  # the status line is long gone; the stream can still say why it ends
        yield wire.failure(str(error))
        return
    yield envelope.end(reply, usage_apart)


async def _run(reply: Reply, http: Request) -> None:
    try:
        async for _ in iterate_in_threadpool(reply):
            if await http.is_disconnected():
                break
    finally:
        reply.close()


async def _on_twin_error(_: Request, error: Exception) -> JSONResponse:
    status, code, param = 400, None, None
    if isinstance(error, wire.RequestError):
        status, code, param = error.status, error.code, error.param
    elif isinstance(error, GateRefused):
        status = 403
    elif isinstance(error, _PASSING):
        status = 503
    elif isinstance(error, _LASTING):
        status = 500
    return JSONResponse(wire.error(str(error), status, code, param), status)


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # what it is registered for
    return JSONResponse(wire.error(str(error.detail), error.status_code), error.status_code, error.headers)


async def _on_invalid(http: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return await _on_twin_error(http, wire.invalid(error.errors()[0], http.headers.get("content-type", "")))


async def _on_bug(_: Request, __: Exception) -> JSONResponse:
    # The traceback goes to the server's log; it may hold paths and text, so the client is told only that.
    return JSONResponse(wire.error("The server failed on this request; its log says why.", 500), 500)


def _policy(page: str) -> str:
    """A policy that runs the page's own script and style, by their hashes, and loads nothing else."""

    def hashed(tag: str) -> str:
        found = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; connect-src 'self'; script-src {hashed('script')}; "
        f"style-src {hashed('style')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
