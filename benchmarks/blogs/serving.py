"""Serve a built blog on loopback as a web server would serve it at its own host."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

_FEED = re.compile(rb"\s*<\?xml[^>]*>\s*(?:<[?!][^>]*>\s*)*<(?:rss|feed|rdf:RDF)\b")
_REWRITTEN = {".html", ".htm", ".xml", ".txt", ".json", ""}


@contextmanager
def serving(folder: Path, host_was: str, feeds: bool = True) -> Iterator[str]:
    """Serve a folder and yield its base address; links to the host that it was built for lead to it.

    Args:
        feeds: whether feeds are answered; without them a collector has only the pages.
    """
    handler = partial(
        _Handler, folder.resolve(), re.compile(rb"https?://" + re.escape(host_was.encode())), feeds
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers with files, their .html left out or not, and with 301 to a folder's slash."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, host: re.Pattern[bytes], feeds: bool, *args: Any) -> None:
        self._folder, self._host, self._feeds = folder, host, feeds
        super().__init__(*args)

    def do_GET(self) -> None:
        """Answer with the file of a path."""
        path = unquote(urlsplit(self.path).path)
        target = (self._folder / path.lstrip("/")).resolve()
        beside = target.with_name(f"{target.name}.html")
        if not target.is_relative_to(self._folder):
            return self._answer(404, b"not found")
        if path.endswith("/"):
            target = next((f for n in ("index.html", "index.xml") if (f := target / n).is_file()), target)
        elif not target.is_file() and beside.is_file():
            target = beside
        elif target.is_dir() and (target / "index.html").is_file():
            return self._answer(301, b"", "text/html", path + "/")
        if not target.is_file():
            missing = self._folder / "404.html"
            return self._answer(404, missing.read_bytes() if missing.is_file() else b"not found")
        self._file(target)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def _file(self, target: Path) -> None:
        body = target.read_bytes()
        if not self._feeds and _FEED.match(body):
            return self._answer(404, b"not found")
        kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
        if target.suffix in _REWRITTEN:
            body = self._host.sub(f"http://127.0.0.1:{self.server.server_address[1]}".encode(), body)
            kind = (
                "application/xml"
                if body.lstrip().startswith(b"<?xml") and kind != "application/xhtml+xml"
                else kind
            )
        self._answer(200, body, kind)

    def _answer(self, status: int, body: bytes, kind: str = "text/html", to: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if to:
            self.send_header("Location", to)
        self.end_headers()
        self.wfile.write(body)
