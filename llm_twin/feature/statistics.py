"""What a person asks of a feature version: how much text, of which years and kinds, cut how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from statistics import median_low
from typing import Any
from urllib.parse import urlsplit

from llm_twin.contracts.prose import prose, word_count
from llm_twin.contracts.records import Chunk, Post, Sample

UNKNOWN = "unknown"


def statistics(
    posts: Sequence[Post],
    chunks: Sequence[Chunk],
    samples: Sequence[Sample],
    count_tokens: Callable[[str], int],
) -> dict[str, Any]:
    """Figures of one version; the same content gives the same figures.

    Spreads are [least, lower median, most]. `prose_share` is the part of the posts' characters that is
    prose: no code, no quotes, no tables. `chunk_tokens` are the embedder's, without the context line.
    """
    characters = sum(len(p.markdown) for p in posts)
    dates = sorted(p.published_at[:10] for p in posts if p.published_at)
    return {
        "words": sum(word_count(p.markdown) for p in posts),
        "characters": characters,
        "prose_share": round(sum(len(prose(p.markdown)) for p in posts) / max(1, characters), 3),
        "first": dates[0] if dates else None,
        "last": dates[-1] if dates else None,
        "undated": len(posts) - len(dates),
        "years": _counted(p.published_at[:4] if p.published_at else UNKNOWN for p in posts),
        "kinds": _counted(p.kind for p in posts),
        "languages": _counted(p.language or UNKNOWN for p in posts),
        "sources": _counted(urlsplit(p.url).hostname or UNKNOWN for p in posts),
        "post_words": _spread(word_count(p.markdown) for p in posts),
        "chunk_tokens": _spread(count_tokens(c.text) for c in chunks),
        "chunk_characters": _spread(len(c.text) for c in chunks),
        "completion_words": _spread(word_count(s.completion) for s in samples),
        "samples": {split: _counted(s.task for s in samples if s.split == split) for split in _SPLITS},
    }


_SPLITS = ("train", "validation", "test")


def _counted(values: Iterable[str]) -> dict[str, int]:
    """How often each value stands, in the order of the values."""
    return dict(sorted(Counter(values).items()))


def _spread(values: Iterable[int]) -> list[int]:
    found = sorted(values)
    return [found[0], median_low(found), found[-1]] if found else [0, 0, 0]
