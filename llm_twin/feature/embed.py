"""Embeddings of chunks, kept by embedder and text: only the new is embedded, an interruption loses little.

Texts go to the embedder in the order of their hashes, so that every share of the work is like the rest and
the time left that is shown is true; the embedder sorts each share by length.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm_twin.contracts.ports import Embedder, Progress, Vectors
from llm_twin.errors import DiskFull, WorkspaceError
from llm_twin.workspace import translate_disk_full

CACHE = "embeddings.db"
# Texts between commits: this many at first, then what takes about two seconds. At a commit all cores wait for
# the last one, the longer the more cores there are; an interruption loses what came after the last commit.
_FIRST, _MOST, _COMMIT_S = 32, 4096, 2.0
_ASK = 500  # hashes in one query; SQLite allows 32,766 parameters, older builds 999


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of shape [texts, dim], row by row.

    `embedded` texts went through the model, `reused` did not.
    """

    vectors: Vectors
    embedded: int
    reused: int


def embed(texts: Sequence[str], embedder: Embedder, cache: Path, progress: Progress) -> Embedded:
    """Unit vectors of the texts, from the cache file where it has them. Raises DiskFull, WorkspaceError."""
    keys = [_key(text) for text in texts]
    wanted = dict(zip(keys, texts, strict=True))
    with _open(cache) as database:
        known = _read(database, embedder, list(wanted))
        missing = sorted(key for key in wanted if key not in known)
        progress.start("embed", len(missing))
        done, share = 0, _FIRST
        while batch := missing[done : done + share]:
            began = time.perf_counter()
            fresh = embedder.embed([wanted[key] for key in batch], progress)
            with database:
                database.executemany(
                    "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                    [(embedder.id, key, row.tobytes()) for key, row in zip(batch, fresh, strict=True)],
                )
            known.update(zip(batch, fresh, strict=True))
            done += len(batch)
            rate = len(batch) / max(time.perf_counter() - began, 1e-6)
            share = min(max(_FIRST, round(rate * _COMMIT_S)), _MOST)
    vectors = np.zeros((len(texts), embedder.dim), np.float32)
    for row, key in enumerate(keys):
        vectors[row] = known[key]
    return Embedded(vectors, embedded=len(missing), reused=len(texts) - len(missing))


def keep(cache: Path, texts: Iterable[str], dry_run: bool = False) -> int:
    """Erase the vectors of all texts but these, to the last byte; how many those are, or would be.

    A vector gives much of its text away (Morris et al., Text Embeddings Reveal (Almost) As Much As Text,
    2023). What passages a version of long ago had is known to nobody, so what stays is named, not what goes.
    Call it under the lock "features". Raises WorkspaceError, DiskFull.
    """
    if not cache.is_file():
        return 0
    with _open(cache) as database:
        database.execute("PRAGMA secure_delete = ON")
        with database:
            database.execute("CREATE TEMP TABLE kept (text TEXT PRIMARY KEY) WITHOUT ROWID")
            database.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((_key(text),) for text in texts))
        others = "FROM embeddings WHERE text NOT IN (SELECT text FROM kept)"
        found = int(database.execute(f"SELECT COUNT(*) {others}").fetchone()[0])
        if not dry_run:
            with database:
                database.execute(f"DELETE {others}")
            database.execute("VACUUM")
    return found


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    with translate_disk_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS embeddings"
                " (embedder TEXT, text TEXT, vector BLOB, PRIMARY KEY (embedder, text)) WITHOUT ROWID"
            )
            yield database
    except sqlite3.DatabaseError as error:
        if "full" in str(error):
            raise DiskFull(
                f"No space left on the disk of {path}", "Free some space and run the same command again"
            ) from error
        raise WorkspaceError(
            f"The embedding cache {path} cannot be used ({error})", "Delete that file; it is only a cache"
        ) from error


def _read(database: sqlite3.Connection, embedder: Embedder, keys: list[str]) -> dict[str, Vectors]:
    found: dict[str, Vectors] = {}
    for first in range(0, len(keys), _ASK):
        asked = keys[first : first + _ASK]
        marks = ",".join("?" * len(asked))
        rows = database.execute(
            f"SELECT text, vector FROM embeddings WHERE embedder = ? AND text IN ({marks})",
            [embedder.id, *asked],
        )
        found.update((key, np.frombuffer(blob, np.float32)) for key, blob in rows)
    return found
