"""`llm-twin` as a user runs it: a process of its own, no workspace named by the environment, no input."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.story import BIN

TIMEOUT_S = 180  # the longest command of these tests takes 30 s on an idle machine


def environment(**more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k != "LLM_TWIN_WORKSPACE"}
    return {**clean, "COLUMNS": "200", **more}


def llm_twin(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; one that hangs fails the test, with the stack of each of its threads."""
    with subprocess.Popen(
        [BIN / "llm-twin", *words],
        cwd=folder,
        env=environment(PYTHONFAULTHANDLER="1", **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            stdout, stderr = process.communicate()
            pytest.fail(f"llm-twin {' '.join(words)} hung:\n{stdout}\n{stderr}")
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def told(folder: Path, *words: str) -> str:
    """What a command that must succeed printed."""
    done = llm_twin(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout
