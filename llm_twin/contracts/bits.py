"""Bits per byte: how well a model predicts the author's own words, comparable across tokenizers.

Definition (held fixed, so that figures can be compared): for each post, the first 640 tokens of its prose
(paragraphs unwrapped; no code, no quotes) after the title prompt; -sum(log2 p) over those tokens divided by
the UTF-8 bytes that they cover; sums over all posts, then one division. A few-shot measure shows other posts
before the title prompt, as much of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import ChatTokenizer, Progress, Scorer, Silent
from llm_twin.contracts.prose import prose
from llm_twin.contracts.records import Post, Record, Split
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import EmptyStore

MAX_TOKENS = 640
Examples = Callable[[Post], Sequence[Post]]  # posts to show before one, the likest last
_RESAMPLES = 2000  # of the bootstrap; the interval's ends are stable to about 0.001 from here on


class PostBits(Record):
    """The measure of one post; `revision` is that of its text, and empty in measures of older programs."""

    post_id: str
    revision: str = ""
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

    @property
    def nats_per_token(self) -> float:
        """The same as a training loss has it; it depends on the tokenizer."""
        return math.log(2) * sum(p.bits for p in self.posts) / sum(p.tokens for p in self.posts)


def measurable(features: FeatureVersion, split: Split) -> list[Post]:
    """The posts of a split that hold prose, oldest first. Raises EmptyStore where none does."""
    posts = features.split(split)
    found = [post for post in posts if prose(post.markdown)]
    if not found:
        raise EmptyStore(
            f"The {split} posts of {features.name} hold no prose ({len(posts)} posts)",
            "Collect more posts and build the features again",
        )
    return found


def measure(
    scorer: Scorer,
    tokenizer: ChatTokenizer,
    posts: Sequence[Post],
    author: str,
    progress: Progress | None = None,
    examples: Examples | None = None,
) -> BitsPerByte:
    """Bits per byte of `posts` under the title prompt, `examples` of each before it.

    Examples that the model's context has no room for are left out, the first ones first. Raises ValueError
    where no post holds any prose.
    """
    progress = progress or Silent()
    rows = []
    for post in posts:
        row = _measure_post(scorer, tokenizer, post, author, examples(post) if examples else ())
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


def _measure_post(
    scorer: Scorer, tokenizer: ChatTokenizer, post: Post, author: str, examples: Sequence[Post]
) -> PostBits:
    ids, ends = _beginning(tokenizer, prose(post.markdown))
    if not ids:
        return PostBits(post_id=post.id, revision=post.revision, bits=0.0, tokens=0, bytes=0)
    shown = [(other.title, _shown(tokenizer, other)) for other in examples]
    prompt = tokenizer.encode_chat(prompts.write(author, post.title, shown))
    while shown and len(prompt) + len(ids) > scorer.context:
        shown = shown[1:]
        prompt = tokenizer.encode_chat(prompts.write(author, post.title, shown))
    logprobs = scorer.token_logprobs(prompt, ids)
    return PostBits(
        post_id=post.id,
        revision=post.revision,
        bits=float(-logprobs.sum() / math.log(2)),
        tokens=len(ids),
        bytes=ends[-1],
    )


def _beginning(tokenizer: ChatTokenizer, text: str) -> tuple[list[int], list[int]]:
    """The first tokens of a text, and where in its bytes each of them ends."""
    ids, ends = tokenizer.byte_ends(text)
    return ids[:MAX_TOKENS], ends[:MAX_TOKENS]


def _shown(tokenizer: ChatTokenizer, post: Post) -> str:
    """As much of an example as is measured of a post."""
    text = prose(post.markdown)
    _, ends = _beginning(tokenizer, text)
    return text.encode()[: ends[-1]].decode() if ends else ""
