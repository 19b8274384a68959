"""Bits per byte: how well a model predicts the author's own words, comparable across tokenizers.

Definition (held fixed, so that figures can be compared): for each post, the first 640 tokens of its prose
(paragraphs unwrapped; no code, no quotes) after the title prompt; -sum(log2 p) over those tokens divided by
the UTF-8 bytes that they cover; sums over all posts, then one division.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import ChatTokenizer, Progress, Scorer, Silent
from llm_twin.contracts.prose import prose
from llm_twin.contracts.records import Post, Record

MAX_TOKENS = 640
_RESAMPLES = 2000  # of the bootstrap; the interval's ends are stable to about 0.001 from here on


class PostBits(Record):
    """The measure of one post."""

    post_id: str
    bits: float
    tokens: int
    bytes: int


class BitsPerByte(Record):
    """A measured set of posts. `low` and `high` bound the 95 % bootstrap interval over posts."""

    value: float
    low: float
    high: float
    posts: tuple[PostBits, ...]
    dtype: str
    max_tokens: int = MAX_TOKENS


def measure(
    scorer: Scorer,
    tokenizer: ChatTokenizer,
    posts: Sequence[Post],
    author: str,
    progress: Progress | None = None,
) -> BitsPerByte:
    """Bits per byte of `posts` under the title prompt. Raises ValueError where no post holds any prose."""
    progress = progress or Silent()
    rows = []
    for post in posts:
        row = _measure_post(scorer, tokenizer, post, author)
        if row.bytes:
            rows.append(row)
        progress.advance()
    if not rows:
        raise ValueError("bits per byte: none of the posts holds any prose")
    bits = np.array([r.bits for r in rows])
    size = np.array([r.bytes for r in rows])
    draws = np.random.default_rng(0).integers(0, len(rows), size=(_RESAMPLES, len(rows)))
    low, high = np.quantile(bits[draws].sum(1) / size[draws].sum(1), [0.025, 0.975])
    value = float(bits.sum() / size.sum())
    return BitsPerByte(value=value, low=float(low), high=float(high), posts=tuple(rows), dtype=scorer.dtype)


def _measure_post(scorer: Scorer, tokenizer: ChatTokenizer, post: Post, author: str) -> PostBits:
    ids, ends = tokenizer.byte_ends(prose(post.markdown))
    ids, ends = ids[:MAX_TOKENS], ends[:MAX_TOKENS]
    if not ids:
        return PostBits(post_id=post.id, bits=0.0, tokens=0, bytes=0)
    logprobs = scorer.token_logprobs(tokenizer.encode_chat(prompts.write(author, post.title)), ids)
    return PostBits(
        post_id=post.id, bits=float(-logprobs.sum() / math.log(2)), tokens=len(ids), bytes=ends[-1]
    )
