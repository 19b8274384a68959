"""Train, validation and test, by whole posts and by time: what is measured is newer than what was learnt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from llm_twin.contracts.records import Post, Split

_SMALL_SHARE = 5  # with few posts a fifth is held out for each of validation and test
_SMALLEST = 3  # fewer posts than this cannot be divided in three


def by_age(posts: Iterable[Post]) -> list[Post]:
    """Oldest first; undated posts count as oldest; ties go by id."""
    return sorted(posts, key=lambda post: (_when(post), post.id))


def split(posts: Sequence[Post], share: float, minimum: int) -> tuple[dict[Split, tuple[str, ...]], str]:
    """Post ids of each split, oldest first, and a remark for the person ("" when there is nothing to say).

    Test is the newest `share` of the posts, at least `minimum`; validation as many before them; train the
    rest. Where fewer than three times `minimum` posts are there, a fifth is held out for each, and nothing
    below three posts: train is never empty.
    """
    ids = [post.id for post in by_age(posts)]
    held, remark = max(minimum, round(len(ids) * share)), ""
    if len(ids) < 3 * held:
        wanted = held
        held = min(wanted, max(1, len(ids) // _SMALL_SHARE)) if len(ids) >= _SMALLEST else 0
        remark = (
            f"Only {len(ids)} posts: {held} instead of {wanted} are held out for validation, and as many for "
            "test; measures on so few are rough"
        )
    train, test = len(ids) - 2 * held, len(ids) - held
    return {
        "train": tuple(ids[:train]),
        "validation": tuple(ids[train:test]),
        "test": tuple(ids[test:]),
    }, remark


def _when(post: Post) -> datetime:
    oldest = datetime.min.replace(tzinfo=UTC)
    if post.published_at is None:
        return oldest
    try:
        found = datetime.fromisoformat(post.published_at)
    except ValueError:
        return oldest  # a date that cannot be read is no date
    return found if found.tzinfo else found.replace(tzinfo=UTC)
