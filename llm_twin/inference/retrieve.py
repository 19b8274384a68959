"""Hybrid retrieval over one feature version, and the confidence that what it found holds an answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property, lru_cache
from typing import Literal, get_args

import numpy as np

from llm_twin.config import Retrieval
from llm_twin.contracts.ports import EVERYTHING, Embedder, Filter, Ranked, Reranker, VectorIndex, Vectors
from llm_twin.contracts.records import Hit
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import MismatchError, TwinError
from llm_twin.inference.about import Aboutness
from llm_twin.inference.confidence import Signals, probability
from llm_twin.inference.words import checked, matches

By = Literal["post", "chunk"]
_QUERIES = 64  # query vectors kept: search and confidence ask for the same one, a chat for the last few
# A post's score: its passages' cosines pooled by a soft maximum of this temperature, plus this share of
# how much it is about the query's words (`about`). A passage's: its post's score plus its own cosine.
# Tuned on one half of the queries of benchmarks/retrieval.py and on the sample's questions; temperatures
# from 0.02 to 0.07 and shares from 0.3 to 0.7 are all within 0.005 nDCG@10 of these.
_POOLING = 0.05
_WORDS_SHARE = 0.6


class Retriever:
    """Searches one feature version. Raises MismatchError where it was built with another embedder."""

    def __init__(
        self,
        features: FeatureVersion,
        index: VectorIndex,
        embedder: Embedder,
        config: Retrieval,
        reranker: Reranker | None = None,
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
        self._reranker = reranker
        self._rows = {chunk_id: row for row, chunk_id in enumerate(features.chunks)}
        self._vector = lru_cache(maxsize=_QUERIES)(self._embed)

    def vector(self, query: str) -> Vectors:
        """The query's unit vector, shape [dim]; the last few are kept."""
        return self._vector(query)

    def search(self, query: str, k: int, by: By = "post", where: Filter = EVERYTHING) -> list[Hit]:
        """The best `k` passages, or posts with their best passage.

        The index fuses its dense and BM25 results by reciprocal rank (Cormack, Clarke and Buettcher, SIGIR
        2009); the posts of these candidates are then put in order by the whole of each, and the first of
        what comes out by the reranker, if there is one. Raises TwinError for what nothing could be found
        by: an empty query or one that is no Unicode, `k` below 1, dates in the wrong order.
        """
        _check(query, k, by, where)
        if not self._rows:
            return []
        fused = self._index.hybrid(self.vector(query), query, max(self.config.candidates, k), where)
        scored = self._scored([r.chunk_id for r in fused], query, 0.0 if by == "post" else 1.0)
        if by == "post":
            scored = self._first_of_each_post(scored)
        if self._reranker:
            scored = (
                self._reranked(scored[: self.config.rerank], query, self._reranker)
                + scored[self.config.rerank :]
            )
        return [self._hit(r, query) for r in scored[:k]]

    def confidence(self, query: str, hits: Sequence[Hit]) -> float:
        """How likely the posts hold an answer to `query`, in [0, 1]; `hits` are what `search` gave for it."""
        return probability(self.signals(query, hits)) if hits else 0.0

    def signals(self, query: str, hits: Sequence[Hit]) -> Signals:
        """What `confidence` weighs; `hits` must not be empty."""
        vector = self.vector(query)
        return Signals(
            chunk=max(h.cosine for h in hits),
            post=max(float(self.features.post_vectors[h.post_id] @ vector) for h in hits),
        )

    def _embed(self, query: str) -> Vectors:
        vector: Vectors = self._embedder.embed([query])[0]
        return vector

    def _scored(self, candidates: Sequence[str], query: str, passage_share: float) -> list[Ranked]:
        """Best first: the score of the post, plus this share of the passage's cosine; then by cosine."""
        chunks, vector = self.features.chunks, self.vector(query)
        posts = {chunks[i].post_id for i in candidates}
        words = self._about.shares(query, posts)
        whole = {post: self._pooled(post, vector) + _WORDS_SHARE * words[post] for post in posts}
        cosines = {i: float(self.features.vectors[self._rows[i]] @ vector) for i in candidates}
        scored = [Ranked(i, whole[chunks[i].post_id] + passage_share * cosines[i]) for i in candidates]
        return sorted(scored, key=lambda r: (-r.score, -cosines[r.chunk_id]))

    def _pooled(self, post: str, vector: Vectors) -> float:
        """A soft maximum of the cosines of the post's passages: several near ones count more than one."""
        cosines = self.features.vectors[self.features.post_rows[post]] @ vector
        return float(_POOLING * np.log(np.exp(cosines / _POOLING).sum()))

    @cached_property
    def _about(self) -> Aboutness:
        return Aboutness(self.features.posts)

    def _first_of_each_post(self, ranked: Sequence[Ranked]) -> list[Ranked]:
        best: dict[str, Ranked] = {}
        for r in ranked:
            best.setdefault(self.features.chunks[r.chunk_id].post_id, r)
        return list(best.values())

    def _reranked(self, first: Sequence[Ranked], query: str, reranker: Reranker) -> list[Ranked]:
        """In the reranker's order. They keep the scores of their places, so that scores still fall."""
        texts = [self.features.chunks[r.chunk_id].indexed_text for r in first]
        found = reranker.scores(query, texts)
        order = sorted(range(len(first)), key=lambda i: -found[i])
        return [Ranked(first[i].chunk_id, first[place].score) for place, i in enumerate(order)]

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
            matches=matches(chunk.text, query),
        )


def _check(query: str, k: int, by: str, where: Filter) -> None:
    if not checked(query, "query").strip():
        raise TwinError("The query is empty", "Search for something")
    if k < 1:
        raise TwinError(f"k = {k} asks for no result", "Give 1 or more")
    if by not in get_args(By):
        raise TwinError(f"by = {by!r} is neither post nor chunk", "Give one of them")
    since, until = _day("since", where.since), _day("until", where.until)
    if since and until and since > until:
        raise TwinError(f"since = {where.since} is after until = {where.until}", "Exchange them")


def _day(name: str, moment: str | None) -> date | None:
    try:
        return date.fromisoformat(moment[:10]) if moment else None
    except ValueError:
        raise TwinError(f"{name} = {moment!r} is no date", "Give one such as 2021-04-18") from None
