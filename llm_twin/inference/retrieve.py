"""Hybrid retrieval over one feature version, and the confidence that what it found holds an answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from llm_twin.config import Retrieval
from llm_twin.contracts.ports import Embedder, Filter, Ranked, VectorIndex, Vectors
from llm_twin.contracts.records import Hit
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import MismatchError
from llm_twin.inference.confidence import Judge, Signals, probability

By = Literal["post", "chunk"]
EVERYTHING = Filter()
_QUERIES = 64  # query vectors kept: search and confidence ask for the same one, a chat for the last few


class Retriever:
    """Searches one feature version. Raises MismatchError where it was built with another embedder."""

    def __init__(
        self, features: FeatureVersion, index: VectorIndex, embedder: Embedder, config: Retrieval
    ) -> None:
        built = features.manifest.embedder
        if built.id != embedder.id:
            raise MismatchError(
                f"{features.name} was embedded with {built.name} ({built.id[:12]}), "
                f"this twin uses {embedder.name} ({embedder.id[:12]})",
                "Embed it again: llm-twin features build",
            )
        self.features = features
        self.config = config
        self._index = index
        self._embedder = embedder
        self._rows = {chunk_id: row for row, chunk_id in enumerate(features.chunks)}
        self._judge = Judge(features, embedder)
        self._vector = lru_cache(maxsize=_QUERIES)(self._embed)

    def vector(self, query: str) -> Vectors:
        """The query's unit vector, shape [dim]; the last few are kept."""
        return self._vector(query)

    def search(self, query: str, k: int, by: By = "post", where: Filter = EVERYTHING) -> list[Hit]:
        """The best `k` passages, or posts with their best passage, of the fused dense and BM25 results.

        Fusion is reciprocal rank (Cormack, Clarke and Buettcher, SIGIR 2009) inside the index; `candidates`
        of the configuration is how many results it is asked for.
        """
        if not self._rows or not query.strip():
            return []
        ranked = self._index.hybrid(self.vector(query), query, max(self.config.candidates, k), where)
        if by == "post":
            ranked = self._first_of_each_post(ranked)
        return [self._hit(r, query) for r in ranked[:k]]

    def confidence(self, query: str, hits: Sequence[Hit]) -> float:
        """How likely the posts hold an answer to `query`, in [0, 1]; `hits` are what `search` gave for it."""
        return probability(self.signals(query, hits)) if hits else 0.0

    def signals(self, query: str, hits: Sequence[Hit]) -> Signals:
        """What `confidence` weighs; `hits` must not be empty."""
        return self._judge.signals(query, self.vector(query), hits, self._index)

    def _embed(self, query: str) -> Vectors:
        vector: Vectors = self._embedder.embed([query])[0]
        return vector

    def _first_of_each_post(self, ranked: Sequence[Ranked]) -> list[Ranked]:
        best: dict[str, Ranked] = {}
        for r in ranked:
            best.setdefault(self.features.chunks[r.chunk_id].post_id, r)
        return list(best.values())

    def _hit(self, ranked: Ranked, query: str) -> Hit:
        chunk = self.features.chunks[ranked.chunk_id]
        post = self.features.posts[chunk.post_id]
        cosine = float(self.features.vectors[self._rows[chunk.id]] @ self.vector(query))
        return Hit(
            post_id=post.id,
            url=post.url,
            title=post.title,
            published_at=post.published_at,
            chunk_id=chunk.id,
            text=chunk.text,
            start=chunk.start,
            end=chunk.end,
            score=ranked.score,
            cosine=max(-1.0, min(1.0, cosine)),
        )
