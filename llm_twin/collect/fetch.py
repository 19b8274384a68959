"""The polite client: asks one site for pages, slowly enough, within bounds, and never twice for the same
bytes.

robots.txt is read as RFC 9309 says, with the crawl-delay that many sites add. Every hop of a redirect passes
the same checks as the first address. Answers are read as a stream that stops at `max_bytes` after
decompression; only gzip and deflate are asked for, because their output can be bounded while it is made.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from llm_twin.collect import urls
from llm_twin.collect.addresses import AddressRefused, PinnedTransport, Resolve, system_resolve
from llm_twin.collect.httpcache import HttpCache, Kept
from llm_twin.config import Collect

if TYPE_CHECKING:
    from protego import Protego

MAX_REDIRECTS = 8
_TRIES = 4  # of a request that is answered with 429 or 503
_LONGEST_WAIT_S = 60.0  # of one back-off, whatever Retry-After asks for
_SLOW = 6  # an answer may take this many timeouts in all, so that one byte a second cannot hold a crawl
_ROBOTS_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB must be read
_DRAINED = 64 * 1024  # bytes of an unused answer that are cheaper to read than a new connection
_BUSY = frozenset({429, 503})
_GONE = {404: "not found (404)", 410: "gone (410)"}
_REDIRECT = frozenset({301, 302, 303, 307, 308})


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
    """An answer of status 200. `url` is what gave it, after redirects; `unchanged` means a 304."""

    asked: str
    url: str
    content_type: str
    body: bytes
    unchanged: bool


class Client:
    """Fetches for one crawl; a context manager. `requests` counts every request that was sent.

    Args:
        sleep: how to wait, in seconds.
        resolve: how names become addresses.
    """

    def __init__(
        self,
        config: Collect,
        cache: HttpCache,
        resolve: Resolve = system_resolve,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._cache = cache
        self._sleep = sleep
        self._robots: dict[str, Protego] = {}
        self._asked_at: dict[str, float] = {}
        self.requests = 0
        self._http = httpx.Client(
            transport=PinnedTransport(config.allow_private, resolve),
            timeout=config.timeout_s,
            follow_redirects=False,
            headers={
                "User-Agent": config.user_agent,
                "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
                "Accept-Encoding": "gzip, deflate",
            },
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, url: str) -> Fetched:
        """The page at an address, or at the one it redirects to. Raises Refused with the reason."""
        return self._follow(url, self._config.max_bytes, self._check_robots)

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the host's robots.txt names. Raises Refused where it cannot be read."""
        return list(self._rules(url).sitemaps)

    def _follow(self, url: str, limit: int, check: Callable[[str], None]) -> Fetched:
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            check(here)
            answer = self._ask(here, limit)
            if isinstance(answer, Fetched):
                return Fetched(url, here, answer.content_type, answer.body, answer.unchanged)
            target = urls.clean(answer, here)
            if target is None:
                raise Refused(url, "redirect to no http address", answer)
            here = target
        raise Refused(url, "too many redirects", here)

    def _ask(self, url: str, limit: int) -> Fetched | str:
        """One address: its answer, or where it redirects to."""
        kept = self._cache.get(url)
        headers = {}
        if kept and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        for number in range(1, _TRIES + 1):
            try:
                wait = self._once(url, headers, kept, limit)
            except AddressRefused as error:
                raise Refused(url, "private address", str(error)) from None
            except httpx.TimeoutException:
                raise Refused(url, "timed out", f"{self._config.timeout_s:g} s") from None
            except (httpx.RemoteProtocolError, httpx.ReadError) as error:
                if number == 2:  # once is a kept connection that the server had closed; twice is the server
                    raise Refused(url, "connection broken", str(error)) from None
                continue
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise Refused(url, "unreachable", _plain(error)) from None
            if not isinstance(wait, float):
                return wait
            if number < _TRIES:
                self._sleep(min(wait or 2.0 ** (number - 1), _LONGEST_WAIT_S))
        raise Refused(url, "server busy", f"asked {_TRIES} times")

    def _once(
        self, url: str, headers: dict[str, str], kept: Kept | None, limit: int
    ) -> Fetched | str | float:
        """Send one request: its answer, a redirect's target, or the seconds to wait (0.0 where unsaid)."""
        self._pause(url)
        self.requests += 1
        with self._http.stream("GET", url, headers=headers) as answer:
            status = answer.status_code
            if status != 200:
                _drain(answer)
            if status == 304 and kept:
                return Fetched(url, url, kept.content_type, kept.body, unchanged=True)
            if status in _BUSY:
                return _retry_after(answer.headers.get("Retry-After"))
            if status in _REDIRECT:
                return str(answer.headers.get("Location", ""))
            if status != 200:
                if status in _GONE:
                    self._cache.drop(url)
                raise Refused(url, _GONE.get(status, f"http status {status}"), status=status)
            body = self._read(url, answer, limit)
            content_type = answer.headers.get("Content-Type", "")
            etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        self._cache.put(Kept(url, etag, modified, content_type, body))
        return Fetched(url, url, content_type, body, unchanged=False)

    def _read(self, url: str, answer: httpx.Response, limit: int) -> bytes:
        deadline = time.monotonic() + _SLOW * self._config.timeout_s
        parts: list[bytes] = []
        size = 0
        for part in _decoded(url, answer):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise Refused(url, "too large", f"more than {limit} bytes")
            if time.monotonic() > deadline:
                raise Refused(url, "too slow", f"more than {_SLOW * self._config.timeout_s:g} s")
        return b"".join(parts)

    def _pause(self, url: str) -> None:
        host = urlsplit(url).netloc
        delay = self._config.delay_s
        if rules := self._robots.get(_origin(url)):
            delay = max(delay, min(float(rules.crawl_delay(self._agent) or 0), _LONGEST_WAIT_S))
        left = self._asked_at.get(host, -delay) + delay - time.monotonic()
        if host in self._asked_at and left > 0:
            self._sleep(left)
        self._asked_at[host] = time.monotonic()

    @property
    def _agent(self) -> str:
        return self._config.user_agent.split("/")[0].strip()

    def _check_robots(self, url: str) -> None:
        if not self._rules(url).can_fetch(url, self._agent):
            raise Refused(url, "robots.txt forbids it")

    def _rules(self, url: str) -> Protego:
        from protego import Protego

        origin = _origin(url)
        if origin not in self._robots:
            try:
                text = self._follow(f"{origin}/robots.txt", _ROBOTS_BYTES, lambda _: None).body
            except Refused as refused:
                if not 400 <= refused.status < 500:  # RFC 9309, 2.3.1.4: rules that cannot be had forbid all
                    raise
                text = b""
            self._robots[origin] = Protego.parse(text.decode("utf-8", "replace"))
        return self._robots[origin]


def _drain(answer: httpx.Response) -> None:
    """Read a short answer that is not used to its end, so that its connection can be used again."""
    size = 0
    for part in answer.iter_raw():
        size += len(part)
        if size > _DRAINED:
            return


def _origin(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


def _decoded(url: str, answer: httpx.Response) -> Iterator[bytes]:
    """The body decompressed in pieces of bounded size."""
    coding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        yield from answer.iter_raw()
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(url, "unknown compression", coding)
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
    first = True
    try:
        for raw in answer.iter_raw():
            if first and coding == "deflate" and raw[:1] and raw[0] & 0x0F != 8:
                inflate = zlib.decompressobj(
                    wbits=-zlib.MAX_WBITS
                )  # without zlib's header, as some servers send
            first = False
            while raw:
                yield inflate.decompress(raw, 1 << 16)
                raw = inflate.unconsumed_tail
    except zlib.error as error:
        raise Refused(url, "broken compression", str(error)) from None


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for; 0.0 where it says nothing that can be read."""
    if value is None:
        return 0.0
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
