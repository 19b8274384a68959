"""The library of collected posts: one SQLite file with every revision of every post.

A post is its canonical url and the hash of its content; a changed text is a new revision beside the old ones.
Every write is a transaction of its own (write-ahead log), so a killed process loses at most the post in
flight. The file is made by the first write, not by opening.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from llm_twin.collect import urls
from llm_twin.contracts.records import Post
from llm_twin.errors import CollectError, WorkspaceError
from llm_twin.workspace import translate_disk_full

Change = Literal["new", "changed", "unchanged"]
_VERSION = 1  # of the schema, in SQLite's user_version
_SCHEMA = """
CREATE TABLE IF NOT EXISTS posts (
    id TEXT PRIMARY KEY, url TEXT NOT NULL, title TEXT NOT NULL, published_at TEXT, revision TEXT NOT NULL,
    kind TEXT NOT NULL, author TEXT, tags TEXT NOT NULL, first_seen TEXT NOT NULL, removed_at TEXT
);
CREATE TABLE IF NOT EXISTS revisions (
    post_id TEXT NOT NULL REFERENCES posts(id), number INTEGER NOT NULL, revision TEXT NOT NULL,
    title TEXT NOT NULL, markdown TEXT NOT NULL, seen_at TEXT NOT NULL,
    PRIMARY KEY (post_id, number)
);
"""
_POSTS = """
SELECT p.id, p.url, p.title, p.published_at, r.markdown, p.revision, p.kind, p.author, p.tags
FROM posts p JOIN revisions r ON r.post_id = p.id
    AND r.number = (SELECT MAX(number) FROM revisions WHERE post_id = p.id)
"""


@dataclass(frozen=True, slots=True)
class Revision:
    """One text that a post has had; `seen_at` is when it was first collected, ISO 8601 in UTC."""

    revision: str
    title: str
    markdown: str
    seen_at: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a library holds."""

    posts: int
    removed: int
    revisions: int


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Library:
    """The posts of one author. A context manager; several processes may read while one writes."""

    def __init__(self, path: Path, now: Callable[[], str] = _now) -> None:
        self.path = path
        self._now = now
        self._db: sqlite3.Connection | None = None

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def compare(self, post: Post) -> Change:
        """What `upsert` would answer; writes nothing."""
        db = self._reading()
        query = "SELECT revision, removed_at FROM posts WHERE id = ?"
        row = db.execute(query, (post.id,)).fetchone() if db else None
        if row is None:
            return "new"
        return "unchanged" if row == (post.revision, None) else "changed"

    def upsert(self, post: Post) -> Change:
        """Store a post as it stands now. A post that was marked removed and is back is no longer removed."""
        with self._writing() as db:
            change = self.compare(post)
            row = db.execute("SELECT revision FROM posts WHERE id = ?", (post.id,)).fetchone()
            fields = (post.url, post.title, post.published_at, post.revision, post.kind, post.author)
            tags = json.dumps(post.tags, ensure_ascii=False)
            if row is None:
                db.execute(
                    "INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                    (post.id, *fields, tags, self._now()),
                )
            else:
                db.execute(
                    "UPDATE posts SET url = ?, title = ?, published_at = ?, revision = ?, kind = ?, "
                    "author = ?, tags = ?, removed_at = NULL WHERE id = ?",
                    (*fields, tags, post.id),
                )
            if row is not None and row[0] == post.revision:
                return change
            db.execute(
                "INSERT INTO revisions SELECT ?, COALESCE(MAX(number), 0) + 1, ?, ?, ?, ? "
                "FROM revisions WHERE post_id = ?",
                (post.id, post.revision, post.title, post.markdown, self._now(), post.id),
            )
            return change

    def posts(self, include_removed: bool = False) -> list[Post]:
        """All posts, oldest first, then by url; those without a date come first."""
        db = self._reading()
        if db is None:
            return []
        where = "" if include_removed else " WHERE p.removed_at IS NULL"
        return sorted((_post(row) for row in db.execute(_POSTS + where)), key=_order)

    def urls(self) -> list[str]:
        """Addresses of all posts that are not removed, in no order; cheap."""
        db = self._reading()
        rows: Iterable[tuple[str]] = (
            db.execute("SELECT url FROM posts WHERE removed_at IS NULL") if db else ()
        )
        return [url for (url,) in rows]

    def get(self, key: str) -> Post:
        """The post of a url, an id or the start of an id. Raises CollectError where none or several fit."""
        db = self._reading()
        cleaned = urls.clean(key)
        identity = Post.id_of(urls.canonical(cleaned)) if cleaned else key
        rows = (
            db.execute(f"{_POSTS} WHERE p.id LIKE ? || '%' OR p.url = ?", (_literal(identity), key))
            if db
            else ()
        )
        found = [_post(row) for row in rows]
        if len(found) == 1:
            return found[0]
        what = "No post" if not found else f"{len(found)} posts"
        raise CollectError(f"{what} in {self.path.name} for {key!r}", "List them: llm-twin posts list")

    def history(self, post_id: str) -> list[Revision]:
        """Every text of a post, oldest first; empty for an unknown id."""
        db = self._reading()
        query = "SELECT revision, title, markdown, seen_at FROM revisions WHERE post_id = ? ORDER BY number"
        return [Revision(*row) for row in db.execute(query, (post_id,))] if db else []

    def mark_removed(self, post_id: str) -> bool:
        """Mark a post as gone from its source; its history stays. False where there was none to mark."""
        if self._reading() is None:
            return False
        with self._writing() as db:
            query = "UPDATE posts SET removed_at = ? WHERE id = ? AND removed_at IS NULL"
            return db.execute(query, (self._now(), post_id)).rowcount > 0

    def counts(self) -> Counts:
        """How many posts stand, how many are removed, and how many revisions there are."""
        db = self._reading()
        if db is None:
            return Counts(0, 0, 0)
        standing, removed = db.execute(
            "SELECT SUM(removed_at IS NULL), COUNT(removed_at) FROM posts"
        ).fetchone()
        revisions = db.execute("SELECT COUNT(*) FROM revisions").fetchone()[0]
        return Counts(standing or 0, removed, revisions)

    def _reading(self) -> sqlite3.Connection | None:
        return self._open() if self._db is not None or self.path.is_file() else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with translate_disk_full(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        db = self._open()
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise WorkspaceError(
                f"{self.path} cannot be written ({error})", "Free disk space or end the process that holds it"
            ) from error

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            try:
                found = db.execute("PRAGMA user_version").fetchone()[0]
                if found > _VERSION:
                    raise WorkspaceError(
                        f"{self.path} is of a newer llm-twin (schema {found}, known {_VERSION})",
                        "Update llm-twin",
                    )
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                if found < _VERSION:
                    db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={_VERSION}; COMMIT;")
            except sqlite3.DatabaseError as error:
                db.close()
                raise WorkspaceError(
                    f"{self.path} cannot be read as a library ({error})", "Restore it from a copy"
                ) from error
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db


def _post(row: tuple[str, ...]) -> Post:
    names = ("id", "url", "title", "published_at", "markdown", "revision", "kind", "author")
    return Post.model_validate(dict(zip(names, row, strict=False)) | {"tags": json.loads(row[8])})


def _order(post: Post) -> tuple[str, str]:
    return _instant(post.published_at or ""), post.url


def _instant(date: str) -> str:
    """A date as a UTC text that sorts by time, whatever the offset it was written with."""
    try:
        found = datetime.fromisoformat(date)
    except ValueError:
        return date
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _literal(pattern: str) -> str:
    return "".join(c for c in pattern if c not in "%_") or "-"
