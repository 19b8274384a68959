"""How fast the embedded vector store is built, opened and asked, against qdrant-client's local mode.

Chunks are generated: vectors around 500 centres in 32 dimensions, put into 384 with some noise, and texts of
60 to 140 words by Zipf's law, ten chunks a post. A hybrid query is a dense and a BM25 leg of 50, fused, with
the chunk ids; a question's vector is drawn like the chunks', its 3 to 8 words by the same law. `updates_s`
counts the engine's updates alone, `chunks_s` also tokenising and packing; the graph is made after them
(`graph_s`). Recall is of the dense leg's first ten against all cosines. Memory is what a process of its own
adds when it opens the index (`open_mb`) and has asked all questions (`asked_mb`); pages mapped from disk
count, though the system can take them back and processes share them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import Measured, run

from llm_twin.adapters.edge import EdgeStore
from llm_twin.contracts.ports import Filter, VectorIndex, Vectors
from llm_twin.contracts.records import Chunk, Kind, Post

CHUNKS, QUICK = 100_000, 10_000
CURVE = (100_000, 300_000, 1_000_000)
QUESTIONS = 500
PEER_QUESTIONS = 5  # qdrant-client's local mode takes seconds for one
DIM, LATENT, TOPICS, WORDS = 384, 32, 500, 50_000
VERSION, CONTENT = "F0001", "0" * 64
KINDS: tuple[Kind, ...] = ("post", "post", "post", "note", "reply")
FILTERS = {
    "none": Filter(),
    "90 %, language": Filter(languages=frozenset({"en"})),
    "50 %, since": Filter(since="2015-01-01"),
    "9 %, since": Filter(since="2020-01-01"),
    "20 %, kind": Filter(kinds=frozenset({"reply"})),
    "14 %, source": Filter(sources=frozenset({"host3.example"})),
    "10 % of the posts": Filter(posts=frozenset(f"p{10 * n}" for n in range(CHUNKS // 100))),
    "20 posts": Filter(posts=frozenset(f"p{37 * n}" for n in range(20))),
    "without 50 posts": Filter(without_posts=frozenset(f"p{37 * n}" for n in range(50))),
    "3 %, four fields": Filter(
        languages=frozenset({"en"}),
        since="2015-01-01",
        kinds=frozenset({"post", "note"}),
        sources=frozenset({"host3.example", "host4.example"}),
        until="2016-12-31",
    ),
}


@dataclass(frozen=True)
class Corpus:
    """Generated chunks, and questions with their vectors."""

    chunks: list[Chunk]
    vectors: Vectors
    posts: dict[str, Post]
    questions: list[str]
    asked: Vectors


class Clock:
    """The `Progress` port as a stopwatch: when the updates ended and the graph began."""

    def __init__(self) -> None:
        self.began, self.graph = time.perf_counter(), 0.0

    def start(self, stage: str, total: int | None = None) -> None:
        """Note when the graph is begun."""
        self.graph = time.perf_counter()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nothing is shown."""

    def say(self, line: str) -> None:
        """Nothing is said."""


def main() -> None:
    run("store", __doc__, measure, arguments)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--million", action="store_true", help="the curve to 1,000,000 chunks instead (30 minutes, 18 GB)"
    )


def measure(options: argparse.Namespace) -> Measured:
    if options.million:
        return Measured({f"{number:,}": ours(corpus(number), int8=True) for number in CURVE}, {}, {})
    made = corpus(QUICK if options.quick else CHUNKS)
    figures: dict[str, Any] = {"chunks": len(made.chunks), "float32": ours(made), "int8": ours(made, True)}
    local = peer(made)
    same = figures["float32"]["hybrid"]
    ratios = {
        "chunks_s": round(figures["float32"]["chunks_s"] / local["chunks_s"], 1),
        "hybrid_p50": round(local["hybrid"]["none"]["p50_ms"] / same["none"]["p50_ms"], 1),
        "filtered_p50": round(local["hybrid"]["14 %, source"]["p50_ms"] / same["14 %, source"]["p50_ms"], 1),
    }
    return Measured(figures, {"qdrant-client, in memory": local}, ratios)


