"""Training by several processes, as `accelerate launch` starts them: one version, the same report in each."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_twin import compose
from tests.compose.test_training_kill import LOADED
from tests.compose.tiny import OVERRIDES, make_base, make_workspace

PROCESSES = 2
# One micro-batch fills a step, so that in most steps one process has nothing to learn.
SETTINGS = (*OVERRIDES, "training.batch_tokens=64", "training.max_tokens=600", "training.shots=0")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a forkserver")


def measured(report: compose.TrainReport) -> float:
    return report.evaluation.bits_per_byte["adapter"].value


def work(folder: Path, rank: int, port: int, told: Any) -> None:
    os.environ |= {
        "ACCELERATE_USE_CPU": "yes",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(PROCESSES),
        "LOCAL_WORLD_SIZE": str(PROCESSES),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    if hasattr(os, "sched_setaffinity"):  # each on a core of its own, as it would have a GPU
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    report = compose.train(compose.open_workspace(folder, SETTINGS))
    told.put((report.version, report.live, report.run.tokens, measured(report)))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_two_processes_train_one_version_as_one_would(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    alone = compose.train(compose.open_workspace(make_workspace(tmp_path / "alone", base), SETTINGS))
    folder = make_workspace(tmp_path / "together", base)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    told = context.Queue()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = [context.Process(target=work, args=(folder, rank, port, told)) for rank in range(PROCESSES)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        process.kill()
    assert [process.exitcode for process in started] == [0] * PROCESSES
    first, second = told.get(), told.get()
    assert first == second
    version, live, tokens, value = first
    assert (version, live, tokens) == (alone.version, alone.live, alone.run.tokens)
    assert value == pytest.approx(measured(alone), rel=1e-4)
    registry = compose.open_workspace(folder).registry
    assert [entry.version for entry in registry.entries()] == ["v1"]
