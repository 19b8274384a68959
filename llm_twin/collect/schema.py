"""The tables of the library, and how a file of an older version is brought up to them."""

from __future__ import annotations

import sqlite3

from llm_twin.collect import forgotten

VERSION = 4  # in SQLite's user_version
_READABLE = 3  # from this version on, all that a file lacks is `parts`
_TABLES = """
CREATE TABLE IF NOT EXISTS posts (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, title TEXT NOT NULL, published_at TEXT, revision TEXT NOT NULL,
    kind TEXT NOT NULL, author TEXT, tags TEXT NOT NULL, first_seen TEXT NOT NULL, removed_at TEXT,
    source TEXT NOT NULL DEFAULT '', missed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS revisions (
    post_id TEXT NOT NULL REFERENCES posts(id), number INTEGER NOT NULL, revision TEXT NOT NULL,
    title TEXT NOT NULL, markdown TEXT NOT NULL, seen_at TEXT NOT NULL,
    PRIMARY KEY (post_id, number)
);
CREATE TABLE IF NOT EXISTS aliases (
    id TEXT PRIMARY KEY, post_id TEXT NOT NULL REFERENCES posts(id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS posts_by_revision ON posts (revision);
"""
_FROM_1 = """
ALTER TABLE posts ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE posts ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
"""


def version(db: sqlite3.Connection) -> int:
    """The version that a file has; 0 for a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def is_read_only(error: sqlite3.Error) -> bool:
    """Whether a file had to be written and may not be."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY  # the rest says why


def bring_up(db: sqlite3.Connection) -> None:
    """Give a new file its tables and an older one what it lacks; one that is up to date is not written."""
    found = version(db)
    if found == VERSION:
        return
    steps = _FROM_1 * (found == 1) + _TABLES + forgotten.SCHEMA
    try:
        db.executescript(f"BEGIN; {steps} PRAGMA user_version={VERSION}; COMMIT;")
    except sqlite3.OperationalError as error:
        if found < _READABLE or not is_read_only(error):
            raise
        db.rollback()
        db.execute("CREATE TEMP TABLE parts (post_id TEXT, id TEXT)")
