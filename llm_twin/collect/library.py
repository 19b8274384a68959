"""The library of collected posts: one SQLite file with every revision of every post.

A post is its canonical url and the hash of its content; a changed text is a new revision beside the old ones.
A post that moved keeps its id and its history: the identity of its new address becomes an alias of the old,
until one source shows both addresses with texts of their own.
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

from llm_twin.collect import forgotten, schema, urls
from llm_twin.contracts.records import Post
from llm_twin.errors import CollectError, WorkspaceError
from llm_twin.workspace import translate_disk_full

Change = Literal["new", "changed", "unchanged", "forgotten"]
_MISSES = 2  # runs in a row in which a post was not found, after which it counts as removed
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
        if db and forgotten.refuses(db, post):
            return "forgotten"
        row = self._row(db, post) if db else None
        if row is None:
            return "new"
        return "unchanged" if row[1:] == (post.revision, None) else "changed"

    def upsert(self, post: Post, source: str = "") -> Change:
        """Store a post as it stands now. A post that was marked removed and is back is no longer removed.

        A new address with the title and text of a stored post is that post, found elsewhere. A forgotten post
        is not stored.

        Args:
            source: where it was found, such as "site:example.org"; see `ids`.
        """
        with self._writing() as db:
            change = self.compare(post)
            if change == "forgotten":
                forgotten.mark_parts(db, post, self._now())
                return change
            row = self._row(db, post)
            fields = (post.url, post.title, post.published_at, post.revision, post.kind, post.author)
            tags = json.dumps(post.tags, ensure_ascii=False)
            if row is None:
                identity = post.id
                db.execute(
                    "INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, 0)",
                    (identity, *fields, tags, self._now(), source),
                )
            else:
                identity = row[0]
                db.execute(
                    "UPDATE posts SET url = ?, title = ?, published_at = ?, revision = ?, kind = ?, "
                    "author = ?, tags = ?, source = ?, removed_at = NULL, missed = 0 WHERE id = ?",
                    (*fields, tags, source, identity),
                )
                if identity != post.id:
                    db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (post.id, identity))
            forgotten.note_parts(db, identity, post)
            if row is None or row[1] != post.revision:
                db.execute(
                    "INSERT INTO revisions SELECT ?, COALESCE(MAX(number), 0) + 1, ?, ?, ?, ? "
                    "FROM revisions WHERE post_id = ?",
                    (identity, post.revision, post.title, post.markdown, self._now(), identity),
                )
            return change

    def move(self, old: str, new: str) -> None:
        """Make the identity of a new address that of a stored post, whose old address now leads there.

        Where the new address has been stored as a post of its own, that one stays and the old one is removed.
        """
        old = self.identity(old)
        if old == new:  # it has moved back
            return
        with self._writing() as db:
            if db.execute("SELECT 1 FROM posts WHERE id = ?", (new,)).fetchone():
                db.execute(
                    "UPDATE posts SET removed_at = ? WHERE id = ? AND removed_at IS NULL", (self._now(), old)
                )
            else:
                db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (new, old))

    def ids(self, source: str) -> set[str]:
        """Ids of the posts that were last found in a source and are not removed."""
        db = self._reading()
        query = "SELECT id FROM posts WHERE source = ? AND removed_at IS NULL"
        return {identity for (identity,) in db.execute(query, (source,))} if db else set()

    def source(self, post_id: str) -> str:
        """Where the post of exactly this id was last found, be it removed; "" for an unknown one."""
        db = self._reading()
        row = db.execute("SELECT source FROM posts WHERE id = ?", (post_id,)).fetchone() if db else None
        return str(row[0]) if row else ""

    def stored(self, post: Post) -> str | None:
        """The id under which a post is stored, be it under another address; None for a new one."""
        db = self._reading()
        row = self._row(db, post) if db else None
        return row[0] if row else None

    def part(self, kept: str, other: str) -> None:
        """Make two addresses of one post two posts: all that is stored is of `kept`, nothing of `other`."""
        with self._writing() as db:
            db.execute("DELETE FROM aliases WHERE id = ?", (other,))
            db.execute("UPDATE posts SET id = ? WHERE id = ?", (kept, other))
            db.execute("UPDATE revisions SET post_id = ? WHERE post_id = ?", (kept, other))
            db.execute("UPDATE aliases SET post_id = ? WHERE post_id = ?", (kept, other))
            db.execute("DELETE FROM aliases WHERE id = post_id")

    def identity(self, post_id: str) -> str:
        """The id under which a post is stored: itself, or the one that it is an alias of."""
        db = self._reading()
        row = db.execute("SELECT post_id FROM aliases WHERE id = ?", (post_id,)).fetchone() if db else None
        return str(row[0]) if row else post_id

    def standing(self, post_id: str) -> Post | None:
        """The post of an id or of an alias, unless it is removed."""
        db = self._reading()
        query = f"{_POSTS} WHERE p.id = ? AND p.removed_at IS NULL"
        row = db.execute(query, (self.identity(post_id),)).fetchone() if db else None
        return _post(row) if row else None

    def of_text(self, revision: str) -> Post | None:
        """A post that has a text now, unless it is removed or is a note."""
        db = self._reading()
        query = f"{_POSTS} WHERE p.revision = ? AND p.kind = 'post' AND p.removed_at IS NULL LIMIT 1"
        row = db.execute(query, (revision,)).fetchone() if db else None
        return _post(row) if row else None

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
        identity = self.identity(Post.id_of(urls.canonical(cleaned)) if cleaned else key)
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

    def miss(self, post_id: str) -> bool:
        """Count a run in which a post was not found; True where it is now marked removed, at the second."""
        if self._reading() is None:
            return False
        with self._writing() as db:
            db.execute("UPDATE posts SET missed = missed + 1 WHERE id = ?", (post_id,))
            query = "SELECT missed >= ? FROM posts WHERE id = ?"
            row = db.execute(query, (_MISSES, post_id)).fetchone()
        return bool(row and row[0]) and self.mark_removed(post_id)

    def same(self, post_id: str) -> tuple[str, ...]:
        """Ids of a post and of all that is stored of its text under other addresses."""
        db = self._reading()
        return forgotten.same(db, post_id) if db else ()

    def forget(self, post_id: str) -> tuple[str, ...]:
        """Refuse a post from now on and list it no more; its words stay until `erase`. The ids of `same`."""
        if self._reading() is None:
            return ()
        with self._writing() as db:
            return forgotten.mark(db, post_id, self._now())

    def forgotten(self) -> frozenset[str]:
        """Ids of all forgotten posts."""
        db = self._reading()
        return forgotten.ids(db) if db else frozenset()

    def forgotten_id(self, key: str) -> str | None:
        """The forgotten post of a url, an id or the start of an id; None unless exactly one fits."""
        db, cleaned = self._reading(), urls.clean(key)
        address = Post.id_of(urls.canonical(cleaned) if cleaned else key)
        return forgotten.find(db, key, address) if db else None

    def erase(self) -> None:
        """Delete all that is stored of the forgotten posts, so that no byte of the file holds their words.

        Raises WorkspaceError where another process holds the file.
        """
        if self._reading() is not None and not self._erased():
            raise WorkspaceError(
                f"{self.path} is being read by another process, so that old pages of it stay",
                "End that process and run the same command again",
            )

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

    def _erased(self) -> bool:
        try:
            return forgotten.erase(self._open())
        except sqlite3.OperationalError as error:
            raise self._unwritable(error) from error

    def _row(self, db: sqlite3.Connection, post: Post) -> tuple[str, str, str | None] | None:
        """(id, revision, removed_at) of what is stored of a post under its address, an alias or its text."""
        fields = "SELECT id, revision, removed_at FROM posts WHERE "
        row = db.execute(fields + "id = ?", (self.identity(post.id),)).fetchone()
        if row is None and post.kind == "post":  # two notes may well say the same
            row = db.execute(fields + "revision = ? AND kind = 'post' LIMIT 1", (post.revision,)).fetchone()
        return tuple(row) if row else None

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
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> WorkspaceError:
        return WorkspaceError(
            f"{self.path} cannot be written ({error})", "Free disk space or end the process that holds it"
        )

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
            try:
                if (found := schema.version(db)) > schema.VERSION:
                    raise WorkspaceError(
                        f"{self.path} is of a newer llm-twin (schema {found}, known {schema.VERSION})",
                        "Update llm-twin",
                    )
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
                schema.bring_up(db)
            except sqlite3.DatabaseError as error:
                db.close()
                read_only = schema.is_read_only(error)
                raise WorkspaceError(
                    f"{self.path} cannot be read as a library ({error})",
                    "Make it and its folder writable" if read_only else "Restore it from a copy",
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
    return when(post), post.url


def when(post: Post) -> str:
    """When a post was published, as a UTC text that sorts by time; "" where nothing says so."""
    date = post.published_at or ""
    try:
        found = datetime.fromisoformat(date)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):  # no date, or the first or last day of all years
        return date


def _literal(pattern: str) -> str:
    return "".join(c for c in pattern if c not in "%_") or "-"
