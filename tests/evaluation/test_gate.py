from __future__ import annotations

import math

import pytest

from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.evaluation.gate import decide


def measured(value: float, posts: str = "abc", **other: float) -> BitsPerByte:
    """Every post of 100 bytes at `value` bits a byte, but those given by name."""
    rows = tuple(PostBits(post_id=p, bits=100 * other.get(p, value), tokens=30, bytes=100) for p in posts)
    mean = sum(r.bits for r in rows) / sum(r.bytes for r in rows)
    return BitsPerByte(value=mean, low=mean, high=mean, posts=rows, dtype="fp32")


def test_better_than_the_base_goes_live_where_nothing_else_is() -> None:
    verdict = decide(measured(1.1), None, measured(1.2))
    assert verdict.passed
    assert verdict.measures == pytest.approx({"candidate": 1.1, "base": 1.2})
    assert "1.1000" in verdict.reason
    assert "1.2000" in verdict.reason


@pytest.mark.parametrize("candidate", [1.2, 1.3])
def test_no_better_than_the_base_is_refused(candidate: float) -> None:
    assert not decide(measured(candidate), None, measured(1.2)).passed
    assert not decide(measured(candidate), measured(1.5), measured(1.2)).passed


def test_it_must_beat_the_live_version_too() -> None:
    assert decide(measured(1.1), measured(1.15), measured(1.2)).passed
    refused = decide(measured(1.1), measured(1.05), measured(1.2))
    assert not refused.passed
    assert "the live version 1.0500" in refused.reason
    assert not decide(measured(1.1), measured(1.1), measured(1.2)).passed


def test_it_must_beat_the_base_with_examples_too() -> None:
    assert decide(measured(1.1), None, measured(1.2), measured(1.15)).passed
    refused = decide(measured(1.1), None, measured(1.2), measured(1.1))
    assert not refused.passed
    assert "the base with examples 1.1000" in refused.reason
    assert refused.measures == pytest.approx({"candidate": 1.1, "base": 1.2, "few_shot": 1.1})


def test_the_live_version_is_met_on_the_posts_that_both_measured() -> None:
    # Over all of its own posts the live version looks better, because one of them is easy.
    live = measured(1.15, "bcz", z=0.1)
    assert live.value < 1.1
    candidate = measured(1.1, "abc")
    verdict = decide(candidate, live, measured(1.2, "abc"))
    assert verdict.passed
    assert verdict.measures["live"] == pytest.approx(1.15)
    assert "on the posts" not in verdict.reason  # the candidate has the same value on all of its own
    summed = candidate.model_copy(update={"value": math.nextafter(candidate.value, 2)})
    assert "on the posts" not in decide(summed, live, measured(1.2, "abc")).reason
    uneven = decide(measured(1.1, "abc", a=0.5), live, measured(1.2, "abc"))
    assert "1.1000 on the posts that it measured too" in uneven.reason


def revised(measured: BitsPerByte, revision: str, **changes: int) -> BitsPerByte:
    """The same figures, of posts in this revision."""
    rows = tuple(row.model_copy(update={"revision": revision, **changes}) for row in measured.posts)
    return measured.model_copy(update={"posts": rows})


def test_a_post_that_was_rewritten_since_is_no_shared_one() -> None:
    candidate, live, base = measured(1.1), measured(0.5), measured(1.2)
    assert not decide(revised(candidate, "new"), revised(live, "new"), base).passed
    verdict = decide(revised(candidate, "new"), revised(live, "old"), base)
    assert verdict.passed
    assert "live" not in verdict.measures


def test_measures_of_older_programs_are_shared_where_they_are_as_long() -> None:
    candidate, base = revised(measured(1.1), "new"), measured(1.2)
    without = {"posts": {"__all__": {"revision"}}}
    old = BitsPerByte.model_validate_json(measured(0.5).model_dump_json(exclude=without))
    assert not decide(candidate, old, base).passed
    assert decide(candidate, revised(old, "", bytes=104), base).passed
    assert decide(candidate, revised(old, "", tokens=31), base).passed


def test_without_a_shared_post_the_base_decides() -> None:
    verdict = decide(measured(1.1, "abc"), measured(0.5, "xyz"), measured(1.2, "abc"))
    assert verdict.passed
    assert "live" not in verdict.measures


def test_a_measure_that_is_not_a_number_never_passes() -> None:
    assert not decide(measured(float("nan")), None, measured(1.2)).passed
