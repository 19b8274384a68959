"""Where everything of one twin lies on disk, and how it is written: atomically, under locks, never half.

my-twin/
  twin.yaml             the configuration
  workspace.id          what tells this workspace from others on a shared server, and where it lies; made when
                        one is used
  library.db            collected posts (SQLite)
  features/F0001/       sealed feature versions, and tombstones of those that were deleted
  index/                vector indexes, derived from the versions
  models/registry.db    versions, aliases, the live pair
  models/<content id>/  sealed adapters
  runs/<run id>/        checkpoints and curves of training runs
  cache/                embeddings, HTTP answers; may be deleted at any time
  locks/                who writes a part; locks/readers/: who has a feature version open
  chats/, reports/      what chat saved, what eval wrote
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llm_twin.errors import DiskFull, WorkspaceError, WorkspaceLocked

CONFIG_FILE = "twin.yaml"
# How often a lock is tried again. With 0.05 one of 8 processes that took turns waited 17 s for its own.
_POLL_S = 0.01
_IDENTITY_WAIT_S = 10.0  # for another process that writes it: milliseconds
# What a person can do where a path cannot be used.
_FIXES = {
    **dict.fromkeys((errno.EACCES, errno.EROFS, errno.EPERM), "Check its permissions"),
    **dict.fromkeys(
        (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG), "Name another, or move what is there"
    ),
}
# The same for a database, by SQLite's primary result code. Of a file that could not grow it says "I/O error".
_OF_SQLITE: dict[int, tuple[type[WorkspaceError], str]] = {
    sqlite3.SQLITE_FULL: (DiskFull, "Free some space and run the same command again"),
    sqlite3.SQLITE_IOERR: (DiskFull, "Free some space, or check the disk, and run the same command again"),
    **dict.fromkeys(
        (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED),
        (WorkspaceLocked, "Wait until the process that writes it has ended, or stop it"),
    ),
    **dict.fromkeys(
        (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN), (WorkspaceError, "Check its permissions")
    ),
}
_WINDOWS = os.name == "nt"
ENVIRONMENT = "LLM_TWIN_WORKSPACE"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one twin. Makes no folder until something is written."""

    root: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Workspace:
        """`given`, else $LLM_TWIN_WORKSPACE, else the nearest parent folder with a twin.yaml.

        Raises WorkspaceError where there is none.
        """
        named = given
        if named is None and (told := os.environ.get(ENVIRONMENT)):
            named = Path(told)
            with suppress(RuntimeError):  # no shell has expanded "~" in an .env file; its user may be unknown
                named = named.expanduser()
        if named is not None:
            if not (named / CONFIG_FILE).is_file():
                raise WorkspaceError(
                    f"{named} is not a workspace (no {CONFIG_FILE} in it)", f"Make it: llm-twin init {named}"
                )
            return cls(named.resolve())
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / CONFIG_FILE).is_file():
                return cls(folder)
        raise WorkspaceError(
            f"No workspace in {here} or above it",
            "Make one: llm-twin init my-twin, then cd my-twin (or use --workspace)",
        )

    @property
    def config_file(self) -> Path:
        """twin.yaml."""
        return self.root / CONFIG_FILE

    @property
    def library(self) -> Path:
        """The SQLite library of posts."""
        return self.root / "library.db"

    @property
    def features(self) -> Path:
        """Sealed feature versions, one folder each."""
        return self.root / "features"

    @property
    def index(self) -> Path:
        """Vector indexes, one folder a feature version."""
        return self.root / "index"

    @property
    def models(self) -> Path:
        """The registry and its sealed adapters."""
        return self.root / "models"

    @property
    def runs(self) -> Path:
        """Training runs."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """What may be deleted at any time."""
        return self.root / "cache"

    @property
    def chats(self) -> Path:
        """Conversations that the user saved."""
        return self.root / "chats"

    @property
    def reports(self) -> Path:
        """Evaluation reports."""
        return self.root / "reports"

    @property
    def identity_file(self) -> Path:
        """Who this workspace is on a server; there is none before one was used."""
        return self.root / "workspace.id"

    def identity(self) -> str:
        """Twelve hex digits of this workspace's own, which move with it; made at the first call.

        A copy gets others at its first call while the original is where it was: on a server it would delete
        what is the original's. One on another machine cannot know, and should be given a store.prefix.
        """
        known, root = _read_identity(self.identity_file)
        if known and root == self.root.absolute():
            return known
        try:
            with self.lock("identity", wait_s=_IDENTITY_WAIT_S):
                return self._settle_identity()
        except (WorkspaceLocked, DiskFull):
            raise
        except WorkspaceError:
            if not known:
                raise
            return known  # in a folder that may only be read nothing is deleted either

    def _settle_identity(self) -> str:
        known, root = _read_identity(self.identity_file)  # another process may have been first
        if not known or self._is_copy(known, root):
            known = secrets.token_hex(6)
        atomic_write(self.identity_file, b"%s\n%s\n" % (known.encode(), os.fsencode(self.root.absolute())))
        return known

    def _is_copy(self, known: str, root: Path | None) -> bool:
        """Whether another folder is the workspace of this identity; one that was moved is no copy."""
        there = Workspace(root).identity_file if root else None
        if there is None or _read_identity(there)[0] != known:
            return False
        return not there.samefile(self.identity_file)  # nor is one that is mounted twice

    @contextmanager
    def lock(self, name: str, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the writers' lock of one part ("library", "features", "models", "training") of this workspace.

        The operating system frees it when the process ends, however it ends. Raises WorkspaceLocked at once,
        or after `wait_s` seconds.
        """
        from filelock import FileLock, Timeout

        folder = self.root / "locks"
        with translate_disk_full(self.root):  # also what is done under the lock, wherever in the workspace
            folder.mkdir(parents=True, exist_ok=True)
            lock, owner = FileLock(folder / f"{name}.lock"), folder / f"{name}.pid"
            try:
                lock.acquire(timeout=wait_s, poll_interval=_POLL_S)
            except Timeout:
                pid = "unknown"
                with suppress(OSError):  # just let go of, or not yet written
                    pid = owner.read_text().strip()
                raise WorkspaceLocked(
                    f"{self.root} is locked for {name} by process {pid}",
                    "Wait until it has ended, or stop it",
                ) from None
            try:
                owner.write_text(str(os.getpid()))
                yield
            finally:
                owner.unlink(missing_ok=True)
                lock.release()


