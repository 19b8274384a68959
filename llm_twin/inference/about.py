"""How much a whole post is about a query, by its words: BM25 over posts, as a share of what one could reach.

An index of passages knows where the words stand. Whether a post is about them shows in how often the whole of
it comes back to them, so a term's weight saturates late (a large k1) and length matters little (a small b).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from llm_twin.contracts.records import Post
from llm_twin.inference.words import content_words

# Measured on the tuning half of benchmarks/retrieval.py: nDCG@10 of this share alone is 0.50 with the k1
# = 1.2 and b = 0.75 that suit passages, and 0.56 so; k1 from 4 to 10 and b from 0.2 to 0.5 are within
# 0.01 of that.
_K1, _B = 5.0, 0.5
# A word of the title counts as so many of the text: all posts in a search's order, 0.627 for 0.619 with 1.
# From 2 to 10 all are within 0.004 of that; on the sample's questions more than 4 are worse.
_TITLE = 4


class Aboutness:
    """BM25 of whole posts, their titles a field that weighs more.

    Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), section 3.6.
    """

    def __init__(self, posts: Mapping[str, Post]) -> None:
        counts = {i: _counts(post) for i, post in posts.items()}
        mean = sum(words.total() for words in counts.values()) / max(1, len(counts)) or 1.0
        self._posts = len(counts)
        self._weights: dict[str, dict[str, float]] = defaultdict(dict)
        for post, words in counts.items():
            slow = _K1 * (1 - _B + _B * words.total() / mean)
            for word, times in words.items():
                self._weights[word][post] = times / (times + slow)

    def shares(self, query: str, posts: Iterable[str]) -> dict[str, float]:
        """For each post the part of the query's attainable BM25 that it reaches, in [0, 1)."""
        found = {word: self._weights[word] for word in set(content_words(query)) if word in self._weights}
        idf = {word: self._idf(len(weights)) for word, weights in found.items()}
        whole = math.fsum(idf.values()) or 1.0
        return {
            post: math.fsum(idf[word] * weights.get(post, 0.0) for word, weights in found.items()) / whole
            for post in posts
        }

    def _idf(self, holding: int) -> float:
        return math.log(1 + (self._posts - holding + 0.5) / (holding + 0.5))


def _counts(post: Post) -> Counter[str]:
    return Counter(content_words(post.title) * _TITLE + content_words(post.markdown))
