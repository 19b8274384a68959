"""The registry's rows: one SQLite file that several processes read and write.

Write-ahead logging, so that readers never wait; writers are serialised by BEGIN IMMEDIATE, and each commit is
on the disk before it counts (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from llm_twin.workspace import translate_disk_full

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY,
    content_id TEXT NOT NULL UNIQUE,
    features TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS gone (
    number INTEGER PRIMARY KEY,
    content_id TEXT NOT NULL,
    created_at TEXT NOT NULL,
    parent TEXT,
    gone_at TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS taint (
    number INTEGER NOT NULL, post TEXT NOT NULL, since TEXT NOT NULL, PRIMARY KEY (number, post)
);
CREATE TABLE IF NOT EXISTS candidate (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS live (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    model TEXT NOT NULL,
    features TEXT NOT NULL,
    since TEXT NOT NULL,
    reason TEXT NOT NULL,
    undone INTEGER NOT NULL DEFAULT 0
);
"""
_BUSY_S = 30.0  # how long a writer waits for another, which takes milliseconds


def rows(file: Path, query: str, *parameters: object) -> list[Any]:
    """What a query finds; nothing where no row was ever written."""
    if not file.is_file():
        return []
    with closing(sqlite3.connect(file, timeout=_BUSY_S)) as db:
        try:
            return db.execute(query, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # another process is just making the file, or an older one did
                return []
            raise


@contextmanager
def writing(file: Path) -> Iterator[sqlite3.Connection]:
    """One transaction; it is undone where the block raises. Makes the file where there is none."""
    with translate_disk_full(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)
    try:
        _write_ahead(db)
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(_SCHEMA)
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    finally:
        db.close()


def _write_ahead(db: sqlite3.Connection) -> None:
    """Have the file keep a write-ahead log. Where another process is doing just that, it need not wait."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
