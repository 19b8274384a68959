from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters.remembered_scorer import RememberedScorer


class Counting:
    """Says what its `weight` makes of each token, and counts how often it is asked."""

    dtype, context = "fp32", 100

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.asked = 0

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> np.ndarray:
        self.asked += 1
        return -self.weight * (np.array(completion, np.float64) + len(prompt) / 3)


def remembered(scorer: Counting, cache: Path) -> RememberedScorer:
    return RememberedScorer(lambda: scorer, str(scorer.weight), "fp32", 100, cache / "scores.db")


def test_a_text_is_scored_once_for_these_weights_to_the_last_bit(tmp_path: Path) -> None:
    scorer = Counting(0.1)
    first = remembered(scorer, tmp_path).token_logprobs([1, 2], [3, 4, 5])
    again = remembered(scorer, tmp_path).token_logprobs([1, 2], [3, 4, 5])
    assert scorer.asked == 1
    assert first.tobytes() == again.tobytes()


@pytest.mark.parametrize(
    ("prompt", "completion"), [([1], [2, 3, 4, 5]), ([1, 2], [3, 4]), ([2, 1], [3, 4, 5])]
)
def test_another_text_is_not_mistaken_for_it(
    tmp_path: Path, prompt: list[int], completion: list[int]
) -> None:
    scorer = Counting(0.1)
    remembered(scorer, tmp_path).token_logprobs([1, 2], [3, 4, 5])
    found = remembered(scorer, tmp_path).token_logprobs(prompt, completion)
    assert found.tolist() == scorer.token_logprobs(prompt, completion).tolist()


def test_other_weights_are_asked_themselves(tmp_path: Path) -> None:
    one, other = Counting(0.1), Counting(0.2)
    remembered(one, tmp_path).token_logprobs([1], [2])
    assert (
        remembered(other, tmp_path).token_logprobs([1], [2]).tolist()
        == other.token_logprobs([1], [2]).tolist()
    )


def test_no_model_is_made_where_all_is_known(tmp_path: Path) -> None:
    def unwanted() -> Counting:
        raise AssertionError("the model was loaded")

    remembered(Counting(0.1), tmp_path).token_logprobs([1], [2])
    scorer = RememberedScorer(unwanted, "0.1", "fp32", 100, tmp_path / "scores.db")
    assert scorer.context == 100
    assert len(scorer.token_logprobs([1], [2])) == 1
    with pytest.raises(AssertionError, match="was loaded"):
        scorer.token_logprobs([1], [3])


def test_a_damaged_cache_costs_time_alone(tmp_path: Path) -> None:
    scorer = Counting(0.1)
    (tmp_path / "scores.db").write_bytes(b"not a database" * 100)
    found = [remembered(scorer, tmp_path).token_logprobs([1], [2]).tolist() for _ in range(2)]
    assert found[0] == found[1] == scorer.token_logprobs([1], [2]).tolist()
