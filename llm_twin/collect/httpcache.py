"""Answers kept on disk: the bodies of pages with the validators that make the next request conditional.

One SQLite file, committed answer by answer, so that an interrupted crawl asks for nothing twice in full. It
may be deleted at any time; only requests are lost.
"""

from __future__ import annotations

import sqlite3
import zlib
from dataclasses import dataclass
from pathlib import Path

from llm_twin.workspace import translate_disk_full

FILE = "http.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, etag TEXT, last_modified TEXT, content_type TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept answer of status 200; `body` is decompressed."""

    url: str
    etag: str | None
    last_modified: str | None
    content_type: str
    body: bytes


class HttpCache:
    """The kept answers of one folder. A context manager; one process at a time writes."""

    def __init__(self, folder: Path) -> None:
        with translate_disk_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / FILE, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    def __enter__(self) -> HttpCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, url: str) -> Kept | None:
        """The answer kept for exactly this address."""
        row = self._db.execute("SELECT * FROM answers WHERE url = ?", (url,)).fetchone()
        if row is None:
            return None
        url, etag, last_modified, content_type, body = row
        return Kept(url, etag, last_modified, content_type, zlib.decompress(body))

    def put(self, kept: Kept) -> None:
        """Keep an answer in place of an older one."""
        row = (kept.url, kept.etag, kept.last_modified, kept.content_type, zlib.compress(kept.body, 6))
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def drop(self, url: str) -> None:
        """Forget the answer of an address that is gone."""
        self._db.execute("DELETE FROM answers WHERE url = ?", (url,))
