"""Train, validation and test, by whole posts and by time: what is measured is newer than what was learnt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import accumulate

from llm_twin.contracts.records import Post, Split

_SMALL_SHARE = 5  # with few posts a fifth is held out for each of validation and test
SMALLEST = 3  # fewer posts than this cannot be divided in three


def by_age(posts: Iterable[Post]) -> list[Post]:
    """Oldest first; undated posts count as oldest; ties go by id."""
    return sorted(posts, key=lambda post: (_when(post), post.id))


def split(
    posts: Sequence[Post], share: float, minimum: int, groups: Iterable[Sequence[str]] = ()
) -> tuple[dict[Split, tuple[str, ...]], str]:
    """Post ids of each split, oldest first, and a remark for the person ("" when there is nothing to say).

    Test is the newest `share` of the posts, at least `minimum`; validation as many before them; train the
    rest. Where fewer than three times `minimum` posts are there, a fifth is held out for each, and nothing
    below three posts: train is never empty.

    Posts of one group (ids; the groups are apart) are alike and lie in one split. A group counts as old as
    its oldest post, for a later version of an old text is an old text: test stays what was new when it was
    written. A bound that would fall inside a group moves to the nearer end of it.
    """
    ordered = by_age(posts)
    age = {post.id: place for place, post in enumerate(ordered)}
    units = _units(age, groups)
    ids = [post for unit in units for post in unit]
    held, remark = max(minimum, round(len(ids) * share)), ""
    if len(ids) < 3 * held:
        wanted = held
        held = min(wanted, max(1, len(ids) // _SMALL_SHARE)) if len(ids) >= SMALLEST else 0
        remark = (
            f"Only {len(ids)} posts: {held} instead of {wanted} are held out for validation, and as many for "
            "test; measures on so few are rough"
        )
    ends = list(accumulate(len(unit) for unit in units)) or [0]
    test = _nearest(ends, len(ids) - held)
    train = _nearest([end for end in ends if end <= test], test - held)
    found: dict[Split, tuple[str, ...]] = {
        "train": tuple(sorted(ids[:train], key=age.__getitem__)),
        "validation": tuple(sorted(ids[train:test], key=age.__getitem__)),
        "test": tuple(sorted(ids[test:], key=age.__getitem__)),
    }
    if held and not (found["validation"] and found["test"]):
        remark = (
            f"{max(map(len, units))} of {len(ids)} posts say nearly the same and cannot be divided: "
            f"{len(found['validation'])} are held out for validation and {len(found['test'])} for test"
        )
    return found, remark


def _units(age: dict[str, int], groups: Iterable[Sequence[str]]) -> list[list[str]]:
    """What is not divided: groups and single posts, by the age of their oldest."""
    grouped = [sorted(group, key=age.__getitem__) for group in groups]
    joined = {post for group in grouped for post in group}
    single = [[post] for post in age if post not in joined]
    return sorted(grouped + single, key=lambda unit: age[unit[0]])


def _nearest(ends: Sequence[int], wanted: int) -> int:
    """The end of a unit nearest to the wanted number of posts; of two the lower, which holds out more."""
    return min(ends, key=lambda end: (abs(end - wanted), end))


def _when(post: Post) -> datetime:
    oldest = datetime.min.replace(tzinfo=UTC)
    if post.published_at is None:
        return oldest
    try:
        found = datetime.fromisoformat(post.published_at)
    except ValueError:
        return oldest  # a date that cannot be read is no date
    return found if found.tzinfo else found.replace(tzinfo=UTC)
