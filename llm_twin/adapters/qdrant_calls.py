"""Calls to a Qdrant server: connected with care for the key, retried, their errors put for people."""

from __future__ import annotations

import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from llm_twin.errors import MissingDependency, StoreError

TIMEOUT_S = 30  # of one request; a batch takes well under a second where the server is not overloaded
_TRIES = 4
_PAUSE_S = 0.5  # before the second try, doubled each time: 3.5 s in all
_BUSY = {408, 425, 429, 500, 502, 503, 504}
_KEY_REFUSED = {401, 403}


class Calls:
    """A client whose calls are tried again after what passes by itself: every one of ours may be repeated.

    Args:
        client: a `qdrant_client.QdrantClient`.
        url: of the server, for messages.
        secret: what no message may hold.
        pause_s: before the second try; doubled for each that follows.
    """

    def __init__(self, client: Any, url: str, secret: str | None = None, pause_s: float = _PAUSE_S) -> None:
        self._client = client
        self.url = url
        self._secret = secret
        self._pause_s = pause_s

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """What the client's method answers. Raises StoreError."""
        for left in reversed(range(_TRIES)):
            try:
                return getattr(self._client, method)(*args, **kwargs)
            except _client_errors() as error:
                if not left or not _passes(error):
                    raise self._explained(error) from None
                time.sleep(self._pause_s * 2 ** (_TRIES - 1 - left))
        raise AssertionError("unreachable")

    def _explained(self, error: Exception) -> StoreError:
        status = _status(error)
        if status in _KEY_REFUSED or status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            return StoreError(
                f"The Qdrant server {self.url} refused the API key",
                "Put a valid one into the environment variable that store.api_key_env names",
            )
        reason = " ".join(str(_source(error)).split())
        if self._secret:
            reason = reason.replace(self._secret, "***")
        if _passes(error):
            return StoreError(
                f"The Qdrant server {self.url} did not answer, tried {_TRIES} times ({reason[:160]})",
                "Check store.url and that the server runs",
            )
        return StoreError(f"The Qdrant server {self.url} refused a request ({reason[:300]})", "See its log")


def connect(
    url: str,
    api_key: str | None = None,
    grpc: bool = False,
    grpc_port: int = 6334,
    timeout_s: int = TIMEOUT_S,
) -> Calls:
    """A client of the server at `url`; nothing is sent yet.

    Raises StoreError where the key would travel unencrypted, and MissingDependency.
    """
    if api_key and urlsplit(url).scheme != "https" and not _loopback(urlsplit(url).hostname or ""):
        raise StoreError(
            f"store.url {url} would carry the API key unencrypted", "Use https, or a server on this machine"
        )
    try:
        from qdrant_client import QdrantClient
    except ImportError:
        raise MissingDependency(
            "store.kind qdrant needs the package qdrant-client", "Install it: pip install 'llm-twin[qdrant]'"
        ) from None
    client = QdrantClient(
        url=url,
        prefer_grpc=grpc,
        grpc_port=grpc_port,
        timeout=timeout_s,
        # Not as `api_key`, which warns on loopback too; the header is the same.
        headers={"api-key": api_key} if api_key else None,
        check_compatibility=False,  # asks the server from a thread and warns on its own
    )
    return Calls(client, url, secret=api_key)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client_errors() -> tuple[type[Exception], ...]:
    from grpc import RpcError
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    return (ApiException, QdrantException, RpcError)


def _source(error: Any) -> Any:
    """What lies behind the client's wrapper: the transport's error, or the gRPC status in words."""
    if hasattr(error, "details") and callable(error.details):
        return error.details()
    return getattr(error, "source", error)


def _status(error: Any) -> int | str | None:
    """HTTP status, or the name of the gRPC status; None where there was no answer."""
    if hasattr(error, "code") and callable(error.code):
        return str(error.code().name)
    found = getattr(error, "status_code", None)
    return found if found is None else int(found)


def _passes(error: Any) -> bool:
    """Whether the same call may succeed a moment later."""
    from httpx import TransportError
    from qdrant_client.common.client_exceptions import ResourceExhaustedResponse

    if isinstance(error, ResourceExhaustedResponse) or isinstance(_source(error), TransportError):
        return True
    return _status(error) in _BUSY | {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL"}
