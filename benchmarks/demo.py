"""How long each stage of the demo takes, and how much better the twin predicts unseen posts than its base.

A new workspace in a temporary folder; weights that were dequantised before are used again (the first time
costs about 20 s more). There is no peer: none of them goes from a site to a twin without an account.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from machine import Measured, run

from llm_twin import compose

QUICK = ["training.max_tokens=10000", "training.evaluations=1", "training.shots=0"]


def main() -> None:
    run("demo", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        story = compose.demo(Path(folder) / "twin", overrides=QUICK if options.quick else [])
    trained = story.trained
    test, gain = trained.evaluation.bits_per_byte, trained.evaluation.gains["adapter"]
    figures = {
        "seconds": story.seconds | {"total": round(sum(story.seconds.values()), 1)},
        "posts": story.collected.posts_new,
        "chunks": story.built.chunks,
        "samples": story.built.samples,
        "trained_tokens": trained.run.tokens,
        "trained_tokens_per_s": round(trained.run.tokens_per_s, 1),
        "peak_rss_mb": round(trained.run.peak_rss_mb),
        "test_bits_per_byte": {name: round(score.value, 4) for name, score in test.items()},
        "test_gain": {"value": round(gain.value, 4), "low": round(gain.low, 4), "high": round(gain.high, 4)},
        "answer_tokens_per_s": round(max(e.twin.tokens_per_s for e in story.exchanges), 1),
    }
    return Measured(figures, {}, {})


if __name__ == "__main__":
    main()