def ours(made: Corpus, int8: bool = False) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, updates_timed() as spent:
        store, clock = EdgeStore(Path(name), quantise_above=0 if int8 else None), Clock()
        store.build(VERSION, CONTENT, made.chunks, made.vectors, made.posts, clock)
        ended = time.perf_counter()
        figures = {
            "int8": int8,
            "updates_s": round(len(made.chunks) / spent[0]),
            "chunks_s": round(len(made.chunks) / (clock.graph - clock.began)),
            "graph_s": round(ended - clock.graph, 1),
            "disk_mb": round(sum(f.stat().st_blocks * 512 for f in Path(name).rglob("*")) / 1e6),
        }
        asked = [(vector.tolist(), text) for vector, text in zip(made.asked, made.questions, strict=True)]
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            figures |= fresh.apply(in_a_fresh_process, (name, asked))
        figures["recall_10"] = recall(store.open(VERSION, CONTENT), made)
    return figures


@contextmanager
def updates_timed() -> Iterator[list[float]]:
    """Seconds that the engine spends in its updates."""
    import llm_twin.adapters.edge as adapter

    spent, create = [0.0], adapter._create

    class Timed:
        def __init__(self, shard: Any) -> None:
            self._shard = shard

        def __getattr__(self, method: str) -> Any:
            return getattr(self._shard, method)

        def update(self, operation: Any) -> None:
            began = time.perf_counter()
            self._shard.update(operation)
            spent[0] += time.perf_counter() - began

    adapter._create = lambda *args: Timed(create(*args))
    try:
        yield spent
    finally:
        adapter._create = create


def in_a_fresh_process(folder: str, asked: list[tuple[list[float], str]]) -> dict[str, Any]:
    """Opening, memory and latency, where nothing of the build is in the way."""
    import qdrant_edge  # noqa: F401  (its library is not the index's memory)

    questions = [(np.array(vector, np.float32), text) for vector, text in asked]
    before, began = memory_mb(), time.perf_counter()
    index = EdgeStore(Path(folder)).open(VERSION, CONTENT)
    opened, holds = time.perf_counter() - began, memory_mb() - before
    first = timed(lambda: index.hybrid(*questions[0], 10))
    hybrid = {name: latency(index, questions, where) for name, where in FILTERS.items()}
    return {
        "open_s": round(opened, 3),
        "open_mb": round(holds),
        "asked_mb": round(memory_mb() - before),
        "first_query_ms": round(1e3 * first, 2),
        "hybrid": hybrid,
    }


def latency(index: VectorIndex, questions: list[tuple[Vectors, str]], where: Filter) -> dict[str, float]:
    spent = [timed(lambda v=vector, t=text: index.hybrid(v, t, 10, where)) for vector, text in questions]
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(1e3 * p50, 2), "p99_ms": round(1e3 * p99, 2)}


def recall(index: VectorIndex, made: Corpus) -> dict[str, float]:
    """Of the dense leg: of everything, and under filters that let too many pass to compare with each."""
    found = {}
    for name in ("none", "50 %, since", "9 %, since", "14 %, source", "10 % of the posts"):
        where, hits = FILTERS[name], 0
        allowed = np.array([admits(where, made.posts[chunk.post_id]) for chunk in made.chunks])
        for vector in made.asked[:100]:
            cosines = np.where(allowed, made.vectors @ vector, -2)
            truth = {made.chunks[row].id for row in np.argpartition(-cosines, 10)[:10]}
            hits += len(truth & {hit.chunk_id for hit in index.dense(vector, 10, where)})
        found[name] = round(hits / 1000, 4)
    return found


def admits(where: Filter, post: Post) -> bool:
    host = post.url.split("/")[2]
    return (
        (not where.sources or host in where.sources)
        and (not where.posts or post.id in where.posts)
        and (post.published_at or "") >= (where.since or "")
    )


