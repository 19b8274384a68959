"""Posts that their author wants forgotten: refused by every later run, then erased from the library's file.

Two steps, so that a process killed between them still finds the words that it has to look for elsewhere.
What stays is a mark for each address (the post id, twelve hex digits of a sha256) and for each text of a
whole post (the revision, a sha256), so that neither comes back under another name. No address and no word is
kept. The text of a note gets no mark: it may be short enough to be guessed from its hash.

A thread has the address of its first text. Where that is deleted, the rest is a thread at the address of the
next, so the addresses of all its texts are known, and get a mark too.
"""

from __future__ import annotations

import sqlite3

from llm_twin.collect.item import Thread
from llm_twin.contracts.records import Post

SCHEMA = """
CREATE TABLE IF NOT EXISTS forgotten (
    mark TEXT PRIMARY KEY, post_id TEXT NOT NULL, since TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    post_id TEXT NOT NULL REFERENCES posts(id), id TEXT NOT NULL, PRIMARY KEY (post_id, id)
) WITHOUT ROWID;
"""
# Of `upsert`'s doctrine: a whole post with the text of another, under whatever address, is that post. A
# thread and what stands alone of it, as when its first text was deleted, are one too.
_SAME = """
SELECT id FROM posts WHERE id = :post OR kind = 'post' AND revision IN (
    SELECT r.revision FROM revisions r JOIN posts p ON p.id = r.post_id WHERE p.id = :post AND p.kind = 'post'
) OR id IN (SELECT post_id FROM parts WHERE id = :post UNION SELECT id FROM parts WHERE post_id = :post)
ORDER BY id
"""
_MARKS = """
INSERT INTO forgotten
SELECT :post, :post, :now
UNION SELECT id, :post, :now FROM aliases WHERE post_id = :post
UNION SELECT id, :post, :now FROM parts WHERE post_id = :post
UNION SELECT r.revision, :post, :now FROM revisions r JOIN posts p ON p.id = r.post_id
    WHERE p.id = :post AND p.kind = 'post'
ON CONFLICT (mark) DO UPDATE SET post_id = excluded.post_id WHERE mark = excluded.post_id
"""  # an id is first the mark of the post that has it


def same(db: sqlite3.Connection, post_id: str) -> tuple[str, ...]:
    """Ids of the post and of all that the library holds of its text under other addresses."""
    return tuple(identity for (identity,) in db.execute(_SAME, {"post": post_id}))


def mark(db: sqlite3.Connection, post_id: str, now: str) -> tuple[str, ...]:
    """Refuse the post from now on, and take it out of what is listed; the ids that `same` names."""
    found = same(db, post_id)
    for identity in found:
        db.execute(_MARKS, {"post": identity, "now": now})
        db.execute("UPDATE posts SET removed_at = COALESCE(removed_at, ?) WHERE id = ?", (now, identity))
    return found


def note_parts(db: sqlite3.Connection, post_id: str, post: Post) -> None:
    """Keep which texts a stored post is joined of now."""
    db.execute("DELETE FROM parts WHERE post_id = ?", (post_id,))
    if isinstance(post, Thread):
        db.executemany("INSERT OR IGNORE INTO parts VALUES (?, ?)", [(post_id, part) for part in post.parts])


def mark_parts(db: sqlite3.Connection, post: Post, now: str) -> None:
    """Mark all texts of a thread that is forgotten: its parts may not have been known when it was.

    What stands in the library by itself stays.
    """
    if isinstance(post, Thread):
        db.executemany(
            "INSERT OR IGNORE INTO forgotten SELECT :part, post_id, :now FROM forgotten WHERE mark = :post "
            "AND NOT EXISTS (SELECT 1 FROM posts WHERE id = :part AND removed_at IS NULL)",
            [{"part": part, "post": post.id, "now": now} for part in post.parts],
        )


def refuses(db: sqlite3.Connection, post: Post) -> bool:
    """Whether the post is a forgotten one or has one in it: by addresses or, for whole posts, by the text."""
    marks = {post.id, post.revision if post.kind == "post" else post.id}
    marks |= set(post.parts) if isinstance(post, Thread) else set()
    query = "SELECT 1 FROM forgotten WHERE mark = ?"
    return any(db.execute(query, (mark,)).fetchone() for mark in marks)


def ids(db: sqlite3.Connection) -> frozenset[str]:
    """Ids of all forgotten posts."""
    return frozenset(identity for (identity,) in db.execute("SELECT DISTINCT post_id FROM forgotten"))


def find(db: sqlite3.Connection, key: str, address: str) -> str | None:
    """The forgotten post whose id is or begins with `key`, or that had an address of the id `address`.

    None where none fits, or several do.
    """
    query = "SELECT DISTINCT post_id FROM forgotten WHERE mark IN (:key, :address)"
    starts = " OR substr(post_id, 1, length(:key)) = :key" if key else ""
    found = db.execute(query + starts, {"key": key, "address": address}).fetchall()
    return str(found[0][0]) if len(found) == 1 else None


def erase(db: sqlite3.Connection) -> bool:
    """Delete every row of the forgotten posts and write the file anew, so that no page of it has their words.

    `db` is in no transaction. False where another process reads just now, so that the write-ahead log, which
    holds old pages, could not be cut off.
    """
    db.execute("PRAGMA secure_delete = ON")
    db.executescript(
        """
        BEGIN IMMEDIATE;
        DELETE FROM revisions WHERE post_id IN (SELECT post_id FROM forgotten);
        DELETE FROM aliases WHERE post_id IN (SELECT post_id FROM forgotten);
        DELETE FROM parts WHERE post_id IN (SELECT post_id FROM forgotten);
        DELETE FROM posts WHERE id IN (SELECT post_id FROM forgotten);
        COMMIT;
        """
    )
    db.execute("VACUUM")  # overwrites what earlier changes left in free space too
    busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
