"""Search over any store: two legs, equal scores in one order, fused by reciprocal rank.

Fused here and not in the engines, which order equal scores by their layout, another in each build: the same
question must find the same passages wherever and however often it is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from llm_twin.adapters.bm25 import Words
from llm_twin.contracts.ports import Filter, Ranked, Vectors

DENSE, SPARSE = "dense", "bm25"  # names of the vectors of a point
CANDIDATES = 50  # results of each leg before fusion
RRF_K = 60  # Cormack, Clarke and Buettcher (SIGIR 2009)
# Links of a node and candidates of its construction in the HNSW graph: Qdrant's defaults.
HNSW_M, HNSW_BUILD = 16, 100
# Candidates of a filtered dense search (Qdrant takes HNSW_BUILD where none is given). Under a filter whose
# posts lie far from the question, a quarter of 60,000 points, recall@10 was 0.85 with 66 candidates, 0.95
# with 128, 0.986 with 256; each doubling costs half as much time again.
HNSW_FILTERED = 192
# Points that the engines compare with all of, in kilobytes of vectors (Qdrant's default).
FULL_SCAN_KB = 10_000
# Quantised vectors find so many times the results wanted, which are then scored with the exact ones.
OVERSAMPLING = 2.0
_SPARE = 16  # results of a leg beyond those wanted: rows of equal scores longer than this need a second look
_DECIMALS = 5  # of a score; what differs less is the engines' rounding


class Found(NamedTuple):
    """A point that an engine found; `row` is the place of its chunk in the version."""

    score: float
    row: int
    chunk_id: str


class Engine(Protocol):
    """What a store does for a search. A query is a dense vector of shape [dim] or terms of `bm25.Words`."""

    def ask(self, queries: Sequence[Any], limit: int, where: Filter | None) -> list[list[Found]]:
        """For each query its `limit` best points, in any order."""

    def close(self) -> None:
        """Release files or connections."""


class HybridIndex:
    """An open index: the port's searches over an engine.

    Args:
        candidates: results of each leg before fusion, at least.
    """

    def __init__(self, engine: Engine, candidates: int = CANDIDATES) -> None:
        self._engine = engine
        self._candidates = candidates

    def hybrid(self, vector: Vectors, text: str, k: int, where: Filter | None = None) -> list[Ranked]:
        """Dense and BM25 results fused by reciprocal rank; vector of shape [dim]."""
        depth = max(k, self._candidates)
        return reciprocal_rank(self._best([vector, *self._terms(text)], depth, where))[:k]

    def dense(self, vector: Vectors, k: int, where: Filter | None = None) -> list[Ranked]:
        """By cosine similarity."""
        return self._best([vector], k, where)[0]

    def sparse(self, text: str, k: int, where: Filter | None = None) -> list[Ranked]:
        """By BM25; empty where the text holds stop words only."""
        terms = self._terms(text)
        return self._best(terms, k, where)[0] if terms else []

    def close(self) -> None:
        """Release files or connections."""
        self._engine.close()

    @cached_property
    def _words(self) -> Words:
        return Words()

    def _terms(self, text: str) -> list[Any]:
        terms = self._words.query(text)
        return [terms] if terms.indices else []

    def _best(self, queries: Sequence[Any], k: int, where: Filter | None) -> list[list[Ranked]]:
        """The best `k` of each query, equal scores in the order of the chunks.

        The engine cuts a row of equals anywhere, so more are asked for until the row's end is seen.
        """
        limit = k + _SPARE
        legs = [_rounded(leg) for leg in self._engine.ask(queries, limit, where)]
        while cut := [n for n, leg in enumerate(legs) if _cut_in_a_row(leg, k, limit)]:
            limit *= 4
            again = self._engine.ask([queries[n] for n in cut], limit, where)
            for n, leg in zip(cut, again, strict=True):
                legs[n] = _rounded(leg)
        return [[Ranked(found.chunk_id, found.score) for found in leg[:k]] for leg in legs]


def reciprocal_rank(legs: Sequence[Sequence[Ranked]]) -> list[Ranked]:
    """All results of the legs by the sum of 1 / (60 + rank), ranks from 1.

    Cormack, Clarke and Buettcher, Reciprocal Rank Fusion (SIGIR 2009). Equal sums stay in the order in which
    the legs gave them.
    """
    scores: dict[str, float] = {}
    for leg in legs:
        for rank, hit in enumerate(leg, start=1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + 1 / (RRF_K + rank)
    return [Ranked(chunk, score) for chunk, score in sorted(scores.items(), key=lambda item: -item[1])]


def _rounded(leg: Sequence[Found]) -> list[Found]:
    rounded = [Found(round(found.score, _DECIMALS), found.row, found.chunk_id) for found in leg]
    return sorted(rounded, key=lambda found: (-found.score, found.row))


def _cut_in_a_row(leg: Sequence[Found], k: int, limit: int) -> bool:
    """Whether points that were not returned may equal the last one wanted."""
    return len(leg) == limit and leg[-1].score == leg[k - 1].score
