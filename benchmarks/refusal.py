"""Retrieval and refusal on the sample's questions: what is found, and what is refused that should not be.

`held_out` is the sum over two halves of the questions, each judged by weights and a threshold fitted on the
other. `weights` and `intercept` are fitted on all of them: those are the constants in
llm_twin/inference/confidence.py, and `shipped` is what they do on the questions that they were fitted on.

Weights are kept at zero or above: a twin that refuses whoever asks more exactly would be fitted to the
questionnaire and not to people.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from machine import Measured, run
from numpy.typing import NDArray
from retrieval import build_version, sample_author

from llm_twin import sample
from llm_twin.contracts.ports import Filter
from llm_twin.contracts.records import Post
from llm_twin.inference.confidence import INTERCEPT, WEIGHTS, Signals, probability
from llm_twin.inference.retrieve import Retriever

MAX_FALSE = 0.1  # share of answerable questions that may be refused: 6 of 60
STEPS, RATE, RIDGE = 4000, 0.5, 1e-3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A question, what retrieval gave for it, and the rank of the right post (None where no post answers)."""

    signals: Signals
    answerable: bool
    rank: int | None


def main() -> None:
    run("refusal", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    step = 3 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        retriever, _ = build_version(sample_author().posts, Path(folder))
        return Measured(figures(retriever, step), {}, {})


def figures(retriever: Retriever, step: int) -> dict[str, object]:
    questions, others = sample.questions()[::step], sample.unanswerable()[::step]
    known = [ask(retriever, q.question, Post.id_of(q.post)) for q in questions]
    # With its own post taken away, a question is one that only sounds as if a post answered it.
    taken = [ask(retriever, q.question, None, without=Post.id_of(q.post)) for q in questions]
    unknown = [ask(retriever, q.question, None) for q in others]
    weights, intercept = fit(known + taken + unknown)
    halves = [
        refused(known[1 - n :: 2], unknown[1 - n :: 2], *fit(known[n::2] + taken[n::2] + unknown[n::2]), 0.5)
        for n in (0, 1)
    ]
    return {
        "questions": len(known),
        "right_post_first": sum(a.rank == 1 for a in known),
        "right_post_in_first_5": sum(a.rank is not None and a.rank <= 5 for a in known),
        "weights": {f.name: round(getattr(weights, f.name), 3) for f in fields(Signals)},
        "intercept": round(intercept, 3),
        "held_out": {key: sum(half[key] for half in halves) for key in halves[0]},
        "shipped": refused(known, unknown, WEIGHTS, INTERCEPT, retriever.config.refuse_below),
        "separation": {
            f.name: {
                "unanswerable": area(values(known, f.name), values(unknown, f.name)),
                "own post taken away": area(values(known, f.name), values(taken, f.name)),
            }
            for f in fields(Signals)
        },
    }


def values(asked: list[Asked], signal: str) -> list[float]:
    return [getattr(a.signals, signal) for a in asked]


def ask(retriever: Retriever, question: str, post: str | None, without: str | None = None) -> Asked:
    where = Filter(without_posts=frozenset({without} if without else ()))
    found = [h.post_id for h in retriever.search(question, 10)] if post else []
    hits = retriever.search(question, retriever.config.k, by="chunk", where=where)
    rank = found.index(post) + 1 if post in found else None
    return Asked(retriever.signals(question, hits), post is not None, rank)


def fit(asked: list[Asked]) -> tuple[Signals, float]:
    """Logistic regression with weights of zero or above, by projected gradient; both classes weigh the same.

    The intercept is then moved so that at 0.5 at most MAX_FALSE of the answerable are refused.
    """
    x = np.array([astuple(a.signals) for a in asked])
    y = np.array([a.answerable for a in asked], dtype=float)
    weight = np.where(y == 1, 0.5 / max(y.sum(), 1), 0.5 / max((1 - y).sum(), 1))
    mean, scale = x.mean(0), np.maximum(x.std(0), 1e-9)
    z, w, b = (x - mean) / scale, np.zeros(x.shape[1]), 0.0
    for _ in range(STEPS):
        error = weight * (1 / (1 + np.exp(-(z @ w + b))) - y)
        w = np.maximum(0.0, w - RATE * (z.T @ error + RIDGE * w))
        b -= RATE * float(error.sum())
    raw = w / scale
    level = np.sort((x @ raw)[y == 1])[int(MAX_FALSE * y.sum())]
    return Signals(*(float(v) for v in raw)), -float(level)


def refused(
    known: list[Asked], unknown: list[Asked], weights: Signals, intercept: float, below: float
) -> dict[str, int]:
    def count(asked: list[Asked]) -> int:
        return sum(probability(a.signals, weights, intercept) < below for a in asked)

    return {
        "answerable": len(known),
        "answerable_refused": count(known),
        "unanswerable": len(unknown),
        "unanswerable_refused": count(unknown),
    }


def area(above: list[float], below: list[float]) -> float:
    """Area under the ROC curve: how often one of `above` stands over one of `below`."""
    a, b = np.array(above)[:, None], np.array(below)[None]
    return round(float(((a > b) + 0.5 * (a == b)).mean()), 3)


if __name__ == "__main__":
    main()
