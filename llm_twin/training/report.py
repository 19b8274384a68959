"""What a training run hands back, and its curves on disk."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from llm_twin.contracts.bits import BitsPerByte
from llm_twin.contracts.records import Record
from llm_twin.workspace import atomic_write


class Point(Record):
    """One optimiser step: tokens seen so far, mean loss in nats a token, and validation bits per byte if
    measured.

    Step 0 is before training and has no loss.
    """

    step: int
    tokens: int
    loss: float | None
    bits_per_byte: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """The result of a run.

    Attributes:
        adapter_dir: PEFT format (safetensors and JSON), ready to be sealed.
        tokens: tokens forward and backward, without padding; tokens_per_s counts optimiser steps only.
        seconds: the whole run with its measures, over all its sessions where it was resumed.
        bits_per_byte: "base" and "adapter" on validation posts (the same ones).
        best_step: the step whose weights are the adapter; earlier than the last where validation turned.
        stopped_early: whether patience ended the run before its planned tokens.
    """

    adapter_dir: Path
    tokens: int
    tokens_per_s: float
    peak_rss_mb: float
    seconds: float
    bits_per_byte: dict[str, BitsPerByte]
    curve: tuple[Point, ...]
    best_step: int
    stopped_early: bool


class _Curve(Record):
    points: tuple[Point, ...]


def write_curves(run_dir: Path, curve: tuple[Point, ...]) -> None:
    """curve.json and curves.png: training loss and validation bits per byte over tokens."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    atomic_write(run_dir / "curve.json", _Curve(points=curve).model_dump_json(indent=1) + "\n")
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    steps = [p for p in curve if p.loss is not None]
    left.plot([p.tokens for p in steps], [p.loss for p in steps], linewidth=1)
    left.set(title="Training loss", xlabel="tokens", ylabel="nats per token")
    measured = [p for p in curve if p.bits_per_byte is not None]
    right.plot([p.tokens for p in measured], [p.bits_per_byte for p in measured], marker="o")
    right.set(title="Validation", xlabel="tokens", ylabel="bits per byte")
    figure.savefig(run_dir / "curves.png", dpi=120)


def peak_rss_mb() -> float:
    """The most memory that this process has held, in MB (10^6 bytes)."""
    import psutil

    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def package_versions() -> dict[str, str]:
    """Versions of the packages that the weights depend on, for the manifest."""
    return {name: version(name) for name in ("torch", "transformers", "peft", "accelerate")}
