"""The polite client: asks one site for pages, slowly enough, within bounds, and never twice for the same
bytes.

Every hop of a redirect passes the same checks as the first address: robots.txt, and the address that its host
stands for. An answer is bounded in bytes, before and after decompression, and in time, from the connection to
its last byte. Threads may share a client; it never asks for one address twice in a crawl.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import urlsplit

import httpcore

from llm_twin.collect import inflate, robots, urls
from llm_twin.collect.addresses import AddressRefused, Pinned, Resolve, system_resolve
from llm_twin.collect.dial import Dialer, Overdue
from llm_twin.collect.httpcache import HttpCache, Kept
from llm_twin.collect.pace import Clock, HostBusy, Pace
from llm_twin.config import Collect

MAX_REDIRECTS = 8
_TRIES = 4  # of a request that is answered with 429 or 503
_SLOW = 6  # an answer may take this many timeouts in all, so that one byte a second cannot hold a crawl
_DRAINED = 64 * 1024  # bytes of an unused answer that are cheaper to read than a new connection
_IDLE_S = 5.0  # that a connection is kept between two requests
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"
_BUSY = frozenset({429, 503})
_GONE = {404: "not found (404)", 410: "gone (410)"}
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_FOR_GOOD = frozenset({301, 308})


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
    """

    asked: str
    url: str
    content_type: str
    body: bytes
    unchanged: bool


@dataclass(frozen=True, slots=True)
class _Limits:
    """How one address is asked: the most bytes, what is checked before, and whether it was only guessed."""

    max_bytes: int
    check: Callable[[str], None]
    guessed: bool = False


