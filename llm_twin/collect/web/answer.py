"""What asking for an address gives: a page, or a refusal with its reason; and how an answer is read."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpcore

from llm_twin.collect.web import inflate
from llm_twin.collect.web.addresses import AddressRefused
from llm_twin.collect.web.dial import Overdue
from llm_twin.collect.web.pace import HostBusy

_DRAINED = 64 * 1024  # bytes of an unused answer that are cheaper to read than a new connection


class Refused(Exception):
    """An address that was not taken; `reason` is a short phrase, the same for all addresses of its kind."""

    def __init__(self, url: str, reason: str, detail: str = "", status: int = 0) -> None:
        self.url = url
        self.reason = reason
        self.detail = detail
        self.status = status
        super().__init__(f"{url}: {reason}" + (f" ({detail})" if detail else ""))


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of status 200. `url` is what gave it, after redirects.

    `unchanged` means that the body is the one that was kept: the server said so, or sent the same again.
    `for_good` means that it was redirected, and that every redirect on the way said that it is permanent.
    """

    asked: str
    url: str
    content_type: str
    body: bytes
    unchanged: bool
    for_good: bool = False


def refusal(url: str, error: Exception) -> Exception:
    """What went wrong as a refusal, or the error itself where it is none of an answer."""
    match error:
        case AddressRefused():
            return Refused(url, "private address", str(error))
        case HostBusy():
            return Refused(url, "server busy", str(error))
        case inflate.Undecodable():
            return Refused(url, str(error), error.detail)
        case Overdue():
            return Refused(url, "too slow", _plain(error))
        case httpcore.TimeoutException():
            return Refused(url, "timed out", _plain(error))
        case httpcore.RemoteProtocolError() | httpcore.ReadError():
            return Refused(url, "connection broken", _plain(error))
        case httpcore.NetworkError() | httpcore.ProtocolError():
            return Refused(url, "unreachable", _plain(error))
    return error


def body(answer: httpcore.Response, limit: int) -> bytes:
    """The body without its codings. Raises inflate.Undecodable, also beyond `limit` bytes."""
    length = header(answer, b"content-length")
    if length.isascii() and length.isdecimal() and int(length) > limit:
        raise inflate.Undecodable("too large", f"{length} bytes")
    return b"".join(inflate.decoded(answer.iter_stream(), header(answer, b"content-encoding"), limit))


def drain(answer: httpcore.Response) -> None:
    """Read a short answer that is not used to its end, so that its connection can be used again."""
    size = 0
    for part in answer.iter_stream():
        size += len(part)
        if size > _DRAINED:
            return


def header(answer: httpcore.Response, name: bytes) -> str:
    """A header by its lower-case name, several of it joined; empty where there is none."""
    found = b", ".join(value for key, value in answer.headers if key.lower() == name)
    return found.decode("latin-1").strip()


def retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for; 0.0 where it says nothing that can be read."""
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
