from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import ExactIndex, HashEmbedder, post, seal

from llm_twin.config import Config, Retrieval
from llm_twin.contracts.ports import Filter
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import MismatchError, TwinError
from llm_twin.inference.retrieve import By, Retriever


def test_hits_point_at_real_spans_and_hold_the_true_cosine(
    retriever: Retriever, features: FeatureVersion, embedder: HashEmbedder
) -> None:
    query = "How did you mend the spout of the kettle?"
    hits = retriever.search(query, 6, by="chunk")
    assert hits[0].title == "The brass kettle"
    for hit in hits:
        assert features.posts[hit.post_id].markdown[hit.start : hit.end] == hit.text
        chunk = features.chunks[hit.chunk_id]
        expected = float(embedder.embed([chunk.indexed_text])[0] @ embedder.embed([query])[0])
        assert hit.cosine == pytest.approx(expected, abs=1e-5)
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


def test_by_post_gives_each_post_once_with_its_best_chunk(retriever: Retriever) -> None:
    query = "herons and the loft ladder"
    by_chunk = retriever.search(query, 50, by="chunk")
    by_post = retriever.search(query, 3)
    assert len({h.post_id for h in by_post}) == len(by_post) == 3
    for hit in by_post:
        best = max((h for h in by_chunk if h.post_id == hit.post_id), key=lambda h: h.cosine)
        assert hit.chunk_id == best.chunk_id


def test_of_two_posts_the_one_that_comes_back_to_the_words_is_first(
    tmp_path: Path, embedder: HashEmbedder
) -> None:
    mention = "The harbour was quiet. We bought a lantern and walked home along the quay in the rain."
    about = "A lantern needs a trimmed wick. " + "The lantern on the landing burns oil. " * 4
    features = seal(tmp_path / "F0001", [post("Harbour", mention), post("Lamps", about)], embedder)
    index = ExactIndex(list(features.chunks.values()), features.vectors)
    retriever = Retriever(features, index, embedder, Retrieval())
    assert [h.title for h in retriever.search("lantern", 2)] == ["Lamps", "Harbour"]


def test_the_words_that_a_hit_shares_with_the_query_are_marked(retriever: Retriever) -> None:
    hit = retriever.search("mending kettles", 1)[0]
    marked = {hit.text[a:b].lower() for a, b in hit.matches}
    assert marked
    assert all(word.startswith(("mend", "kettle")) for word in marked)


def test_a_filter_keeps_a_post_out(retriever: Retriever, posts: list[Post]) -> None:
    query = "brass kettle spout"
    first = retriever.search(query, 1)[0].post_id
    assert first == posts[0].id
    rest = retriever.search(query, 10, where=Filter(without_posts=frozenset({first})))
    assert rest
    assert first not in {h.post_id for h in rest}


class Backwards:
    """Prefers what came last."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        self.read += passages
        return [float(place) for place, _ in enumerate(passages)]


@pytest.mark.parametrize("by", ["post", "chunk"])
def test_a_reranker_reads_the_first_results_and_puts_them_in_order(
    retriever: Retriever, features: FeatureVersion, embedder: HashEmbedder, by: By
) -> None:
    index, reranker = ExactIndex(list(features.chunks.values()), features.vectors), Backwards()
    again = Retriever(features, index, embedder, Retrieval(rerank=3), reranker)
    before = retriever.search("the brass kettle", 4, by)
    after = again.search("the brass kettle", 4, by)
    assert [h.chunk_id for h in after] == [before[i].chunk_id for i in (2, 1, 0, 3)]
    assert [h.score for h in after] == [h.score for h in before]
    assert {h.chunk_id: h.cosine for h in after} == {h.chunk_id: h.cosine for h in before}
    assert reranker.read == [features.chunks[h.chunk_id].indexed_text for h in before[:3]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"query": ""}, "The query is empty"),
        ({"query": " \n"}, "The query is empty"),
        ({"query": None}, "The query is no text: None"),
        ({"k": 0}, "k = 0"),
        ({"k": -1}, "k = -1"),
        ({"by": "foo"}, "by = 'foo' is neither post nor chunk"),
        ({"where": Filter(since="2022-01-01", until="2021-01-01")}, "2022-01-01 is after until = 2021-01-01"),
        ({"where": Filter(until="yesterday")}, "until = 'yesterday' is no date"),
    ],
)
def test_what_nothing_could_be_found_by_is_an_error(
    retriever: Retriever, changed: dict[str, Any], said: str
) -> None:
    one_day = Filter(since="2021-03-04", until="2021-03-04")
    asked: dict[str, Any] = {"query": "kettle", "k": 5, "where": one_day}
    assert retriever.search(**asked)
    with pytest.raises(TwinError, match=said):
        retriever.search(**asked | changed)


def test_another_embedder_is_refused_naming_both(features: FeatureVersion) -> None:
    class Other(HashEmbedder):
        name, id = "other", "other-9"

    index = ExactIndex(list(features.chunks.values()), features.vectors)
    with pytest.raises(MismatchError, match=r"hash-256.*other-9.*features build"):
        Retriever(features, index, Other(), Config().retrieval)


def test_the_query_is_embedded_once_for_search_and_confidence(features: FeatureVersion) -> None:
    class Counting(HashEmbedder):
        seen: list[str]

        def embed(self, texts: object, progress: object = None) -> np.ndarray:  # type: ignore[override]
            self.seen += list(texts)  # type: ignore[call-overload]
            return super().embed(list(texts))  # type: ignore[call-overload]

    embedder = Counting()
    embedder.seen = []
    index = ExactIndex(list(features.chunks.values()), features.vectors)
    retriever = Retriever(features, index, embedder, Retrieval())
    for _ in range(2):
        retriever.confidence("kettle", retriever.search("kettle", 5))
    assert embedder.seen.count("kettle") == 1
    assert len(embedder.seen) == len(set(embedder.seen)), "sentences of a passage are embedded once"
