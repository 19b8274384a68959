"""The polite client: asks one site for pages, slowly enough, within bounds, and never twice for the same
bytes.

Every hop of a redirect passes the same checks as the first address: robots.txt, and the address that its host
stands for. An answer is bounded in bytes, before and after decompression, and in time, from the connection to
its last byte. Threads may share a client; it never asks for one address twice in a crawl.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from urllib.parse import urlsplit

import httpcore

from llm_twin.collect import urls
from llm_twin.collect.web import inflate, robots
from llm_twin.collect.web.addresses import Pinned, Resolve, system_resolve
from llm_twin.collect.web.answer import Fetched as Fetched
from llm_twin.collect.web.answer import Refused as Refused
from llm_twin.collect.web.answer import body, drain, header, refusal, retry_after
from llm_twin.collect.web.dial import Dialer
from llm_twin.collect.web.httpcache import HttpCache, Kept
from llm_twin.collect.web.pace import Clock, Pace
from llm_twin.config import Collect

MAX_REDIRECTS = 8
_TRIES = 4  # of a request that is answered with 429 or 503
_SLOW = 6  # an answer may take this many timeouts in all, so that one byte a second cannot hold a crawl
_IDLE_S = 5.0  # that a connection is kept between two requests
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"
_BUSY = frozenset({429, 503})
_GONE = {404: "not found (404)", 410: "gone (410)"}
_REDIRECT = frozenset({301, 302, 303, 307, 308})
_FOR_GOOD = frozenset({301, 308})


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
            ssl_context=_certificates(),
            max_connections=config.concurrency + 1,
            keepalive_expiry=_IDLE_S,
            network_backend=self._dialer,
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
        here, for_good = url, True
        for _ in range(MAX_REDIRECTS + 1):
            limits.check(here)
            if target := self._cache.moved_to(here):
                remembered.append(here)
            else:
                answer = self._ask(here, limits)
                if isinstance(answer, Fetched):
                    return replace(answer, asked=url, for_good=for_good and here != url)
                target = answer
                for_good = for_good and self._cache.moved_to(here) is not None
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
                except Exception as error:
                    # Once is a kept connection that the server had closed; twice is the server.
                    if broken or not isinstance(error, httpcore.RemoteProtocolError | httpcore.ReadError):
                        raise refusal(url, error) from None
                    broken = True
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
                    drain(answer)
                    self._pace.busy(host, asked_at, retry_after(header(answer, b"retry-after")))
                    return None
                self._pace.answered(host)
                return self._take(url, answer, kept, limits)

    def _take(self, url: str, answer: httpcore.Response, kept: Kept | None, limits: _Limits) -> Fetched | str:
        status = answer.status
        if status != 200:
            drain(answer)
        if status == 304 and kept:
            self._answered.add(url)
            return Fetched(url, url, kept.content_type, kept.body, unchanged=True)
        if status in _REDIRECT:
            return self._moved(url, status, header(answer, b"location"))
        if status != 200:
            if status in _GONE:
                self._cache.drop(url)
                if limits.guessed:
                    self._cache.note(url, status)
            raise Refused(url, _GONE.get(status, f"http status {status}"), status=status)
        new = Kept(
            url,
            header(answer, b"etag") or None,
            header(answer, b"last-modified") or None,
            header(answer, b"content-type"),
            body(answer, limits.max_bytes),
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


@cache
def _certificates() -> ssl.SSLContext:
    # Reading the trusted authorities takes 35 ms, and httpcore would do it for every connection.
    return httpcore.default_ssl_context()


def _host(url: str) -> str:
    return urlsplit(url).netloc
