"""Versions of adapters in SQLite, their files in content-addressed folders, and the one live pair.

    models/registry.db          versions (v1, v2 ...), tombstones, the candidate, every live pair there was
    models/<content id>/        a sealed adapter; its folder exists before its row does

A row is the last thing that is written and the first that goes, so a killed process leaves at most a folder
without a row, which the next registration of the same content replaces and `models gc` deletes. Processes
that add or remove versions take turns, since copying an adapter may take seconds; the database is locked only
while rows are written, so that promoting and rolling back never wait for a copy.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_twin.contracts.manifests import (
    MANIFEST,
    MODEL_NAME,
    ModelManifest,
    Tombstone,
    file_hash,
    read_sealed,
    verify,
)
from llm_twin.contracts.ports import Progress, Silent
from llm_twin.contracts.versions import BASE, ModelVersion
from llm_twin.errors import IntegrityError, VersionNotFound
from llm_twin.registry import database
from llm_twin.registry.files import check_names
from llm_twin.workspace import Workspace, atomic_folder, sweep

_LIVE = "SELECT model, features FROM live WHERE undone = 0 ORDER BY id DESC LIMIT 1"
_PAIRS = "SELECT model, features FROM live WHERE undone = 0 ORDER BY id DESC"
_HISTORY = "SELECT id, model, features FROM live WHERE undone = 0 ORDER BY id DESC"
_RESTORE = "Restore it: llm-twin models import a copy, or train it again"
_TURN_S = 600.0  # how long a registration waits for those before it: seconds each, for a large adapter


@dataclass(frozen=True, slots=True)
class Pair:
    """What serves: a model version (or "base") and a feature version."""

    model: str
    features: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of `models list`. `created_at` is when the version was registered here."""

    version: str
    content_id: str
    features: str
    created_at: str
    aliases: tuple[str, ...]


