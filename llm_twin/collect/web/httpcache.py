"""Answers kept on disk: bodies with the validators that make the next request conditional, and what has none.

An address that moved for good, and a place without anything where something was only guessed to be, are
not asked again for a while. One SQLite file, committed answer by answer (the write-ahead log makes that
cheap), so that an interrupted crawl asks for nothing twice in full. It may be deleted at any time; only
requests are lost.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_twin.errors import WorkspaceError
from llm_twin.workspace import translate_disk_full

FILE = "http.db"
MISSING_S = 24 * 3600.0  # RFC 9309, 2.4: an answer for robots.txt is not used for more than a day
MOVED_S = 7 * 24 * 3600.0  # a redirect by mistake should not outlive its week
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, etag TEXT, last_modified TEXT, content_type TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (
    url TEXT PRIMARY KEY, status INTEGER NOT NULL, target TEXT NOT NULL, seen_at REAL NOT NULL
) WITHOUT ROWID;
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
    """The kept answers of one folder. A context manager; threads may share it, one process at a time writes.

    Args:
        now: seconds since the epoch.

    Raises WorkspaceError where the file cannot be used; a damaged one is begun anew.
    """

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._now = now
        self._lock = threading.Lock()
        with translate_disk_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.DatabaseError:
            with translate_disk_full(folder):
                for file in folder.glob(f"{FILE}*"):
                    file.unlink()
            self._db = self._open()

    def __enter__(self) -> HttpCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def get(self, url: str) -> Kept | None:
        """The answer kept for exactly this address."""
        rows = self._run("SELECT * FROM answers WHERE url = ?", url)
        if not rows:
            return None
        url, etag, last_modified, content_type, body = rows[0]
        return Kept(url, etag, last_modified, content_type, zlib.decompress(body))

    def put(self, kept: Kept) -> None:
        """Keep an answer in place of an older one."""
        row = (kept.url, kept.etag, kept.last_modified, kept.content_type, zlib.compress(kept.body, 6))
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", *row)

    def drop(self, url: str) -> None:
        """Forget the answer of an address that is gone."""
        self._run("DELETE FROM answers WHERE url = ?", url)

    def moved_to(self, url: str) -> str | None:
        """Where an address has moved for good, if that was seen of late."""
        rows = self._run(
            "SELECT target FROM notes WHERE url = ? AND target != '' AND seen_at > ?",
            url,
            self._now() - MOVED_S,
        )
        return str(rows[0][0]) if rows else None

    def missing(self, url: str) -> int | None:
        """The status (404 or 410) that a guessed address was seen to have of late."""
        rows = self._run(
            "SELECT status FROM notes WHERE url = ? AND target = '' AND seen_at > ?",
            url,
            self._now() - MISSING_S,
        )
        return int(rows[0][0]) if rows else None

    def note(self, url: str, status: int, target: str = "") -> None:
        """Remember that an address moved to `target`, or that nothing is there."""
        self._run("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", url, status, target, self._now())

    def forget(self, url: str) -> None:
        """Drop what was noted of an address, and of all that it moved to one after the other."""
        here: str | None = url
        while here:
            target = self.moved_to(here)
            self._run("DELETE FROM notes WHERE url = ?", here)
            here = target

    def _run(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.DatabaseError as error:
                raise WorkspaceError(
                    f"{self._path} cannot be used ({error})",
                    "Free disk space, or delete it: it is only a cache",
                ) from error

    def _open(self) -> sqlite3.Connection:
        # The lock above is what makes sharing between threads safe.
        db = sqlite3.connect(self._path, isolation_level=None, timeout=30, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db
