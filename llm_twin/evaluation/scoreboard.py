"""Bits per byte of each system on the same held-out posts, compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llm_twin.contracts import bits
from llm_twin.contracts.bits import BitsPerByte, Examples
from llm_twin.contracts.ports import ChatTokenizer, Progress, Scorer, Silent
from llm_twin.contracts.records import Split
from llm_twin.contracts.versions import BASE, FeatureVersion
from llm_twin.evaluation.few_shot import FEW_SHOT, examples

_RESAMPLES = 2000  # as many as the intervals of `contracts.bits`


@dataclass(frozen=True, slots=True)
class Gain:
    """Bits per byte fewer than the base, as a share of the base's; 95 % interval paired over posts."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """What was measured on one split of one feature version; `bits_per_byte` and `gains` by system."""

    features: str
    split: Split
    bits_per_byte: dict[str, BitsPerByte]
    gains: dict[str, Gain]

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every figure, and those of each post."""
        return {
            "features": self.features,
            "split": self.split,
            "bits_per_byte": {name: m.model_dump(mode="json") for name, m in self.bits_per_byte.items()},
            "gains": {
                name: {"value": g.value, "low": g.low, "high": g.high} for name, g in self.gains.items()
            },
        }

    def markdown(self) -> str:
        """The scoreboard as a Markdown table."""
        first = next(iter(self.bits_per_byte.values()))
        lines = [
            f"Bits per byte on {len(first.posts)} {self.split} posts of {self.features} (95 % intervals):",
            "",
            "| system | bits per byte | interval | fewer than base | interval |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, m in self.bits_per_byte.items():
            g = self.gains.get(name)
            shown = f"{g.value:.1%} | {g.low:.1%} to {g.high:.1%}" if g else " | "
            lines.append(f"| {name} | {m.value:.4f} | {m.low:.4f} to {m.high:.4f} | {shown} |")
        return "\n".join(lines)


def run(
    features: FeatureVersion,
    scorers: Mapping[str, Scorer],
    tokenizer: ChatTokenizer,
    split: Split = "test",
    progress: Progress | None = None,
    shots: int = 0,
) -> EvaluationReport:
    """Measure every system on the posts of a split. Gains are over the system called "base", if there is one.

    With `shots` the base is measured once more, shown so many training posts nearest to each: "few-shot".
    Raises EmptyStore where the split holds no prose.
    """
    progress = progress or Silent()
    posts = bits.measurable(features, split)
    author = features.manifest.prompt.author
    measured = {}
    systems: list[tuple[str, Scorer, Examples | None]] = [(*system, None) for system in scorers.items()]
    if shots:
        systems.append((FEW_SHOT, scorers[BASE], examples(features, shots)))
    for name, scorer, shown in systems:
        progress.start(f"evaluate {name}", total=len(posts))
        measured[name] = bits.measure(scorer, tokenizer, posts, author, progress, shown)
    base = measured.get(BASE)
    gains = {name: gain(m, base) for name, m in measured.items() if base is not None and name != BASE}
    return EvaluationReport(features.name, split, measured, gains)


def gain(system: BitsPerByte, base: BitsPerByte) -> Gain:
    """Relative gain with its paired bootstrap interval (Efron and Tibshirani 1993), drawn over posts.

    Both must have measured the same posts in the same order. Raises ValueError otherwise.
    """
    if [p.post_id for p in system.posts] != [p.post_id for p in base.posts]:
        raise ValueError("gain: the two systems were measured on different posts")
    ours = np.array([p.bits for p in system.posts])
    theirs = np.array([p.bits for p in base.posts])
    draws = np.random.default_rng(0).integers(0, len(ours), size=(_RESAMPLES, len(ours)))
    low, high = np.quantile(1 - ours[draws].sum(1) / theirs[draws].sum(1), [0.025, 0.975])
    return Gain(float(1 - ours.sum() / theirs.sum()), float(low), float(high))
