"""What is refused before a request reaches the twin: foreign hosts and origins, large bodies, a wrong key.

A server on loopback is not private by itself: any web page can have a name of its own resolve to 127.0.0.1
(DNS rebinding) and read answers, or send requests blindly from another origin. Both carry a Host or an Origin
that is not this machine's. Others on the network carry neither; what keeps them out is a key.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_twin.inference import wire

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})
ASKS = 'Basic realm="LLM Twin", charset="UTF-8"'  # a browser then asks its user for the key


def is_loopback(host: str) -> bool:
    """Whether a host to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def allowed(authority: str, hosts: Collection[str]) -> bool:
    """Whether "name", "name:port" or "[address]:port" names this machine.

    `hosts` are the names to accept beside loopback. Where they hold 0.0.0.0 or ::, any plain address is
    accepted too: rebinding needs a name.
    """
    try:
        parts = urlsplit(f"//{authority}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not name or parts.path or parts.query or parts.fragment or parts.username is not None:
        return False
    if name in LOOPBACK or name in {h.strip("[]").lower() for h in hosts} - ANY_ADDRESS:
        return True
    return not ANY_ADDRESS.isdisjoint(hosts) and _is_address(name)


def holds(authorization: str, key: str) -> bool:
    """Whether an Authorization header brings the key: as a Bearer's, or as the password of a browser."""
    scheme, _, given = authorization.partition(" ")
    sent = given.strip().encode("latin-1")  # as `Guard` decodes headers: the bytes that came
    if scheme.lower() == "basic":
        try:
            sent = base64.b64decode(sent).partition(b":")[2]
        except ValueError:
            return False
    elif scheme.lower() != "bearer":
        return False
    return secrets.compare_digest(sent, key.encode())


def _authority(origin: str) -> str:
    """The part of an origin that names a machine; "" where there is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware; answers in the API's error form."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Collection[str] = (),
        max_bytes: int = 1_000_000,
        key: str | None = None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._max_bytes = max_bytes
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401, 403 or 413."""
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        refused = self._refused(headers)
        if refused is not None:
            status, message, code = refused
            asks = {"WWW-Authenticate": ASKS} if status == 401 else None
            await JSONResponse(wire.error(message, status, code), status, asks)(scope, receive, send)
            return
        await self._app(scope, self._bounded(receive), send)

    def _refused(self, headers: dict[str, str]) -> tuple[int, str, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not allowed(host, self._hosts):
            return (
                403,
                f"Host {host!r} is not this server's name; use localhost or set serve.host.",
                "host_refused",
            )
        if origin is not None and not allowed(_authority(origin), self._hosts):
            return 403, f"Origin {origin!r} may not use this server.", "origin_refused"
        if self._key is not None and not holds(headers.get("authorization", ""), self._key):
            return 401, "Send the key as 'Authorization: Bearer KEY', or as a password.", "invalid_api_key"
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._max_bytes:
            return 413, self._too_large, "body_too_large"
        return None

    @property
    def _too_large(self) -> str:
        return f"The body is larger than {self._max_bytes} bytes."

    def _bounded(self, receive: Receive) -> Receive:
        """Count what is read: a body sent in pieces names no length."""
        from starlette.exceptions import HTTPException

        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise HTTPException(413, self._too_large)
            return message

        return counted
