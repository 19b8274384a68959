"""Which files hold words of a post: its address or id, or five words in a row that no other post has.

Five words are the shingles that near-duplicates are found by (see `near`). A run that stands in another post
too says nothing, and stays where it is. Text is read with its JSON escapes undone, so that logs and reports
are searched as what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from llm_twin.contracts.records import Post
from llm_twin.feature.near import PART, words

_RUN = 5
_HEAD = 4096  # bytes in which a file that is no text (an image, a database) has a zero
_NEVER = r"(?!)"
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrtbf\"/\\]))")


class Traces:
    """What gives posts away.

    Attributes:
        alike: those of the other posts that hold a good part of the same runs of words, or whose own runs
            the posts hold.
    """

    def __init__(self, posts: Sequence[Post], texts: Iterable[str], others: Iterable[Post]) -> None:
        """`texts` are all that the posts ever said, titles included; `others` the posts that stay."""
        names = "|".join(re.escape(name) for post in posts for name in (post.id, post.url))
        self._names = re.compile(rf"(?<!\w)(?:{names or _NEVER})(?!/?[\w%-])")  # not a longer address
        own = {run for text in texts for run in _runs(words(text))}
        self._runs, alike = set(own), []
        for other in others:
            theirs = set(_runs(words(other.title))) | set(_runs(words(other.markdown)))
            shared = own & theirs
            self._runs -= shared
            if shared and len(shared) >= PART * min(len(own), len(theirs)):
                alike.append(other)
        self.alike: tuple[Post, ...] = tuple(alike)

    def within(self, path: Path) -> bool:
        """Whether a file of UTF-8 text holds any of it; one that is gone or closed to us does not."""
        last: list[str] = []
        try:
            with path.open("rb") as head:
                if b"\0" in head.read(_HEAD):
                    return False
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    plain = _ESCAPED.sub(_plain, line)
                    found = last + words(plain)
                    if self._names.search(plain) or any(run in self._runs for run in _runs(found)):
                        return True
                    last = found[1 - _RUN :]
        except OSError:
            return False
        return False


def _runs(found: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(found[first : first + _RUN]) for first in range(len(found) - _RUN + 1))


def _plain(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return escape[2] if escape[2] in '"\\/' else " "
