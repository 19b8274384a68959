"""Many processes that register model versions at once: none lost, none doubled, and how long one waits.

8 processes register 50 versions each in one workspace. A version is a file of random bytes, as large as the
default base's adapter with --full, and else small, so that what is measured is the registry and not the disk.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path

from machine import Measured, run

from llm_twin.contracts.manifests import ModelManifest, PartId, PromptId
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG
from llm_twin.registry import Registry

PROCESSES, EACH, QUICK = 8, 50, 10
SMALL, FULL = 1_000, 19_600_000  # bytes; rank 16 on all linear layers of the default base, float32


def main() -> None:
    run("registry", __doc__, measure, arguments)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="adapters of 20 MB")


def measure(options: argparse.Namespace) -> Measured:
    each, size = QUICK if options.quick else EACH, FULL if options.full else SMALL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = [[make(folder / f"{w}-{i}", size) for i in range(each)] for w in range(PROCESSES)]
        with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
            pool.map(warm, range(PROCESSES), chunksize=1)
            began = time.perf_counter()
            jobs = [pool.apply_async(register, (folder / "models", mine)) for mine in prepared]
            waits = sorted(wait for job in jobs for wait in job.get())
            seconds = time.perf_counter() - began
        registry = Registry(folder / "models")
        names = [entry.version for entry in registry.entries()]
        hashes = {registry.get(n).manifest.files[ADAPTER] for n in names}
    wanted = PROCESSES * each
    figures = {
        "processes": PROCESSES,
        "registrations": wanted,
        "adapter_bytes": size,
        "lost": wanted - len(hashes),
        "doubled": len(names) - len(hashes),
        "numbered_without_gaps": names == [f"v{n}" for n in range(1, wanted + 1)],
        "a_second": round(wanted / seconds, 1),
        "median_ms": round(1000 * statistics.median(waits), 1),
        "longest_ms": round(1000 * waits[-1]),
    }
    return Measured(figures, {}, {})


def make(folder: Path, size: int) -> Path:
    folder.mkdir()
    (folder / ADAPTER).write_bytes(os.urandom(size))
    (folder / ADAPTER_CONFIG).write_text("{}")
    return folder


def warm(_: int) -> None:
    """Give every process of the pool something to do, so that all have started."""
    time.sleep(0.5)


def register(models: Path, folders: list[Path]) -> list[float]:
    """Seconds of each registration."""
    manifest = ModelManifest(
        version="",
        content_id="",
        created_at="2026-01-02T03:04:05+00:00",
        parent=None,
        parameters={},
        prompt=PromptId(version="1", author="Ada"),
        files={},
        base=PartId(name="none", id="b" * 64),
        features=PartId(name="F0001", id="f" * 64),
        posts=(),
        tokens=0,
        seconds=0.0,
        packages={},
        scores={},
    )
    waits = []
    for folder in folders:
        began = time.perf_counter()
        Registry(models).register(folder, manifest)
        waits.append(time.perf_counter() - began)
    return waits


if __name__ == "__main__":
    main()
