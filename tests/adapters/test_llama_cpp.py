"""Ctrl-C while llama.cpp starts: in a process of its own, because what fails there hangs."""

from __future__ import annotations

import subprocess
import sys

START = """
import os, signal
import xllamacpp
from llm_twin.adapters.llama_cpp import LlamaCppEngine
from llm_twin.adapters.weights import packaged_base

signal.signal(signal.SIGINT, signal.default_int_handler)
real = xllamacpp.Server

def interrupted(params):
    server = real(params)
    os.kill(os.getpid(), signal.SIGINT)
    return server

xllamacpp.Server = interrupted
try:
    LlamaCppEngine(packaged_base(), {}, context=256, threads=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_as_the_server_is_made_ends_the_process() -> None:
    """A server that was freed before its loop had begun waited for ever, one of five times."""
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", START], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