@contextmanager
def translate_disk_full(path: Path) -> Iterator[None]:
    """Turn "no space left", "permission denied" and a path of a wrong kind into errors for people.

    They name the file that the system names, else `path`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"No space left on the disk of {error.filename or path}",
                "Free some space and run the same command again",
            ) from error
        if fix := _FIXES.get(error.errno or 0):
            raise WorkspaceError(
                f"{error.filename or path} cannot be used ({error.strerror})", fix
            ) from error
        raise


@contextmanager
def translate_sqlite(file: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that it cannot use into errors for people; a damaged one is no such."""
    try:
        yield
    except sqlite3.OperationalError as error:
        kind, fix = _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, (None, ""))
        if kind is None:
            raise
        raise kind(f"{file} cannot be used ({error})", fix) from error


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill; it appears at `target` complete when the block ends, or not at all.

    Files are flushed to disk before the rename, so that a crash cannot leave a sealed name over empty files.
    """
    with translate_disk_full(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not by tempfile, whose folders and files no other user may read.
        building = target.parent / f".building-{secrets.token_hex(8)}"
        building.mkdir()
        try:
            yield building
            for path in building.rglob("*"):
                if path.is_file():
                    _flush(path)
            building.rename(target)
            _flush(target.parent)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise


def atomic_write(target: Path, data: bytes | str) -> None:
    """Write a file that is either the old one or the new one, never in between; who may read it stays.

    A link stays, and the file that it leads to is written; a device or a FIFO is written to as it is.
    """
    raw = data.encode() if isinstance(data, str) else data
    with translate_disk_full(target):
        if target.exists() and not target.is_file():
            target.write_bytes(raw)
            return
        file = Path(os.path.realpath(target))
        file.parent.mkdir(parents=True, exist_ok=True)
        writing = file.parent / f".writing-{secrets.token_hex(8)}"
        try:
            with writing.open("xb") as out:
                with suppress(FileNotFoundError):
                    shutil.copymode(file, writing)
                out.write(raw)
                out.flush()
                os.fsync(out.fileno())
            writing.replace(file)
        except BaseException:
            writing.unlink(missing_ok=True)
            raise


def sweep(folder: Path) -> None:
    """Delete what an interrupted writer left in `folder`. Call only under the writers' lock."""
    for path in folder.glob(".building-*"):
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".writing-*"):
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    if _WINDOWS and path.is_dir():  # it flushes no folder, and a file only through a handle that may write
        return
    handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_identity(file: Path) -> tuple[str, Path | None]:
    """(identity, folder of the workspace that it was given to); "" and None for what is not known."""
    try:
        known, _, root = file.read_bytes().removesuffix(b"\n").partition(b"\n")
    except OSError:
        return "", None
    return known.decode("ascii", "replace").strip(), Path(os.fsdecode(root)) if root else None
