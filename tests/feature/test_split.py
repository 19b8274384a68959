from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.contracts.records import Post
from llm_twin.feature.split import by_age, split

Make = Callable[..., Post]


def test_newest_are_test_and_those_before_them_validation(post: Make) -> None:
    posts = [post(n) for n in range(100)]
    splits, remark = split(posts[::-1], share=0.1, minimum=8)
    ids = [p.id for p in posts]
    assert splits == {"train": tuple(ids[:80]), "validation": tuple(ids[80:90]), "test": tuple(ids[90:])}
    assert remark == ""


def test_at_least_the_minimum_is_held_out(post: Make) -> None:
    splits, remark = split([post(n) for n in range(48)], share=0.1, minimum=8)
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [32, 8, 8]
    assert remark == ""


@pytest.mark.parametrize(("number", "held"), [(23, 4), (10, 2), (3, 1), (2, 0), (1, 0), (0, 0)])
def test_few_posts_hold_out_less_and_say_so(post: Make, number: int, held: int) -> None:
    splits, remark = split([post(n) for n in range(number)], share=0.1, minimum=8)
    assert (len(splits["validation"]), len(splits["test"])) == (held, held)
    assert f"Only {number} posts: {held} instead of 8" in remark


@given(number=st.integers(1, 60), share=st.floats(0.01, 0.49), minimum=st.integers(1, 12))
def test_every_post_is_in_one_split_and_train_is_never_empty(number: int, share: float, minimum: int) -> None:
    posts = [
        Post(id=str(n), url=str(n), title="", published_at=None, markdown="", revision="")
        for n in range(number)
    ]
    splits, _ = split(posts, share, minimum)
    assert sorted(i for ids in splits.values() for i in ids) == sorted(p.id for p in posts)
    assert splits["train"]


def test_a_group_lies_in_one_split_and_is_as_old_as_its_oldest(post: Make) -> None:
    posts = [post(n) for n in range(100)]
    ids = [p.id for p in posts]
    splits, _ = split(posts, 0.1, 8, [(ids[95], ids[3]), (ids[85], ids[86])])
    assert ids[95] in splits["train"]
    assert splits["train"] == (*ids[:79], ids[95])
    assert splits["test"] == tuple(ids[89:95] + ids[96:])
    assert splits["validation"] == tuple(ids[79:89])


def test_a_bound_inside_a_group_moves_to_its_nearer_end(post: Make) -> None:
    posts = [post(n) for n in range(100)]
    ids = [p.id for p in posts]
    assert split(posts, 0.1, 8, [ids[88:93]])[0]["test"] == tuple(ids[88:])
    assert split(posts, 0.1, 8, [ids[82:91]])[0]["test"] == tuple(ids[91:])


@given(st.lists(st.integers(0, 6), min_size=3, max_size=60), st.integers(1, 12))
def test_groups_are_never_divided_and_no_post_is_lost(labels: list[int], minimum: int) -> None:
    posts = [
        Post(id=str(n), url=str(n), title="", published_at=None, markdown="", revision="")
        for n in range(len(labels))
    ]
    groups = [[str(n) for n, label in enumerate(labels) if label == k] for k in range(1, 7)]
    groups = [group for group in groups if len(group) > 1]
    splits, _ = split(posts, 0.1, minimum, groups)
    where = {post: name for name, found in splits.items() for post in found}
    assert len(where) == len(labels) == sum(map(len, splits.values()))
    assert all(len({where[post] for post in group}) == 1 for group in groups)
    assert splits["train"]


def test_posts_that_cannot_be_divided_are_remarked(post: Make) -> None:
    posts = [post(n) for n in range(30)]
    splits, remark = split(posts, 0.1, 8, [[p.id for p in posts]])
    assert len(splits["train"]) == 30
    assert "30 of 30 posts say nearly the same" in remark


def test_undated_and_unreadable_dates_are_oldest_and_zones_count(post: Make) -> None:
    early = post(1, date="2021-05-01T10:00:00+02:00")
    late = post(2, date="2021-05-01T09:00:00Z")
    day, undated, odd = post(3, date="2021-04-30"), post(4, date=None), post(5, date="last spring")
    ordered = by_age([late, early, day, undated, odd])
    assert {p.id for p in ordered[:2]} == {undated.id, odd.id}
    assert ordered[2:] == [day, early, late]
