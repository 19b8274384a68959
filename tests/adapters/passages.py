"""Chunks of random words, of posts with all kinds of metadata, that the stores' tests index."""

from __future__ import annotations

import numpy as np

from llm_twin.contracts.ports import Ranked, VectorIndex, Vectors, VectorStore
from llm_twin.contracts.records import Chunk, Kind, Post

VOCABULARY = (
    "gauge float river mud awk barge goose lock gate weir stove loaf ledger mill chalk walnut paddle rope"
)
WORDS = VOCABULARY.split()
KINDS: tuple[Kind, ...] = ("post", "note", "reply")
CONTENT = "c0" * 32  # a content id


def make(number: int, dim: int = 24) -> tuple[list[Chunk], Vectors]:
    """Chunks of random words, ten of a post, with random unit vectors."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(number, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = []
    for n in range(number):
        text = " ".join(rng.choice(WORDS, rng.integers(3, 30)))
        chunks.append(
            Chunk(
                id=f"p{n // 10}:{n % 10}",
                post_id=f"p{n // 10}",
                ordinal=n % 10,
                start=0,
                end=len(text),
                text=text,
                context=f"Entry {n // 10}",
            )
        )
    return chunks, vectors


def make_post(number: int) -> Post:
    """Post "p<number>": of one of three hosts; every fifth has no date, every seventh no language."""
    return Post(
        id=f"p{number}",
        url=f"https://Host{number % 3}.example:8443/{number}",
        title=f"Entry {number}",
        published_at=None if number % 5 == 0 else f"2020-01-{number % 28 + 1:02d}T23:30:00-05:00",
        markdown="",
        revision="",
        kind=KINDS[number % 4 % 3],
        language=None if number % 7 == 0 else ("en", "de")[number % 2],
    )


CHUNKS, VECTORS = make(400)
POSTS = {f"p{n}": make_post(n) for n in range(270)}


def ids(found: list[Ranked]) -> list[str]:
    return [hit.chunk_id for hit in found]


def built(
    store: VectorStore, chunks: list[Chunk] = CHUNKS, vectors: Vectors = VECTORS, version: str = "F0001"
) -> VectorIndex:
    """An index of these chunks."""
    store.build(version, CONTENT, chunks, vectors, POSTS)
    return store.open(version, CONTENT)
