"""What is private in the posts of a version, and its masking before anything is made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from llm_twin.contracts import private
from llm_twin.contracts.private import Kind
from llm_twin.contracts.records import Post


@dataclass(frozen=True, slots=True)
class Guarded:
    """Posts after the search for what is private.

    Attributes:
        posts: masked where that was asked for, else as they came; nothing found leaves a post as it is.
        counts: number of finds by kind, in titles and Markdown.
        concerned: number of posts with a find.
        masked: whether the finds were replaced.
    """

    posts: list[Post]
    counts: dict[Kind, int]
    concerned: int
    masked: bool

    @property
    def remark(self) -> str:
        """One sentence for the person; "" where nothing was found."""
        if not self.counts:
            return ""
        found = (
            f"{private.in_words(self.counts)} in {self.concerned} post{'' if self.concerned == 1 else 's'}"
        )
        if self.masked:
            return f"Masked: {found}."
        return f"Not masked, and so learnt and quoted: {found}. Set features.mask to true to hide them."


def guard(posts: Iterable[Post], masked: bool) -> Guarded:
    """Search every post and mask it. Revisions stay: they name the source."""
    kept, counts, concerned = [], Counter[Kind](), 0
    for post in posts:
        in_title, in_text = private.find(post.title), private.find(post.markdown)
        counts.update(private.tally(in_title + in_text))
        concerned += bool(in_title or in_text)
        if masked and (in_title or in_text):
            text = private.mask(post.markdown, in_text)
            post = post.model_copy(update={"title": private.mask(post.title, in_title), "markdown": text})
        kept.append(post)
    ordered = {kind: counts[kind] for kind in private.KINDS if counts[kind]}
    return Guarded(kept, ordered, concerned, masked)
