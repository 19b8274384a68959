"""A build, or a collection of old versions, in a process of its own that kills itself at its n-th step.

    python -m tests.feature.builder build|collect WORKSPACE LAST_POST STEP

A step is a report of progress, or a file of the workspace that is opened, made, renamed or deleted: between
two of them nothing that another process can see changes. Step 0 never comes. Prints the number of steps.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from llm_twin.adapters.edge import EdgeStore
from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.feature import gc, run
from llm_twin.workspace import Workspace
from tests.feature.conftest import HashEmbedder, make_post

FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "sqlite3.connect"}


class Steps(Silent):
    """Counts, and kills this process at the step that was asked for."""

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last, self.count = str(folder), last, 0

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(self.folder):
            self.advance()

    def start(self, stage: str, total: int | None = None) -> None:
        self.advance()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    what, folder, last_post, step = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    steps, space, store = Steps(folder, step), Workspace(folder), EdgeStore(folder / "index")
    sys.addaudithook(steps.audit)
    if what == "build":
        posts = [make_post(n) for n in range(last_post)]
        run(posts, Config(), HashEmbedder(), store, space, steps)
    else:
        gc.run(space, store, {}, grace_days=0)
    print(steps.count)


if __name__ == "__main__":
    main()
