"""How many tokens a run can take in a given time, measured on this machine before its first step."""

from __future__ import annotations

import time
from collections.abc import Callable

from llm_twin.errors import TrainingError

# Of the time, spent on finding out what a token takes. To learn a single row of the longest, which is the
# slowest, had left a fifth of 20 minutes unused.
_PROBE = 0.02


def tokens_within(
    seconds: float,
    learn: Callable[[], int],
    measure: Callable[[], object],
    measures: int,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Tokens that fit in `seconds` beside so many measures of a post.

    `learn` takes the next few micro-batches forward and backward and returns their tokens, `measure` measures
    one post; both are timed after a first time that pays for set-up. Raises TrainingError where nothing fits.
    """
    began = clock()
    learn()
    measure()
    start = clock()
    tokens = learn()
    while clock() - start < _PROBE * seconds:
        tokens += learn()
    learnt = clock()
    measure()
    end = clock()
    left = seconds - (end - began) - measures * (end - learnt)
    if left <= 0:
        raise TrainingError(
            f"{seconds / 60:g} minutes leave no time to train: measuring on validation posts alone takes "
            f"{(seconds - left) / 60:.1f}",
            "Raise the budget, or lower training.evaluations or training.validation_posts",
        )
    return max(1, int(left * tokens / (learnt - start)))
