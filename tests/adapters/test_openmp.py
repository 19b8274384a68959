"""In a process of its own: in this one, other tests' threads come and go."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from llm_twin.adapters.openmp import release_threads

WORK = """
import psutil, torch
from llm_twin.adapters.openmp import release_threads

def work():
    torch.ones(512, 512) @ torch.ones(512, 512)
    return psutil.Process().num_threads()

torch.set_num_threads(4)
before = psutil.Process().num_threads()
working = work()
release_threads()
print(before, working, psutil.Process().num_threads(), work())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp is Linux's")
def test_torchs_idle_threads_end_and_come_again() -> None:
    found = subprocess.run(
        [sys.executable, "-c", WORK], capture_output=True, text=True, check=True, timeout=120
    )
    before, working, released, again = map(int, found.stdout.split())
    assert working == again == before + 3
    assert released == before


def test_without_such_threads_nothing_happens() -> None:
    release_threads()
    release_threads()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")
def test_cores_that_this_process_may_not_use_do_not_count() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}); "
        "from llm_twin.adapters.openmp import cores; print(cores())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "1\n"