class Registry:
    """The registry of one workspace. Cheap enough to open for every question; reading changes nothing.

    What asks raises WorkspaceError where the file cannot be read, what writes as `database.writing` does.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "registry.db"

    def register(self, files: Path, manifest: ModelManifest) -> ModelVersion:
        """Seal the files of a folder as the next version and make it the candidate, if it is not live.

        `manifest.version`, `files` and `content_id` are filled in here. Content that is registered already is
        not registered twice: its version is returned, its files restored where they were damaged. Raises
        IntegrityError for a file that no version may hold, WorkspaceLocked where others take too long.
        """
        names = sorted(p.name for p in files.iterdir() if p.is_file() and p.name != MANIFEST)
        check_names(names, files)
        hashes = {name: file_hash(files / name) for name in names}
        sealed = manifest.model_copy(update={"files": hashes}).sealed()
        with self.turn():
            known = self._rows("SELECT number FROM versions WHERE content_id = ?", sealed.content_id)
            number = known[0][0] if known else self._next_number()
            named = sealed.model_copy(update={"version": f"v{number}"})
            if not (known and self._is_whole(named.content_id)):
                self._store(files, names, named)
            with database.writing(self._file) as db:
                if not known:
                    row = (number, named.content_id, named.features.name, _now())
                    db.execute("INSERT INTO versions VALUES (?, ?, ?, ?)", row)
                live = self._live_in(db)
                if live is None or live.model != named.version:
                    db.execute("INSERT OR REPLACE INTO candidate VALUES (1, ?)", (number,))
        return self._open(named.content_id)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The turn of one process to add or remove versions; the system ends it with the process."""
        with Workspace(self.folder.parent).lock("models", wait_s=_TURN_S):
            sweep(self.folder)
            yield

    def _next_number(self) -> int:
        """Of the next version. A number that was ever used, by a tombstone too, is not given again."""
        spent = [e.version for e in self.entries()] + [stone.version for stone in self.tombstones()]
        return max((int(name[1:]) for name in spent), default=0) + 1

    def _store(self, files: Path, names: list[str], manifest: ModelManifest) -> None:
        target = self.folder / manifest.content_id
        if target.exists():  # left by a process that was killed before its row was written
            shutil.rmtree(target)
        with atomic_folder(target) as building:
            for name in names:
                shutil.copyfile(files / name, building / name)
            verify(building, manifest.files)  # a file may have changed since it was hashed
            (building / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def get(self, name: str) -> ModelVersion:
        """A version by its name or by "live" or "candidate", verified.

        Raises VersionNotFound (also where live is the base), IntegrityError.
        """
        return self._open(self._content_id(name))

    def manifest(self, name: str) -> ModelManifest:
        """What is recorded of a version; unlike `get` it does not read the weights to verify them.

        Raises VersionNotFound, IntegrityError.
        """
        return self._manifest(self._content_id(name))

    def manifests(self) -> dict[str, ModelManifest]:
        """What is recorded of each version, by name, oldest first.

        Those whose manifest is missing or damaged are left out: they cannot serve before they are restored.
        """
        found = {}
        for entry in self.entries():
            with suppress(VersionNotFound, IntegrityError):
                found[entry.version] = self._manifest(entry.content_id)
        return found

    def _open(self, content_id: str) -> ModelVersion:
        """Every hash is checked: of the files by the manifest, of the manifest by the name of its folder."""
        folder, manifest = self.folder / content_id, self._manifest(content_id)
        verify(folder, manifest.files)
        return ModelVersion(folder, manifest)

    def _manifest(self, content_id: str) -> ModelManifest:
        path = self.folder / content_id / MANIFEST
        try:
            manifest = read_sealed(ModelManifest, path.parent)
        except IntegrityError as error:
            raise IntegrityError(error.what, _RESTORE) from error
        if manifest.content_id != content_id:
            raise IntegrityError(f"{path} is of another version", _RESTORE)
        return manifest

    def _is_whole(self, content_id: str) -> bool:
        try:
            self._open(content_id)
        except (IntegrityError, VersionNotFound):
            return False
        return True

    def _content_id(self, name: str) -> str:
        row = self._rows("SELECT content_id FROM versions WHERE number = ?", self.resolve(name)[1:])
        if not row:
            raise VersionNotFound(f"No adapter behind {name!r}", "Train one: llm-twin train")
        return str(row[0][0])

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
        for stone in self.tombstones():
            if stone.version == name:
                raise VersionNotFound(
                    f"{name} is gone since {stone.gone_at[:10]} ({stone.reason}; content "
                    f"{stone.content_id[:12]})",
                    f"Choose one of: {there}",
                )
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
        return [Pair(*row) for row in self._rows(_PAIRS)]

    def tombstones(self) -> list[Tombstone]:
        """What stays of the versions that are gone, oldest first."""
        rows = self._rows(
            "SELECT number, content_id, created_at, parent, gone_at, reason FROM gone ORDER BY number"
        )
        fields = ("content_id", "created_at", "parent", "gone_at", "reason")
        return [Tombstone(version=f"v{row[0]}", **dict(zip(fields, row[1:], strict=True))) for row in rows]

    def bury(self, manifests: Sequence[ModelManifest], reason: str) -> list[str]:
        """Take versions out of the registry, each leaving a tombstone; the names of those that went.

        What is live, candidate, or where a rollback leads stays, whoever asks. Their folders are left to
        `registry.gc`. Call it within a `turn`.
        """
        now = _now()
        with database.writing(self._file) as db:
            needed = {model for model, _ in db.execute(_PAIRS)}
            needed |= {f"v{number}" for (number,) in db.execute("SELECT number FROM candidate")}
            going = [m for m in manifests if m.version not in needed]
            for m in going:
                db.execute(
                    "INSERT INTO gone VALUES (?, ?, ?, ?, ?, ?)",
                    (m.version[1:], m.content_id, m.created_at, m.parent, now, reason),
                )
                db.execute("DELETE FROM versions WHERE number = ?", (m.version[1:],))
        return [m.version for m in going]

    def switch(self, pair: Pair, reason: str, expected: Pair | None) -> bool:
        """Make `pair` live if `expected` still is (compare and swap); False where another was first.

        Raises VersionNotFound where the model was collected meanwhile.
        """
        with database.writing(self._file) as db:
            if self._live_in(db) != expected:
                return False
            if db.execute("SELECT 1 FROM gone WHERE number = ?", (pair.model[1:],)).fetchone():
                raise VersionNotFound(f"{pair.model} is gone", "See llm-twin models list")
            db.execute(
                "INSERT INTO live (model, features, since, reason) VALUES (?, ?, ?, ?)",
                (pair.model, pair.features, _now(), reason),
            )
            db.execute("DELETE FROM candidate WHERE number = ?", (pair.model[1:],))
        return True

    def rollback(
        self,
        allow_tainted: bool = False,
        features: Collection[str] | None = None,
        progress: Progress | None = None,
    ) -> Pair:
        """Restore the last live pair before the present one that can serve.

        A pair whose model is tainted cannot, unless that is allowed, nor one whose features are not among the
        names in `features`, where these are given, nor one whose model is damaged: `progress` is told of
        those. Raises VersionNotFound where there was none.
        """
        progress = progress or Silent()
        while True:
            history = self._rows(_HISTORY)
            tainted = self.tainted()
            clean = [row for row in history[1:] if allow_tainted or row[1] not in tainted]
            there = [row for row in clean if features is None or row[2] in features]
            found = next((row for row in there if self._can_serve(row[1], progress)), None)
            if found is None:
                why = " whose model is not tainted" if history[1:] else ""
                why = " whose features are still there" if clean else why
                why = " whose model is undamaged" if there else why
                raise VersionNotFound(
                    f"There is no earlier live pair{why} to go back to", "See llm-twin models list"
                )
            with database.writing(self._file) as db:
                # While the files were read another process may have switched, or forgotten a post: then it
                # is looked at again.
                known = {f"v{number}" for (number,) in db.execute("SELECT number FROM taint")}
                if (db.execute(_HISTORY).fetchall(), known) == (history, set(tainted)):
                    db.execute("UPDATE live SET undone = 1 WHERE id > ?", found[:1])
                    return Pair(*found[1:])

    def _can_serve(self, model: str, progress: Progress) -> bool:
        if model == BASE:
            return True
        try:
            self.get(model)
        except (IntegrityError, VersionNotFound) as error:
            progress.say(f"Passed over {model}: {error.what}.")
            return False
        return True

    def taint(self, name: str, posts: Iterable[str]) -> None:
        """Name posts, forgotten since, that a version was trained on. Raises VersionNotFound."""
        number, now = self.resolve(name)[1:], _now()
        with database.writing(self._file) as db:
            db.executemany(
                "INSERT OR IGNORE INTO taint VALUES (?, ?, ?)", [(number, post, now) for post in posts]
            )

    def tainted(self) -> dict[str, tuple[str, ...]]:
        """The versions that were trained on posts forgotten since, each with the ids of those posts."""
        found: dict[str, tuple[str, ...]] = {}
        for number, post in self._rows("SELECT number, post FROM taint ORDER BY number, post"):
            found[f"v{number}"] = (*found.get(f"v{number}", ()), post)
        return found

    def leave_features(self, gone: Collection[str], successor: str | None, fitting: Collection[str]) -> None:
        """Lead no pair to feature versions that are about to be deleted; `successor` takes their place.

        Where a model is not `fitting` it, the live pair becomes the base with it, and an earlier pair is not
        rolled back to any more. Without a successor, neither is any pair of what is gone.
        """
        with database.writing(self._file) as db:
            later: Pair | None = None
            for place, (number, model, features) in enumerate(db.execute(_HISTORY).fetchall()):
                pair: Pair | None = Pair(model, features)
                if features in gone:
                    serves = BASE if place == 0 and model not in fitting else model
                    fits = serves == BASE or serves in fitting
                    pair = Pair(serves, successor) if successor and fits else None
                if pair is None or pair == later:  # a rollback from a pair to itself would do nothing
                    db.execute("UPDATE live SET undone = 1 WHERE id = ?", (number,))
                else:
                    values = (pair.model, pair.features, number)
                    db.execute("UPDATE live SET model = ?, features = ? WHERE id = ?", values)
                    later = pair

    @staticmethod
    def _live_in(db: sqlite3.Connection) -> Pair | None:
        row = db.execute(_LIVE).fetchone()
        return Pair(*row) if row else None

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        return database.rows(self._file, query, *parameters)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