class Client:
    """Fetches for one crawl; a context manager, whose end cuts what is still in flight.

    Attributes:
        requests: how many were sent, robots.txt and redirects included.

    Args:
        resolve: how names become addresses.
        clock: what the pauses between requests are measured by.
    """

    def __init__(
        self,
        config: Collect,
        cache: HttpCache,
        resolve: Resolve = system_resolve,
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._cache = cache
        self._clock = clock or Clock()
        self._pace = Pace(config.concurrency, self._clock)
        self._robots = robots.Robots(config.user_agent.split("/")[0].strip(), self._read_robots)
        self._page = _Limits(config.max_bytes, self._check_robots)
        self._guess = _Limits(config.max_bytes, self._check_robots, guessed=True)
        self._lock = threading.Condition()
        self._asking: set[str] = set()
        self._answered: set[str] = set()
        self.requests = 0
        self._workers = ThreadPoolExecutor(config.concurrency, thread_name_prefix="collect")
        self._dialer = Dialer(Pinned(config.allow_private, resolve))
        self._pool = httpcore.ConnectionPool(
            max_connections=config.concurrency + 1, keepalive_expiry=_IDLE_S, network_backend=self._dialer
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pace.stop()
        self._dialer.cut()
        self._workers.shutdown(cancel_futures=True)
        self._pool.close()

    def get(self, url: str) -> Fetched:
        """The page at an address, or at the one it redirects to. Raises Refused with the reason."""
        return self._follow(url, self._page)

    def guess(self, url: str) -> Fetched:
        """The same for an address that nobody named; that nothing is there is remembered for a day."""
        return self._follow(url, self._guess)

    def begin(self, url: str) -> Future[Fetched]:
        """`get` in another thread; `at_once` says how many make sense."""
        return self._workers.submit(self.get, url)

    def at_once(self, url: str) -> int:
        """How many requests to the host of an address may be in flight now."""
        return self._pace.at_once(_host(url), self._delay_s(url))

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the host's robots.txt names. Raises Refused where it cannot be read."""
        return self._robots.sitemaps(url)

    def _follow(self, url: str, limits: _Limits) -> Fetched:
        remembered: list[str] = []
        try:
            return self._hops(url, limits, remembered)
        except Refused:
            if not remembered:
                raise
        for moved in remembered:  # it may have moved once more, or back
            self._cache.forget(moved)
        return self._hops(url, limits, [])

    def _hops(self, url: str, limits: _Limits, remembered: list[str]) -> Fetched:
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            limits.check(here)
            if target := self._cache.moved_to(here):
                remembered.append(here)
            else:
                answer = self._ask(here, limits)
                if isinstance(answer, Fetched):
                    return Fetched(url, here, answer.content_type, answer.body, answer.unchanged)
                target = answer
            here = target
        raise Refused(url, "too many redirects", here)

    def _ask(self, url: str, limits: _Limits) -> Fetched | str:
        """One address: its answer, or where it redirects to."""
        with self._alone(url):
            kept = self._cache.get(url)
            if kept and url in self._answered:
                return Fetched(url, url, kept.content_type, kept.body, unchanged=True)
            if limits.guessed and (status := self._cache.missing(url)):
                raise Refused(url, _GONE[status], status=status)
            broken = False
            for _ in range(_TRIES):
                try:
                    answer = self._once(url, kept, limits)
                except (httpcore.RemoteProtocolError, httpcore.ReadError) as error:
                    if broken:  # once is a kept connection that the server had closed; twice is the server
                        raise Refused(url, "connection broken", _plain(error)) from None
                    broken = True
                except Exception as error:
                    raise self._refusal(url, error) from None
                else:
                    if answer is not None:
                        return answer
            raise Refused(url, "server busy", f"asked {_TRIES} times")

    @contextmanager
    def _alone(self, url: str) -> Iterator[None]:
        """Let a second thread that comes to the same address wait for the answer of the first."""
        with self._lock:
            while url in self._asking:
                self._lock.wait()
            self._asking.add(url)
        try:
            yield
        finally:
            with self._lock:
                self._asking.discard(url)
                self._lock.notify_all()

    def _once(self, url: str, kept: Kept | None, limits: _Limits) -> Fetched | str | None:
        """Send one request: its answer, a redirect's target, or None where the host is busy."""
        host, timeout = _host(url), self._config.timeout_s
        allowed = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        with self._pace.turn(host, self._delay_s(url)), self._dialer.within(_SLOW * timeout):
            asked_at = self._clock.now()
            with self._lock:
                self.requests += 1
            headers = self._headers(host, kept)
            with self._pool.stream("GET", url, headers=headers, extensions={"timeout": allowed}) as answer:
                if answer.status in _BUSY:
                    _drain(answer)
                    self._pace.busy(host, asked_at, _retry_after(_header(answer, b"retry-after")))
                    return None
                self._pace.answered(host)
                return self._take(url, answer, kept, limits)

    def _take(self, url: str, answer: httpcore.Response, kept: Kept | None, limits: _Limits) -> Fetched | str:
        status = answer.status
        if status != 200:
            _drain(answer)
        if status == 304 and kept:
            self._answered.add(url)
            return Fetched(url, url, kept.content_type, kept.body, unchanged=True)
        if status in _REDIRECT:
            return self._moved(url, status, _header(answer, b"location"))
        if status != 200:
            if status in _GONE:
                self._cache.drop(url)
                if limits.guessed:
                    self._cache.note(url, status)
            raise Refused(url, _GONE.get(status, f"http status {status}"), status=status)
        new = Kept(
            url,
            _header(answer, b"etag") or None,
            _header(answer, b"last-modified") or None,
            _header(answer, b"content-type"),
            _body(answer, limits.max_bytes),
        )
        if new != kept:
            self._cache.put(new)
        self._answered.add(url)
        return Fetched(url, url, new.content_type, new.body, kept is not None and new.body == kept.body)

    def _moved(self, url: str, status: int, location: str) -> str:
        target = urls.clean(location, url)
        if target is None:
            raise Refused(url, "redirect to no http address", location)
        if status in _FOR_GOOD and target != url:
            self._cache.note(url, status, target)
        return target

    def _headers(self, host: str, kept: Kept | None) -> list[tuple[bytes | str, bytes | str]]:
        fields = [
            ("Host", host),
            ("User-Agent", self._config.user_agent),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", inflate.ACCEPTED),
            ("If-None-Match", kept.etag if kept else None),
            ("If-Modified-Since", kept.last_modified if kept else None),
        ]
        return [(name, value.encode("latin-1")) for name, value in fields if value]

    def _refusal(self, url: str, error: Exception) -> Exception:
        """What went wrong as a refusal, or the error itself where it is none of an answer."""
        timeout = self._config.timeout_s
        match error:
            case AddressRefused():
                return Refused(url, "private address", str(error))
            case HostBusy():
                return Refused(url, "server busy", str(error))
            case inflate.Undecodable():
                return Refused(url, str(error), error.detail)
            case Overdue():
                return Refused(url, "too slow", f"more than {_SLOW * timeout:g} s")
            case httpcore.TimeoutException():
                return Refused(url, "timed out", f"{timeout:g} s")
            case httpcore.NetworkError() | httpcore.ProtocolError():
                return Refused(url, "unreachable", _plain(error))
        return error

    def _delay_s(self, url: str) -> float:
        return max(self._config.delay_s, self._robots.delay_s(url))

    def _check_robots(self, url: str) -> None:
        if not self._robots.allows(url):
            raise Refused(url, "robots.txt forbids it")

    def _read_robots(self, url: str) -> bytes:
        try:
            return self._follow(url, _Limits(robots.MAX_BYTES, lambda _: None, guessed=True)).body
        except Refused as refused:
            if 400 <= refused.status < 500:
                return b""
            raise  # RFC 9309, 2.3.1.4: rules that cannot be had forbid all


def _body(answer: httpcore.Response, limit: int) -> bytes:
    length = _header(answer, b"content-length")
    if length.isascii() and length.isdecimal() and int(length) > limit:
        raise inflate.Undecodable("too large", f"{length} bytes")
    return b"".join(inflate.decoded(answer.iter_stream(), _header(answer, b"content-encoding"), limit))


def _drain(answer: httpcore.Response) -> None:
    """Read a short answer that is not used to its end, so that its connection can be used again."""
    size = 0
    for part in answer.iter_stream():
        size += len(part)
        if size > _DRAINED:
            return


def _header(answer: httpcore.Response, name: bytes) -> str:
    found = b", ".join(value for key, value in answer.headers if key.lower() == name)
    return found.decode("latin-1").strip()


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for; 0.0 where it says nothing that can be read."""
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _plain(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
