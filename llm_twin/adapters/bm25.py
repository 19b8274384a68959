"""BM25 as sparse vectors: one encoder for every store, so that all of them score alike.

The words are Qdrant's own tokens (lower case, English stop words, Snowball stems) by their hash; a document's
weights hold the frequency and length part of BM25, a query's are 1, and the store multiplies by the idf that
it counts over its points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

# Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), section 3.4
K1, B = 1.2, 0.75
# Texts whose length is counted. The mean of so many is within 1 % of the mean of all (lengths of chunks
# spread by about a third), and counting all of them took a third of the time of a build.
_COUNTED = 4096


class Words:
    """Turns texts into `qdrant_edge.SparseVector`, which has `indices` and `values`.

    Args:
        texts: the documents that will be encoded; their mean length is BM25's. Queries do not need it.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._encoder = _encoder(K1, B, mean_length(texts))

    def document(self, text: str) -> Any:
        """Terms and weights of a document."""
        return self._encoder.embed_document(_fold(text))

    def query(self, text: str) -> Any:
        """Terms of a query, each once; none where it holds stop words only."""
        return self._encoder.embed_query(_fold(text))


def mean_length(texts: Sequence[str]) -> float:
    """Mean tokens of a text, of at most 4,096 evenly spaced ones; at least 1.

    With b = 0 and a very large k a term's weight is its frequency, so the weights of a text sum to its
    length.
    """
    counted = texts[:: math.ceil(len(texts) / _COUNTED)] if texts else ()
    counter = _encoder(1e9, 0.0, 1.0)
    total = math.fsum(sum(counter.embed_document(_fold(text)).values) for text in counted)
    return max(1.0, total / len(counted)) if counted else 1.0


def _encoder(k1: float, b: float, length: float) -> Any:
    import qdrant_edge as edge

    return edge.Bm25(edge.Bm25Config(k=k1, b=b, avg_len=length, language="english"))


def _fold(text: str) -> str:
    """Curly apostrophes as straight ones, so that both spellings are one word."""
    return text.replace("’", "'")
