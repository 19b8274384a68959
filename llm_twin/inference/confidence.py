"""How likely it is that the posts hold an answer: a logistic model over signals that a person can check.

An answer is refused where this falls below `retrieval.refuse_below`. The signals compare the question with
the passages found: what it means (cosines), and whether what it names (its content words, weighed by idf)
stands in one place. benchmarks/refusal.py fits the weights and measures them on questions not fitted on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

from llm_twin.contracts.ports import Embedder, VectorIndex, Vectors
from llm_twin.contracts.records import Hit
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.inference.words import content_words, sentences

_CHUNKS = 5  # passages that are looked at
_POSTS = 3  # posts whose whole text is looked at
_KEPT = 512  # passages whose sentences stay embedded: about 6 MB at 8 sentences of 384 numbers


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known about one question and what was found for it.

    Attributes:
        chunk: best cosine of the question with a passage.
        sentence: best cosine with a sentence of the best passages.
        covered: largest share of the question's idf mass in one passage.
        covered_post: largest share in one whole post.
        margin: how far the best post's cosine stands above the mean of the following ones.
        agreement: mean reciprocal rank of the first post in the dense and in the BM25 list.
    """

    chunk: float
    sentence: float
    covered: float
    covered_post: float
    margin: float
    agreement: float


WEIGHTS = Signals(chunk=3.0, sentence=6.0, covered=2.0, covered_post=2.0, margin=2.0, agreement=1.0)
INTERCEPT = -6.5


def probability(signals: Signals, weights: Signals = WEIGHTS, intercept: float = INTERCEPT) -> float:
    """The logistic model's value, in [0, 1]."""
    z = intercept + sum(getattr(signals, f.name) * getattr(weights, f.name) for f in fields(Signals))
    return 1 / (1 + math.exp(-z))


class Judge:
    """Computes the signals on one feature version; word statistics are made at the first question."""

    def __init__(self, features: FeatureVersion, embedder: Embedder) -> None:
        self._features = features
        self._embedder = embedder
        self._sentences = lru_cache(maxsize=_KEPT)(self._embed_sentences)

    def signals(self, query: str, vector: Vectors, hits: Sequence[Hit], index: VectorIndex) -> Signals:
        """The signals of a question with this vector and these hits (at least one)."""
        posts = list(dict.fromkeys(h.post_id for h in hits))
        words = set(content_words(query))
        by_post = [max(h.cosine for h in hits if h.post_id == p) for p in posts[:_CHUNKS]]
        by_post.sort(reverse=True)
        rest = by_post[1:] or [0.0]
        return Signals(
            chunk=max(h.cosine for h in hits),
            sentence=max(float((self._sentences(h.chunk_id) @ vector).max()) for h in hits[:_CHUNKS]),
            covered=max(self._share(words, self._chunk_words[h.chunk_id]) for h in hits[:_CHUNKS]),
            covered_post=max(self._share(words, self._post_words(p)) for p in posts[:_POSTS]),
            margin=by_post[0] - sum(rest) / len(rest),
            agreement=self._agreement(query, vector, posts[0], index),
        )

    def _embed_sentences(self, chunk_id: str) -> Vectors:
        text = self._features.chunks[chunk_id].text
        found = [text[start:end] for start, end in sentences(text)]
        return self._embedder.embed(found or [text])

    def _agreement(self, query: str, vector: Vectors, post: str, index: VectorIndex) -> float:
        legs = (index.dense(vector, _CHUNKS * 2), index.sparse(query, _CHUNKS * 2))
        ranks = [
            list(dict.fromkeys(self._features.chunks[r.chunk_id].post_id for r in leg)) for leg in legs
        ]
        return sum(1 / (1 + leg.index(post)) for leg in ranks if post in leg) / len(legs)

    @cached_property
    def _chunk_words(self) -> dict[str, frozenset[str]]:
        return {c.id: frozenset(content_words(c.indexed_text)) for c in self._features.chunks.values()}

    @cached_property
    def _idf(self) -> dict[str, float]:
        # BM25's idf (Robertson and Zaragoza 2009) over chunks, in its form that cannot be negative.
        count = Counter(w for words in self._chunk_words.values() for w in words)
        total = len(self._chunk_words)
        return {w: math.log(1 + (total - n + 0.5) / (n + 0.5)) for w, n in count.items()}

    def _share(self, words: Iterable[str], found: frozenset[str]) -> float:
        unseen = math.log(1 + (len(self._chunk_words) + 0.5) / 0.5)
        mass = {w: self._idf.get(w, unseen) for w in words}
        total = sum(mass.values())
        return sum(m for w, m in mass.items() if w in found) / total if total else 0.0

    def _post_words(self, post_id: str) -> frozenset[str]:
        return frozenset().union(*(self._chunk_words[c] for c in self._chunks_of[post_id]))

    @cached_property
    def _chunks_of(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for chunk in self._features.chunks.values():
            found[chunk.post_id] = (*found.get(chunk.post_id, ()), chunk.id)
        return found
