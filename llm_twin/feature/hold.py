"""Readers hold the version that they have open, so that it is not collected under them.

locks/readers/F0001.4711.5f3c9a2e.lock   one file a reader: version, process, a random part

Each file is locked by its reader, and the operating system frees the lock when the process ends, however it
ends. A file that can be locked is therefore one whose reader is gone. Locks of one owner each, and not one
that is shared, because Windows has no shared ones in filelock.
"""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.workspace import Workspace, translate_disk_full

if TYPE_CHECKING:
    from filelock import BaseFileLock

_WAIT_S = 30.0  # for the moment in which another process opens or removes a version: milliseconds


class Hold:
    """Keeps a version from being collected until this is released or dropped, or its process ends."""

    def __init__(self, path: Path) -> None:
        from filelock import FileLock

        lock = FileLock(path, thread_local=False)  # a reader may be closed by another thread than opened it
        lock.acquire(timeout=0)
        self._release = weakref.finalize(self, _let_go, lock, path)

    def release(self) -> None:
        """Let the version go; again does nothing."""
        self._release()


@contextmanager
def settled(workspace: Workspace) -> Iterator[None]:
    """While this is held, no reader opens a version and none is taken away. Raises WorkspaceLocked."""
    with workspace.lock("readers", wait_s=_WAIT_S):
        yield


def hold(workspace: Workspace, version: str) -> Hold:
    """Hold a version; call it where `settled`. Raises WorkspaceError, DiskFull."""
    folder = _folder(workspace)
    with translate_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Hold(folder / f"{version}.{os.getpid()}.{secrets.token_hex(4)}.lock")


def holders(workspace: Workspace, version: str) -> list[int]:
    """Ids of the processes that hold a version; what dead ones left is removed on the way."""
    from filelock import FileLock, Timeout

    found = []
    for path in sorted(_folder(workspace).glob(f"{version}.*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            found.append(int(path.name.split(".")[1]))
        else:
            _let_go(lock, path)
    return found


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "locks" / "readers"


def _let_go(lock: BaseFileLock, path: Path) -> None:
    with suppress(OSError):  # Windows deletes no open file: `holders` finds it later
        path.unlink(missing_ok=True)
    lock.release()
