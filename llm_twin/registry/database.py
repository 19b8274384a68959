"""The registry's rows: one SQLite file that several processes read and write.

Write-ahead logging, so that readers never wait; writers are serialised by BEGIN IMMEDIATE, and each commit is
on the disk before it counts (https://sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from llm_twin.workspace import translate_disk_full, translate_sqlite

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
    """What a query finds; nothing where no row was ever written. Raises WorkspaceError."""
    if not file.is_file():
        return []
    with translate_sqlite(file), closing(_to_read(file)) as db:
        try:
            return db.execute(query, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):  # another process is just making the file, or an older one did
                return []
            raise


def _to_read(file: Path) -> sqlite3.Connection:
    """A connection for reading, also in a folder where SQLite cannot put what it needs for a write-ahead log.

    Where a log was left there, the file alone would not tell all: then SQLite opens both or neither.
    """
    if os.access(file.parent, os.W_OK) or file.with_name(f"{file.name}-wal").exists():
        return sqlite3.connect(file, timeout=_BUSY_S)
    return sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)


@contextmanager
def writing(file: Path) -> Iterator[sqlite3.Connection]:
    """One transaction; it is undone where the block raises. Makes the file where there is none.

    Raises WorkspaceLocked where another process writes for long, DiskFull, WorkspaceError.
    """
    with translate_disk_full(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
    with translate_sqlite(file), closing(sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None)) as db:
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


def _write_ahead(db: sqlite3.Connection) -> None:
    """Have the file keep a write-ahead log. Where another process is doing just that, it need not wait."""
    try:
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
