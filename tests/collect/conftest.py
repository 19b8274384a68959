"""Small real servers for the tests of the collector, and a clock that does not wait."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llm_twin.collect.web import addresses
from llm_twin.collect.web.pace import Clock
from llm_twin.config import Collect


@dataclass
class Answer:
    """What is sent for a path. `stream` is sent piece by piece until the client has had enough."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    stream: Callable[[], Iterable[bytes]] | None = None


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


@contextmanager
def serving(host: str) -> Iterator[Site]:
    """A server that answers from `site.pages`, with ETags, and 404 for all else."""
    found: Site

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes; the second would wait 40 ms

        def do_GET(self) -> None:
            entry = found.pages.get(self.path, Answer("not here", 404))
            answer = entry(found.asked(self.path)) if callable(entry) else entry
            if isinstance(answer, str):
                answer = Answer(answer)
            body = answer.body.encode() if isinstance(answer.body, str) else answer.body
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            headers = {"Content-Type": "text/html", **answer.headers}
            status = answer.status
            if status == 200 and not answer.stream:
                tag = headers.setdefault("ETag", tag)
                if self.headers.get("If-None-Match") == tag:
                    status, body = 304, b""
            found.log.append((self.path, status))
            found.agents.add(self.headers.get("User-Agent", ""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if answer.stream:
                self.send_header("Connection", "close")
            elif status != 304 and "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                for piece in answer.stream() if answer.stream else (body,):
                    self.wfile.write(piece)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client had read enough

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    server.daemon_threads = True
    found = Site(f"http://{host}:{server.server_port}", {}, [], set())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on loopback."""
    with serving("127.0.0.1") as found:
        yield found


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site at an address that counts as one of the public internet; `site` is inside."""
    real = addresses.why_refused
    monkeypatch.setattr(addresses, "why_refused", lambda a: None if a == "127.0.0.2" else real(a))
    with serving("127.0.0.2") as found:
        yield found


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def local() -> Collect:
    """The collector's configuration for servers on loopback."""
    return Collect(allow_private=True, timeout_s=5)


class Impatient(Clock):
    """A clock whose waits pass at once; `waits` are their seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def now(self) -> float:
        return sum(self.waits)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock() -> Impatient:
    return Impatient()


Speak = Callable[[socket.socket], None]


@pytest.fixture
def raw_server() -> Iterator[Callable[[Speak], str]]:
    """Starts servers that speak as they please: `speak` gets a connection that has sent a request's head."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def serve(listener: socket.socket, speak: Speak) -> None:
        while not stop.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                sockets.append(connection)
                threads.append(threading.Thread(target=converse, args=(connection, speak), daemon=True))
                threads[-1].start()

    def converse(connection: socket.socket, speak: Speak) -> None:
        with suppress(OSError), connection:
            seen = b""
            while b"\r\n\r\n" not in seen:
                if not (more := connection.recv(4096)):
                    return
                seen += more
            speak(connection)

    def start(speak: Speak) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, speak), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    stop.set()
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
    for thread in threads:
        thread.join(5)
