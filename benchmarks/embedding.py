"""How fast chunks are embedded by every backend, against `SentenceTransformer.encode` with its defaults.

Chunks are the project's own, of a real blog where the test data is there, else of the sample author. Rates
are medians of runs in turns over the same chunks. Exactness is the least cosine to the vectors of `encode`
over all chunks and queries; nDCG@10 is of the dense vectors alone, a post ranked by its best chunk. The
limit of a precision is the machine's measured matrix product rate over the operations of the model for the
chunks that were timed (products of linear layers and attention; nothing else is counted).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from machine import Measured, run
from retrieval import LINKS, Corpus, links, measures, sample_author

from llm_twin.adapters.embedder_weights import BACKENDS, Backend
from llm_twin.adapters.openvino_embedder import OpenVinoEmbedder
from llm_twin.adapters.sentence_embedder import SentenceEmbedder, load_reference
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.config import Features
from llm_twin.contracts.ports import Embedder, Vectors
from llm_twin.feature.chunk import chunk

PEER = "SentenceTransformer.encode"
TIMED, QUICK = 384, 96  # chunks that are timed
REPEATS = 3
QUERIES = 40  # single queries that are timed
PRECISION = {"torch-fp32": "fp32", "torch-bf16": "bf16", "openvino-bf16": "bf16", "openvino-int8": "int8"}
SIZE = 1024  # of the square product that the machine's rate is measured by
# A fresh process, as `llm-twin search` is: from nothing to the vector of one query.
LOAD = """
import sys, time
began = time.perf_counter()
from llm_twin.compose.embedding import _make
_make("all-MiniLM-L6-v2", sys.argv[1]).embed(["a quiet river"])
print(time.perf_counter() - began)
"""


def main() -> None:
    run("embedding", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    corpus = links() if LINKS.is_dir() and not options.quick else sample_author()
    plain = load_reference(packaged_embedder(), "cpu")
    made: dict[Backend, Embedder] = {b: backend(b) for b in BACKENDS}
    texts, posts = chunks(corpus, made["torch-fp32"])
    step = max(1, len(texts) // (QUICK if options.quick else TIMED))
    timed = texts[::step]
    ways: dict[str, Callable[[Sequence[str]], Vectors]] = {PEER: encode(plain)}
    ways |= {name: each.embed for name, each in made.items()}
    rates = chunk_rates(ways, timed, 1 if options.quick else REPEATS)
    limits = matmul_rates()
    operations = np.mean([operations_of(plain, text) for text in timed])
    queries = [q.text for q in corpus.queries]
    expected = ways[PEER](texts), ways[PEER](queries)
    figures: dict[str, Any] = {
        "blog": "skeeto" if corpus.posts[0].url.startswith("blog/") else "sample",
        "chunks": len(texts),
        "timed": len(timed),
        "tokens_mean": round(float(np.mean([made["torch-fp32"].count_tokens(t) for t in timed])), 1),
        "gflop_of_a_chunk": round(operations / 1e9, 3),
        "matmul_gflop_s": {name: round(rate / 1e9) for name, rate in limits.items()},
    }
    for name in BACKENDS:
        found = made[name].embed(texts), made[name].embed(queries)
        limit = limits[PRECISION[name]] / operations
        figures[name] = {
            "chunks_s": round(rates[name], 1),
            "limit_chunks_s": round(limit, 1),
            "share_of_limit": round(rates[name] / limit, 2),
            "least_cosine": round(least_cosine(found, expected), 5),
            "dense_ndcg@10": ndcg(corpus, posts, *found),
            "query_ms": query_ms(made[name].embed, queries),
            "load_s": load_s(name),
        }
    peers = {
        PEER: {
            "chunks_s": round(rates[PEER], 1),
            "dense_ndcg@10": ndcg(corpus, posts, *expected),
            "query_ms": query_ms(ways[PEER], queries),
        }
    }
    return Measured(figures, peers, {f"{b} chunks_s": round(rates[b] / rates[PEER], 2) for b in BACKENDS})


def backend(name: Backend) -> Embedder:
    kind = OpenVinoEmbedder if name.startswith("openvino") else SentenceEmbedder
    return kind(packaged_embedder(), "all-MiniLM-L6-v2", name)


def encode(plain: Any) -> Callable[[Sequence[str]], Vectors]:
    return lambda texts: plain.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def chunks(corpus: Corpus, embedder: Embedder) -> tuple[list[str], list[str]]:
    """(texts as they are embedded, the post id of each)."""
    found = [c for post in corpus.posts for c in chunk(post, embedder, Features().chunk_tokens)]
    return [c.indexed_text for c in found], [c.post_id for c in found]


def chunk_rates(
    ways: dict[str, Callable[[Sequence[str]], Vectors]], texts: Sequence[str], repeats: int
) -> dict[str, float]:
    for way in ways.values():
        way(sorted(texts, key=len)[::6])  # loads the model; OpenVINO also prepares code for each length, once
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):  # in turns, so that a busy moment hits all
        for name, way in ways.items():
            began = time.perf_counter()
            way(texts)
            seconds[name].append(time.perf_counter() - began)
    return {name: len(texts) / median(taken) for name, taken in seconds.items()}


def operations_of(plain: Any, text: str) -> int:
    """Multiplications and additions of the products of linear layers and attention for one text."""
    tokens = len(plain.tokenizer(text, truncation=True, max_length=plain.max_seq_length)["input_ids"])
    config = plain[0].auto_model.config
    layers = plain[0].auto_model.encoder.modules()
    weights = sum(layer.weight.numel() for layer in layers if isinstance(layer, torch.nn.Linear))
    return 2 * tokens * weights + 4 * tokens**2 * config.hidden_size * config.num_hidden_layers


def matmul_rates() -> dict[str, float]:
    """Operations a second of a large square product on all cores; int8 is uint8 by int8, as oneDNN has it."""
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    halves = left.bfloat16(), right.bfloat16()
    whole = torch.randint(0, 255, (SIZE, SIZE), dtype=torch.uint8)
    packed = torch.ops.onednn.qlinear_prepack(torch.randint(-127, 127, (SIZE, SIZE), dtype=torch.int8), None)
    scales, zeros = torch.ones(SIZE), torch.zeros(SIZE, dtype=torch.int64)
    products: dict[str, Callable[[], object]] = {
        "fp32": lambda: left @ right,
        "bf16": lambda: halves[0] @ halves[1],
        "int8": lambda: torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.uint8, "none", [], ""
        ),
    }
    return {name: 2 * SIZE**3 / best_s(product) for name, product in products.items()}


def best_s(work: Callable[[], object], rounds: int = 40) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def least_cosine(found: tuple[Vectors, Vectors], expected: tuple[Vectors, Vectors]) -> float:
    return float(min((a * b).sum(axis=1).min() for a, b in zip(found, expected, strict=True)))


def ndcg(corpus: Corpus, posts: Sequence[str], vectors: Vectors, queries: Vectors) -> float:
    found = []
    for query, cosines in zip(corpus.queries, queries @ vectors.T, strict=True):
        best = dict.fromkeys(posts[row] for row in np.argsort(-cosines, kind="stable"))
        found.append((query, list(best)))
    return measures(found)["ndcg@10"]


def query_ms(way: Callable[[Sequence[str]], Vectors], queries: Sequence[str]) -> float:
    """Of a query alone, in a process that has embedded before."""
    taken = []
    for query in queries[:QUERIES]:
        began = time.perf_counter()
        way([query])
        taken.append(time.perf_counter() - began)
    return round(1e3 * median(taken), 1)


def load_s(name: Backend) -> float:
    """Of a fresh process, imports and model, up to its first vector; the model was converted before."""
    command = [sys.executable, "-c", LOAD, name]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
    return round(median(map(float, runs)), 2)


if __name__ == "__main__":
    main()
