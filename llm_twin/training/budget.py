"""How many tokens a run can take in a given time, measured on this machine before its first step."""

from __future__ import annotations

import time
from collections.abc import Callable

# Of the time, spent on finding out what a token takes. To learn a single row of the longest, which is the
# slowest, had left a fifth of 20 minutes unused.
_PROBE = 0.02
# Of the time, learnt in whatever measuring takes: a slow or busy machine makes a twin too, only later.
_LEAST = 0.25


def tokens_within(
    seconds: float,
    learn: Callable[[], int],
    measure: Callable[[], object],
    measures: int,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Tokens that fit in `seconds` beside so many measures of a post.

    `learn` takes the next few micro-batches forward and backward and returns their tokens, `measure` measures
    one post; both are timed after a first time that pays for set-up. Where measuring leaves less than a
    quarter of the time, a quarter is learnt in all the same, and how long all will take is said.
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
    if left < _LEAST * seconds:
        late = _LEAST * seconds - left
        say(
            f"{seconds / 60:g} minutes are too few beside {measures} measures of validation posts: it will "
            f"be about {(seconds + late) / 60:.0f}. Lower training.evaluations or training.validation_posts"
        )
        left += late
    return max(1, int(left * tokens / (learnt - start)))
