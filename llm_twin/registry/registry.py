"""Versions of adapters in SQLite, their files in content-addressed folders, and the one live pair.

    models/registry.db          versions (v1, v2 ...), the candidate, every live pair there has been
    models/<content id>/        a sealed adapter; its folder exists before its row does

A row is the last thing that is written, so a killed process leaves at most a folder without a row, which the
next registration of the same content replaces. Writers are serialised by SQLite (BEGIN IMMEDIATE).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_twin.contracts.manifests import MANIFEST, MODEL_NAME, ModelManifest, file_hash
from llm_twin.contracts.versions import BASE, ModelVersion
from llm_twin.errors import VersionNotFound
from llm_twin.workspace import atomic_folder, translate_disk_full

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    number INTEGER PRIMARY KEY,
    content_id TEXT NOT NULL UNIQUE,
    features TEXT NOT NULL,
    created_at TEXT NOT NULL
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
_LIVE = "SELECT model, features FROM live WHERE undone = 0 ORDER BY id DESC LIMIT 1"
_BUSY_S = 30.0  # how long a writer waits for another; a registration takes milliseconds


@dataclass(frozen=True, slots=True)
class Pair:
    """What serves: a model version (or "base") and a feature version."""

    model: str
    features: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of `models list`."""

    version: str
    content_id: str
    features: str
    created_at: str
    aliases: tuple[str, ...]


class Registry:
    """The registry of one workspace. Opening it writes nothing; cheap enough to open for every question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "registry.db"

    def register(self, files: Path, manifest: ModelManifest) -> ModelVersion:
        """Seal the files of a folder as the next version and make it the candidate.

        `manifest.version`, `files` and `content_id` are filled in here. Content that is registered already is
        not registered twice: its version is returned.
        """
        names = sorted(p.name for p in files.iterdir() if p.is_file() and p.name != MANIFEST)
        hashes = {name: file_hash(files / name) for name in names}
        sealed = manifest.model_copy(update={"files": hashes}).sealed()
        with self._write() as db:
            known = db.execute(
                "SELECT number FROM versions WHERE content_id = ?", (sealed.content_id,)
            ).fetchone()
            if known is None:
                number = db.execute("SELECT coalesce(max(number), 0) + 1 FROM versions").fetchone()[0]
                named = sealed.model_copy(update={"version": f"v{number}"})
                self._store(files, names, named)
                row = (number, named.content_id, named.features.name, named.created_at)
                db.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", row)
            else:
                number = known[0]
            db.execute("INSERT OR REPLACE INTO candidate VALUES (1, ?)", (number,))
        return self.get(f"v{number}")

    def _store(self, files: Path, names: list[str], manifest: ModelManifest) -> None:
        target = self.folder / manifest.content_id
        if target.exists():  # left by a process that was killed before its row was written
            shutil.rmtree(target)
        with atomic_folder(target) as building:
            for name in names:
                shutil.copyfile(files / name, building / name)
            (building / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def get(self, name: str) -> ModelVersion:
        """A version by its name or by "live" or "candidate", verified.

        Raises VersionNotFound (also where live is the base), IntegrityError.
        """
        version = self.resolve(name)
        row = self._rows("SELECT content_id FROM versions WHERE number = ?", version[1:])
        if not row:
            raise VersionNotFound(f"No adapter behind {name!r}", "Train one: llm-twin train")
        return ModelVersion.open(self.folder / row[0][0])

    def resolve(self, name: str) -> str:
        """The version name behind an alias: "v3", or "base". Raises VersionNotFound naming what there is."""
        if name == BASE:
            return BASE
        if name == "live":
            pair = self.live()
            return pair.model if pair else BASE
        known = [e.version for e in self.entries()]
        if name == "candidate":
            candidate = self._rows("SELECT number FROM candidate")
            if candidate:
                return f"v{candidate[0][0]}"
        elif MODEL_NAME.fullmatch(name) and name in known:
            return name
        there = ", ".join(known) or "none yet"
        raise VersionNotFound(
            f"There is no model version {name!r} (there are: {there})", "See llm-twin models list"
        )

    def entries(self) -> list[Entry]:
        """All versions, oldest first, with their aliases."""
        live = self.live()
        candidate = self._rows("SELECT number FROM candidate")
        rows = self._rows("SELECT number, content_id, features, created_at FROM versions ORDER BY number")
        return [
            Entry(
                version=f"v{number}",
                content_id=content_id,
                features=features,
                created_at=created_at,
                aliases=("live",) * bool(live and live.model == f"v{number}")
                + ("candidate",) * bool(candidate and candidate[0][0] == number),
            )
            for number, content_id, features, created_at in rows
        ]

    def live(self) -> Pair | None:
        """The pair that serves now, or None before the first one."""
        rows = self._rows(_LIVE)
        return Pair(*rows[0]) if rows else None

    def pairs(self) -> list[Pair]:
        """The live pair, then those before it to which rollbacks lead, newest first."""
        rows = self._rows("SELECT model, features FROM live WHERE undone = 0 ORDER BY id DESC")
        return [Pair(*row) for row in rows]

    def switch(self, pair: Pair, reason: str, expected: Pair | None) -> bool:
        """Make `pair` live if `expected` still is (compare and swap); False where another was first."""
        with self._write() as db:
            if self._live_in(db) != expected:
                return False
            now = datetime.now(UTC).isoformat(timespec="seconds")
            db.execute(
                "INSERT INTO live (model, features, since, reason) VALUES (?, ?, ?, ?)",
                (pair.model, pair.features, now, reason),
            )
            db.execute("DELETE FROM candidate WHERE number = ?", (pair.model[1:],))
        return True

    def rollback(self) -> Pair:
        """Restore the live pair before the present one. Raises VersionNotFound where there was none."""
        with self._write() as db:
            rows = db.execute("SELECT id FROM live WHERE undone = 0 ORDER BY id DESC LIMIT 2").fetchall()
            if len(rows) < 2:
                raise VersionNotFound(
                    "There is no earlier live pair to go back to", "See llm-twin models list"
                )
            db.execute("UPDATE live SET undone = 1 WHERE id = ?", rows[0])
            pair = self._live_in(db)
        assert pair is not None
        return pair

    @staticmethod
    def _live_in(db: sqlite3.Connection) -> Pair | None:
        row = db.execute(_LIVE).fetchone()
        return Pair(*row) if row else None

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        """What a query finds; nothing where no version was ever registered."""
        if not self._file.is_file():
            return []
        with closing(sqlite3.connect(self._file, timeout=_BUSY_S)) as db:
            try:
                return db.execute(query, parameters).fetchall()
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):  # another process is just making the file
                    return []
                raise

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with translate_disk_full(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self._file, timeout=_BUSY_S, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
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
