"""Manners: how many requests a host gets at once, how long it is left alone, and what it means by "busy"."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LONGEST_WAIT_S = 60.0  # of one pause; a host that asks for more is not asked again meanwhile
_LONGEST_DOUBLING = 10  # of the back-off's seconds, far beyond the longest wait


class Stopped(Exception):
    """The crawl has ended while something of it was waiting."""


class HostBusy(Exception):
    """The host asked to be left alone for longer than a crawl waits; the message says how long."""


class Clock:
    """Time as a crawl sees it, in seconds."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def now(self) -> float:
        """Seconds from some fixed moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises Stopped as soon as the crawl ends."""
        if self._stopped.wait(seconds):
            raise Stopped

    def stop(self) -> None:
        """End every wait."""
        self._stopped.set()


@dataclass(slots=True)
class _Host:
    free_at: float = 0.0
    in_flight: int = 0
    busy_since: float = -1.0
    refusals: int = 0  # one after another
    was_busy: bool = False


class Pace:
    """The turns of a crawl's requests, host by host; threads may share it.

    Args:
        at_once: requests in flight to one host, where it has not asked for less.
    """

    def __init__(self, at_once: int, clock: Clock) -> None:
        self._at_once = at_once
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._changed = threading.Condition()
        self._stopped = False

    def at_once(self, host: str, delay_s: float) -> int:
        """How many requests may be in flight; one where pauses are kept, or once the host was busy."""
        known = self._hosts.get(host)
        return 1 if delay_s > 0 or (known and known.was_busy) else self._at_once

    @contextmanager
    def turn(self, host: str, delay_s: float) -> Iterator[None]:
        """Wait for a request's turn, and hold it; the pause begins when the answer has been read.

        Raises HostBusy at once where the wait would be longer than `LONGEST_WAIT_S`, and Stopped.
        """
        with self._changed:
            known = self._hosts.setdefault(host, _Host(free_at=self._clock.now()))
            while known.in_flight >= self.at_once(host, delay_s) and not self._stopped:
                self._changed.wait()
            known.in_flight += 1
        try:
            self._wait(known)
            try:
                yield
            finally:
                known.free_at = max(known.free_at, self._clock.now() + delay_s)
        finally:
            with self._changed:
                known.in_flight -= 1
                self._changed.notify_all()

    def busy(self, host: str, asked_at: float, wait_s: float) -> None:
        """Note that the host answered 429 or 503: all requests to it wait.

        Args:
            asked_at: when the request was sent; several that were in flight together count once.
            wait_s: what the host asks for; 0 where it does not say, then a second, doubled each time.
        """
        with self._changed:
            known = self._hosts[host]
            known.was_busy = True
            if asked_at >= known.busy_since:
                known.refusals += 1
                known.busy_since = self._clock.now()
            doubled = 2.0 ** min(known.refusals - 1, _LONGEST_DOUBLING)
            known.free_at = max(known.free_at, self._clock.now() + (wait_s or doubled))

    def answered(self, host: str) -> None:
        """Note that the host answered."""
        self._hosts[host].refusals = 0

    def _wait(self, host: _Host) -> None:
        while (left := host.free_at - self._clock.now()) > 0 and not self._stopped:
            if left > LONGEST_WAIT_S:
                raise HostBusy(f"asks to be left alone for {left:.0f} s")
            self._clock.wait(left)
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """End all waiting; no turn is given any more."""
        with self._changed:
            self._stopped = True
            self._clock.stop()
            self._changed.notify_all()
