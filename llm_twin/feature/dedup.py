"""Which posts enter a feature version, and why the others do not."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from llm_twin.contracts.records import Post
from llm_twin.feature.near import CONTAINED, NEAR, alike, inside, words
from llm_twin.feature.split import by_age

Dropped = tuple[str, str]  # post id, reason
_NOT_WORD = re.compile(r"[\W_]+")


def select(
    posts: Sequence[Post], min_words: int, languages: Sequence[str] = ()
) -> tuple[list[Post], list[Dropped]]:
    """(kept, dropped), oldest first: replies, short posts, other languages and repeated texts are dropped.

    `languages` are ISO 639-1 codes, none meaning all; a post whose language could not be told stays. Of
    near-duplicates the fullest text stays, so that the least is lost, and of equals the oldest.
    """
    ordered = by_age(posts)
    reasons = {post.id: reason for post in ordered if (reason := _unfit(post, min_words, languages))}
    fit = [post for post in ordered if post.id not in reasons]
    reasons |= _repeats(fit)
    kept = [post for post in fit if post.id not in reasons]
    return kept, [(post.id, reasons[post.id]) for post in ordered if post.id in reasons]


def text_hash(text: str) -> str:
    """sha256 of the text's words alone: case, punctuation and spacing do not make another text."""
    return hashlib.sha256(_NOT_WORD.sub(" ", text.casefold()).strip().encode()).hexdigest()


def _unfit(post: Post, min_words: int, languages: Sequence[str]) -> str:
    """Why the post by itself cannot enter; "" where it can."""
    number = len(words(post.markdown))
    if post.kind == "reply":
        return "reply to someone else"
    if number < max(min_words, 1):
        return f"{number} words, fewer than {max(min_words, 1)}"
    if languages and post.language and post.language not in languages:
        return f"in {post.language}, not in features.languages"
    return ""


def _repeats(posts: Sequence[Post]) -> dict[str, str]:
    """Reasons by post id. A post is dropped for a kept one alone, so that no text is lost by a chain."""
    texts = [post.markdown for post in posts]
    twins: dict[int, dict[int, str]] = defaultdict(dict)
    for a, b, share in inside(texts, CONTAINED):
        twins[a][b] = f"{_percent(share)} of it stands in {posts[b].id}"
    for a, b, share in alike(texts, NEAR):
        for one, other in ((a, b), (b, a)):
            twins[one][other] = f"near-duplicate of {posts[other].id} (Jaccard {int(share * 100) / 100:.2f})"
    same: dict[str, int] = {}
    for place, text in enumerate(texts):
        first = same.setdefault(text_hash(text), place)
        if first != place:
            twins[place][first] = f"same text as {posts[first].id}"
    kept: set[int] = set()
    reasons: dict[str, str] = {}
    for place in _fullest_first(texts):
        reason = next((twins[place][other] for other in sorted(twins[place]) if other in kept), "")
        if reason:
            reasons[posts[place].id] = reason
        else:
            kept.add(place)
    return reasons


def _fullest_first(texts: Sequence[str]) -> Iterable[int]:
    sizes = [len(words(text)) for text in texts]
    return sorted(range(len(texts)), key=lambda place: (-sizes[place], place))


def _percent(share: float) -> str:
    return f"{int(share * 100)} %"
