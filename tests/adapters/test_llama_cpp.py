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

class Interrupted:
    def __init__(self, params):
        self.server = real(params)
        os.kill(os.getpid(), signal.SIGINT)

    def handle_completions(self, request):
        answer = self.server.handle_completions(request)
        print("runs")
        return answer

xllamacpp.Server = Interrupted
try:
    LlamaCppEngine(packaged_base(), {}, context=256, threads=1)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_as_the_server_is_made_waits_until_it_runs() -> None:
    """A server that was freed before its loop had begun waited for ever, one of five times."""
    done = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "runs\ninterrupted\n"), done.stderr
