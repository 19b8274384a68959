"""Threads: how many are of use in this process, and those that OpenMP keeps for later.

torch's and llama.cpp's are the same ones: they share one libgomp in a process.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_SOFT = 1  # omp_pause_soft: what the program has set stays


def cores() -> int:
    """Physical cores that this process may use; two threads on one share its multipliers."""
    import psutil

    there = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else there
    return max(1, min(there, usable))


def release_threads() -> None:
    """End the threads that OpenMP keeps for the calling thread; its next parallel loop starts new ones.

    With no more threads than cores in all of a process, libgomp lets one that waits spin; with more, it
    sleeps. llama.cpp's threads wait for each other some 900 times a token: after torch had worked on both of
    two cores, 16 tokens/s came instead of 64, for as long as torch's idle threads were kept. Nothing happens
    where libgomp is not in use (macOS, Windows).
    """
    pause = getattr(_libgomp(), "omp_pause_resource_all", None)  # of OpenMP 5.0: older ones have none
    if pause is not None:
        pause(_SOFT)


def _libgomp() -> Any:
    """The library, if something in this process has loaded it; None elsewhere."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD)
    except OSError:
        return None
