"""The connections of a crawl: to pinned addresses only, within a time in all, and cut at once when it ends.

Proxies of the environment are not used: they would resolve names again.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore

from llm_twin.collect.web.addresses import Pinned


class Overdue(httpcore.TimeoutException):
    """An exchange took longer than it may in all, however steadily its bytes came in."""


class Dialer(httpcore.NetworkBackend):
    """Opens connections for an httpcore pool; threads may share it.

    The host's name stays in the Host header and in the TLS handshake, so certificates are checked as ever.
    """

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned
        self._here = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._ended = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first pinned address that answers. Raises AddressRefused."""
        try:
            addresses = self._pinned.of(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._connect(address, port, timeout)
        return self._connect(addresses[-1], port, timeout)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound all that this thread sends and receives in the block together. Raises Overdue."""
        self._here.seconds = seconds
        self._here.until = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._here.until

    def cut(self) -> None:
        """End every connection, also those that other threads wait on, and open no more."""
        with self._lock:
            self._ended = True
            for sock in self._open:
                with suppress(OSError):
                    # The plain socket's own: TLS would lose its state below a reading thread.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def hold(self, sock: socket.socket) -> None:
        """Remember a socket for `cut`."""
        with self._lock:
            if self._ended:
                sock.close()
                raise httpcore.ConnectError("the crawl has ended")
            self._open.add(sock)

    def left(self, timeout: float | None) -> float | None:
        """Seconds that the next step may take."""
        until = getattr(self._here, "until", None)
        if until is None:
            return timeout
        left: float = until - time.monotonic()
        if left <= 0:
            raise Overdue(f"more than {self._here.seconds:g} s")
        return left if timeout is None else min(timeout, left)

    @contextmanager
    def step(self, late: type[Exception], failed: type[Exception]) -> Iterator[None]:
        """Give the errors of a socket the names that httpcore has for them."""
        try:
            yield
        except TimeoutError as error:
            self.left(None)
            raise late(str(error)) from error
        except (OSError, ValueError) as error:  # ValueError: cut during a handshake
            raise failed(str(error)) from error

    def _connect(self, address: str, port: int, timeout: float | None) -> _Line:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        self.hold(sock)
        try:
            with self.step(httpcore.ConnectTimeout, httpcore.ConnectError):
                sock.settimeout(self.left(timeout))
                sock.connect((address, port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return _Line(self, sock)


class _Line(httpcore.NetworkStream):
    """One connection."""

    def __init__(self, dialer: Dialer, sock: socket.socket) -> None:
        self._dialer = dialer
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._dialer.step(httpcore.ReadTimeout, httpcore.ReadError):
            self._sock.settimeout(self._dialer.left(timeout))
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._dialer.step(httpcore.WriteTimeout, httpcore.WriteError):
            self._sock.settimeout(self._dialer.left(timeout))
            self._sock.sendall(buffer)

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            with self._dialer.step(httpcore.ConnectTimeout, httpcore.ConnectError):
                self._sock = ssl_context.wrap_socket(
                    self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
                )
                self._dialer.hold(self._sock)
                self._sock.settimeout(self._dialer.left(timeout))
                self._sock.do_handshake()
        except BaseException:
            self.close()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object" and isinstance(self._sock, ssl.SSLSocket):
            return self._sock
        if info == "is_readable":  # between two answers: the server has closed
            if self._sock.fileno() < 0:
                return True
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                return bool(selector.select(0))
        return None
