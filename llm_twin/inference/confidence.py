"""How likely it is that the posts hold an answer: a logistic model over two signals that a person can check.

An answer is refused where this falls below `retrieval.refuse_below`. benchmarks/refusal.py fits the weights
and measures them on questions that they were not fitted on; docs/log.md names the signals that were tried and
did not help.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known about one question and what was found for it.

    Attributes:
        chunk: best cosine of the question with a passage found.
        post: best cosine of the question with the mean of all passages of a post found.
    """

    chunk: float
    post: float


# Fitted by benchmarks/refusal.py on the sample's questions. all-MiniLM-L6-v2's cosines; another embedder
# needs its own fit.
WEIGHTS = Signals(chunk=4.777, post=1.629)
INTERCEPT = -2.097


def probability(signals: Signals, weights: Signals = WEIGHTS, intercept: float = INTERCEPT) -> float:
    """The logistic model's value, in [0, 1]."""
    z = intercept + sum(getattr(signals, f.name) * getattr(weights, f.name) for f in fields(Signals))
    return 1 / (1 + math.exp(-z))
