"""A small real web server for the tests of the collector."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llm_twin.config import Collect


@dataclass
class Answer:
    """One answer: what is sent for a path."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """A running server. `pages` may change while it runs; `log` holds (path, status) of every request."""

    base: str
    pages: dict[str, Answer | str | Callable[[int], Answer]]
    log: list[tuple[str, int]]
    agents: set[str]

    def asked(self, path: str) -> int:
        return sum(p == path for p, _ in self.log)

    def html(self, path: str, body: str, head: str = "") -> None:
        page = f"<!DOCTYPE html><html><head>{head}</head><body>{body}</body></html>"
        self.pages[path] = Answer(page, headers={"Content-Type": "text/html; charset=utf-8"})


@pytest.fixture
def site() -> Iterator[Site]:
    """A server on loopback that answers from `site.pages`, with ETags, and 404 for all else."""
    found: Site

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            entry = found.pages.get(self.path, Answer("not here", 404))
            answer = entry(found.asked(self.path)) if callable(entry) else entry
            if isinstance(answer, str):
                answer = Answer(answer)
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            headers = {"Content-Type": "text/html", **answer.headers}
            status = answer.status
            if status == 200:
                headers["ETag"] = tag
                if self.headers.get("If-None-Match") == tag:
                    status, body = 304, b""
            found.log.append((self.path, status))
            found.agents.add(self.headers.get("User-Agent", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client had read enough

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Site(f"http://127.0.0.1:{server.server_port}", {}, [], set())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def local() -> Collect:
    """The collector's configuration for servers on loopback."""
    return Collect(allow_private=True, timeout_s=5)
