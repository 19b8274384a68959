"""Which posts enter a feature version, and why the others do not."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from llm_twin.contracts.records import Post
from llm_twin.feature.split import by_age

Dropped = tuple[str, str]  # post id, reason
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_NOT_WORD = re.compile(r"[\W_]+")


def select(posts: Sequence[Post], min_words: int) -> tuple[list[Post], list[Dropped]]:
    """(kept, dropped), oldest first: replies, short posts and repeated texts are dropped.

    Of a text the oldest stays.
    """
    kept: list[Post] = []
    dropped: list[Dropped] = []
    first: dict[str, str] = {}
    for post in by_age(posts):
        words = len(_WORD.findall(post.markdown))
        if post.kind == "reply":
            dropped.append((post.id, "reply to someone else"))
        elif words < max(min_words, 1):
            dropped.append((post.id, f"{words} words, fewer than {max(min_words, 1)}"))
        elif (twin := first.setdefault(text_hash(post.markdown), post.id)) != post.id:
            dropped.append((post.id, f"same text as {twin}"))
        else:
            kept.append(post)
    return kept, dropped


def text_hash(text: str) -> str:
    """sha256 of the text's words alone: case, punctuation and spacing do not make another text."""
    return hashlib.sha256(_NOT_WORD.sub(" ", text.casefold()).strip().encode()).hexdigest()
