"""Serve a rendered site on loopback, so that it is collected over HTTP like any blog."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

LOOPBACK = "127.0.0.1"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".xml": "application/xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
FEED_TYPE = "application/rss+xml; charset=utf-8"


class _Handler(BaseHTTPRequestHandler):
    """Answer GET and HEAD with the files of one folder."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; the second would wait 40 ms for an ACK
    server_version = "sample-blog"
    sys_version = ""

    def __init__(self, folder: Path, *args: Any) -> None:
        self._folder = folder.resolve()
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with the file, or with 301, 304 or 404."""
        path = unquote(urlsplit(self.path).path)
        target = (self._folder / path.replace("\0", "").lstrip("/")).resolve()
        if not target.is_relative_to(self._folder):
            self._send_missing()
        elif target.is_dir() and not path.endswith("/"):
            self._send(HTTPStatus.MOVED_PERMANENTLY, b"", {"Location": path + "/"})
        else:
            self._send_file(target / "index.html" if path.endswith("/") else target)

    def do_HEAD(self) -> None:
        """Answer like GET; the body is left out where it would be written."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _send_file(self, file: Path) -> None:
        """Send a file with its ETag, or 304 to a client that already has it."""
        if not file.is_file():
            self._send_missing()
            return
        body = file.read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        known = [
            known.strip().removeprefix("W/") for known in self.headers.get("If-None-Match", "").split(",")
        ]
        if tag in known or "*" in known:
            self._send(HTTPStatus.NOT_MODIFIED, None, {"ETag": tag})
        else:
            self._send(HTTPStatus.OK, body, {"ETag": tag, "Content-Type": _content_type(file)})

    def _send_missing(self) -> None:
        """Send the site's own 404 page where it has one."""
        page = self._folder / "404.html"
        body = page.read_bytes() if page.is_file() else b"Not found\n"
        self._send(HTTPStatus.NOT_FOUND, body, {"Content-Type": TYPES[".html"]})

    def _send(self, status: HTTPStatus, body: bytes | None, headers: dict[str, str]) -> None:
        """Write one answer; a HEAD request gets the headers only, a 304 no length."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command == "GET":
            self.wfile.write(body)


@contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve a folder and yield its base address; port 0 takes any free port."""
    with _bound(folder, port) as server, _answering(server):
        yield _address(server)


@contextmanager
def sample_site(tmp: Path, port: int = 0) -> Iterator[str]:
    """Render the sample blog into a folder for the port it is served on, serve it, yield its base address.

    The pages name their own address, so a fixed port makes two runs serve the same bytes.
    """
    from llm_twin.sample.site import render

    with _bound(tmp, port) as server:
        render(tmp, _address(server))
        with _answering(server):
            yield _address(server)


def _bound(folder: Path, port: int) -> ThreadingHTTPServer:
    """Take the port without answering yet."""
    return ThreadingHTTPServer((LOOPBACK, port), partial(_Handler, folder))


def _address(server: ThreadingHTTPServer) -> str:
    """Name the base address of a server, without a slash at its end."""
    return f"http://{LOOPBACK}:{server.server_port}"


@contextmanager
def _answering(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answer requests in the background for as long as the block runs."""
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def _content_type(file: Path) -> str:
    """Name the content type of a file of the site."""
    return FEED_TYPE if file.name == "feed.xml" else TYPES.get(file.suffix, "application/octet-stream")
