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

import numpy as np

from llm_twin.contracts.ports import Embedder, Vectors
from llm_twin.contracts.records import Hit
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.inference.words import content_words, sentences

_CHUNKS = 5  # passages that are looked at
_KEPT = 512  # passages whose sentences stay embedded: about 6 MB at 8 sentences of 384 numbers


@dataclass(frozen=True, slots=True)
class Signals:
    """What is known about one question and what was found for it.

    Attributes:
        chunk: best cosine of the question with a passage.
        sentence: best cosine with two neighbouring sentences of the best passages.
        post: best cosine with the mean of a post's passages.
        covered: largest share of the question's idf mass in one passage.
    """

    chunk: float
    sentence: float
    post: float
    covered: float


# Fitted by benchmarks/refusal.py on the odd half of the sample's questions (and the same ones with their own
# post taken away), weights kept at zero or above. all-MiniLM-L6-v2's cosines; another embedder needs its own
# fit.
WEIGHTS = Signals(chunk=0.691, sentence=0.893, post=3.881, covered=0.933)
INTERCEPT = -2.021


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

    def signals(self, query: str, vector: Vectors, hits: Sequence[Hit], posts: dict[str, Vectors]) -> Signals:
        """The signals of a question with this vector and these hits (at least one).

        `posts` holds the unit mean of each post's vectors, by post id.
        """
        words = set(content_words(query))
        seen = hits[:_CHUNKS]
        return Signals(
            chunk=max(h.cosine for h in hits),
            sentence=max(float((self._sentences(h.chunk_id) @ vector).max()) for h in seen),
            post=max(float(posts[h.post_id] @ vector) for h in hits),
            covered=max(self._share(words, self._words[h.chunk_id]) for h in seen),
        )

    def _embed_sentences(self, chunk_id: str) -> Vectors:
        """Unit vectors of each two neighbouring sentences; one alone often leans on the other."""
        text = self._features.chunks[chunk_id].text
        single = self._embedder.embed([text[start:end] for start, end in sentences(text)] or [text])
        pairs = single[:-1] + single[1:] if len(single) > 1 else single
        unit: Vectors = pairs / np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-9)
        return unit

    @cached_property
    def _words(self) -> dict[str, frozenset[str]]:
        return {c.id: frozenset(content_words(c.indexed_text)) for c in self._features.chunks.values()}

    @cached_property
    def _idf(self) -> dict[str, float]:
        # BM25's idf (Robertson and Zaragoza 2009) over chunks, in its form that cannot be negative.
        count = Counter(w for words in self._words.values() for w in words)
        total = len(self._words)
        return {w: math.log(1 + (total - n + 0.5) / (n + 0.5)) for w, n in count.items()}

    def _share(self, words: Iterable[str], found: frozenset[str]) -> float:
        unseen = math.log(1 + (len(self._words) + 0.5) / 0.5)
        mass = {w: self._idf.get(w, unseen) for w in words}
        total = sum(mass.values())
        return sum(m for w, m in mass.items() if w in found) / total if total else 0.0
