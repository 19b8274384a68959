"""The frame of every benchmark: its arguments, the machine it ran on, and what it prints."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Measured:
    """What a benchmark found: its own figures, those of named peers in the same run, and their ratios."""

    figures: dict[str, Any]
    peers: dict[str, Any]
    ratios: dict[str, float]


def describe() -> dict[str, Any]:
    """The machine, and how busy it was when asked: a rate means nothing without both."""
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(psutil.getloadavg()[0], 2),
    }


def run(
    name: str,
    about: str | None,
    measure: Callable[[argparse.Namespace], Measured],
    arguments: Callable[[argparse.ArgumentParser], None] | None = None,
) -> None:
    """Read --quick, --json and the benchmark's own arguments, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=(about or name).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter repeats")
    parser.add_argument("--json", action="store_true", help="one line for machines")
    if arguments:
        arguments(parser)
    options = parser.parse_args()
    machine = describe()
    found = measure(options)
    result = {
        "name": name,
        "machine": machine,
        "figures": found.figures,
        "peers": found.peers,
        "ratios": found.ratios,
    }
    print(json.dumps(result, indent=None if options.json else 2, ensure_ascii=False))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
