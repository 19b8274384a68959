"""Outlines by rule: the author's own headings; where a post has none, key phrases of its paragraphs."""

from __future__ import annotations

from collections.abc import Container, Sequence

from llm_twin.contracts.prose import Block, word_count
from llm_twin.feature.chunk import heading_text
from llm_twin.feature.notes import plain, spaced, topics, wordy

LEAST_POINTS = 2  # fewer say no more than the title
_LEAST_WORDS = 20  # of a paragraph that has a point of its own


def outline(markdown: str, found: Sequence[Block], vocabulary: Container[str] = frozenset()) -> list[str]:
    """One point a line, in the order of the blocks; none where there would be fewer than LEAST_POINTS.

    `vocabulary` holds words that the author also writes in lower case (see `feature.notes`).
    """
    headed = sum(block.kind == "heading" for block in found) >= LEAST_POINTS
    points: list[str] = []
    for block in found:
        text = markdown[block.start : block.end]
        if block.kind == "heading":
            points.append(heading_text(text))
        elif not headed and block.kind == "paragraph" and word_count(text) >= _LEAST_WORDS:
            noted = spaced(text) and wordy(plain(text))
            points.append(", ".join(topics(text, vocabulary)) if noted else "")
    kept = [point for point in points if point]
    return kept if len(kept) >= LEAST_POINTS else []
