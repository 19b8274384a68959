"""kill -9 while a version is trained, registered, promoted: what was live serves, and the work can be ended.

benchmarks/kill_training.py does the same at 50 moments.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.registry import Pair
from llm_twin.registry.files import check_adapter
from tests.compose.tiny import make_base, make_workspace, open_tiny

KILLS, SEED = 5, 20261126
FEW, MORE = 300, 1500  # tokens: v2 learns longer than v1, so that the gate lets it by
LOADED = ["peft", "accelerate", "transformers", "matplotlib.backends.backend_agg", "llm_twin.training"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")


def work(folder: Path) -> None:
    """Train v2, which goes live; go back to v1, and promote v2.

    On one core: where others are busy too, threads that wait for each other take many times as long.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    space = open_tiny(folder, MORE)
    report = compose.train(space, resume=True)
    assert report.live, report.verdict.reason
    compose.rollback(space)
    compose.promote(space, report.version)


def nothing(folder: Path) -> None:
    """No work."""


def in_a_process(
    folder: Path,
    work: Callable[[Path], None],
    kill_after_s: float | None = None,
    registering: bool = False,
) -> float:
    """Seconds that some work took in a process of its own, or that passed until it was killed.

    They are counted from its start, or from when it begins to register a version.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)  # so that the moments lie in the work and not in the imports
    process = context.Process(target=work, args=(folder,))
    began = time.perf_counter()
    process.start()
    if registering:
        while process.is_alive() and not any((folder / "models").glob(".building-*")):
            time.sleep(0.001)
        began = time.perf_counter()
    process.join(kill_after_s)
    if kill_after_s is None:
        assert process.exitcode == 0
    process.kill()
    process.join()
    return time.perf_counter() - began


def contents(folder: Path) -> list[str]:
    """The content of every version that can be seen, each opened, and verified to be a whole adapter."""
    registry = open_tiny(folder, MORE).registry
    for entry in registry.entries():
        check_adapter(registry.get(entry.version).folder)
    return [entry.content_id for entry in registry.entries()]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_training_that_is_killed_leaves_what_was_live_and_ends_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    before = make_workspace(tmp_path / "before", make_base(tmp_path / "base"))
    assert compose.train(open_tiny(before, FEW)).live
    whole = tmp_path / "whole"
    shutil.copytree(before, whole)
    in_a_process(before, nothing)  # the first process loads the libraries
    draw, began = random.Random(SEED), time.perf_counter()
    end = in_a_process(whole, work, registering=True)  # all that follows training takes little of the time
    seconds, wanted = time.perf_counter() - began, contents(whole)
    assert len(wanted) == 2
    for n in range(KILLS):
        folder = tmp_path / str(n)
        shutil.copytree(before, folder)
        late = n % 2 == 1
        in_a_process(folder, work, draw.uniform(0, end if late else seconds), registering=late)
        seen, registry = contents(folder), open_tiny(folder, MORE).registry
        assert seen == wanted[: len(seen)]
        live = registry.live()
        assert live in (Pair("v1", "F0001"), Pair("v2", "F0001"))
        assert registry.get("live").manifest.content_id in seen
        in_a_process(folder, work)
        assert contents(folder) == wanted
        assert open_tiny(folder, MORE).registry.live() == Pair("v2", "F0001")
        assert not [*folder.rglob(".building-*"), *folder.rglob(".writing-*")]