def peer(made: Corpus) -> dict[str, Any]:
    """qdrant-client's local mode through the same adapter, so that the same is asked of both."""
    from qdrant_client import QdrantClient

    from llm_twin.adapters.qdrant_calls import Calls
    from llm_twin.adapters.qdrant_server import QdrantServerStore

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has no indexes, and is meant for less
        store, clock = QdrantServerStore(Calls(QdrantClient(":memory:"), "memory"), "peer"), Clock()
        store.build(VERSION, CONTENT, made.chunks, made.vectors, made.posts, clock)
        seconds = time.perf_counter() - clock.began
        index = store.open(VERSION, CONTENT)
        questions = list(zip(made.asked, made.questions, strict=True))[:PEER_QUESTIONS]
        hybrid = {name: latency(index, questions, FILTERS[name]) for name in ("none", "14 %, source")}
    return {"chunks_s": round(len(made.chunks) / seconds), "questions": PEER_QUESTIONS, "hybrid": hybrid}


def timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def memory_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def corpus(number: int) -> Corpus:
    chance = np.random.default_rng(0)
    texts = sampled(number, 60, 140, chance)
    chunks = [
        Chunk.model_construct(
            id=f"p{n // 10}:{n % 10}",
            post_id=f"p{n // 10}",
            ordinal=n % 10,
            start=0,
            end=len(text),
            text=text,
            context=f"Entry {n // 10}",
        )
        for n, text in enumerate(texts)
    ]
    vectors = clustered(number + QUESTIONS, chance)
    questions = sampled(QUESTIONS, 3, 8, chance)
    posts = {f"p{n}": post(n, chance) for n in range(-(-number // 10))}
    return Corpus(chunks, vectors[:number], posts, questions, vectors[number:])


def post(number: int, chance: np.random.Generator) -> Post:
    year, month, day = chance.integers((2010, 1, 1), (2021, 13, 29))
    return Post(
        id=f"p{number}",
        url=f"https://host{chance.integers(7)}.example/{number}",
        title=f"Entry {number}",
        published_at=f"{year}-{month:02d}-{day:02d}",
        markdown="",
        revision="",
        kind=KINDS[chance.integers(5)],
        language="de" if chance.random() < 0.1 else "en",
    )


def clustered(number: int, chance: np.random.Generator) -> Vectors:
    centres = chance.normal(size=(TOPICS, LATENT))
    spread = (chance.normal(size=(LATENT, DIM)) / np.sqrt(LATENT)).astype(np.float32)
    sizes = np.arange(1, TOPICS + 1) ** -0.7
    rows = np.empty((number, DIM), np.float32)
    for first in range(0, number, 10_000):
        part = rows[first : first + 10_000]
        topics = chance.choice(TOPICS, len(part), p=sizes / sizes.sum())
        latent = centres[topics] + 0.6 * chance.normal(size=(len(part), LATENT))
        part[:] = latent.astype(np.float32) @ spread + 0.25 * chance.normal(size=part.shape)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return rows


def sampled(number: int, least: int, most: int, chance: np.random.Generator) -> list[str]:
    words, shares = vocabulary()
    lengths = chance.integers(least, most, number)
    texts = []
    for length in lengths:
        picked = np.searchsorted(shares, chance.random(length))
        texts.append(" ".join(words[np.minimum(picked, len(words) - 1)]))
    return texts


@cache
def vocabulary() -> tuple[Any, Any]:
    """Invented words, and the running sum of their shares by Zipf's and Mandelbrot's law."""
    chance, made = random.Random(0), dict[str, None]()
    while len(made) < WORDS:
        syllables = (chance.choice("bcdfghjklmnprstvwz") + chance.choice("aeiou") for _ in range(4))
        made["".join(list(syllables)[: chance.randint(1, 4)]) + chance.choice(["", "n", "r", "s", "t"])] = (
            None
        )
    shares = 1 / (np.arange(1, WORDS + 1) + 2.7)
    return np.array(list(made), dtype=object), np.cumsum(shares / shares.sum())


if __name__ == "__main__":
    main()
