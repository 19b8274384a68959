"""What every vector store must do, tried on each of them.

The Qdrant server is that of $LLM_TWIN_QDRANT_URL (its key in $LLM_TWIN_QDRANT_API_KEY) where it is set, and
qdrant-client's in-memory mode otherwise.
"""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_twin import sample
from llm_twin.adapters.edge import EdgeStore
from llm_twin.adapters.qdrant_calls import Calls, connect
from llm_twin.adapters.qdrant_server import QdrantServerStore
from llm_twin.adapters.ranking import CANDIDATES
from llm_twin.contracts.ports import Filter, Silent, VectorIndex, VectorStore
from llm_twin.contracts.records import Chunk, Post
from llm_twin.errors import VersionNotFound
from tests.adapters.passages import CHUNKS, CONTENT, POSTS, VECTORS, WORDS, built, ids
from tests.inference.doubles import HashEmbedder, chunks_of

pytestmark = [
    # What qdrant-client's in-memory mode says of what only a server can do.
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
OTHER = "d1" * 32
Open = Callable[[], VectorStore]  # each call is another process's view of one place


def server() -> Calls:
    url = os.environ.get("LLM_TWIN_QDRANT_URL")
    if url:
        return connect(url, os.environ.get("LLM_TWIN_QDRANT_API_KEY"))
    from qdrant_client import QdrantClient

    return Calls(QdrantClient(":memory:"), "memory")


@pytest.fixture(scope="module", params=["edge", "qdrant"])
def opener(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Open]]:
    """Makes places; what a test puts into one is seen in no other."""
    calls = server() if request.param == "qdrant" else None
    stores: list[QdrantServerStore] = []

    def place() -> Open:
        if calls is None:
            folder = tmp_path_factory.mktemp("index")
            return lambda: EdgeStore(folder)
        prefix = f"test-{secrets.token_hex(4)}"
        stores.append(QdrantServerStore(calls, prefix))
        return lambda: QdrantServerStore(calls, prefix)

    yield place
    for store in stores:
        for version in store.versions():
            store.drop(version)


@pytest.fixture
def store(opener: Callable[[], Open]) -> VectorStore:
    return opener()()


@pytest.fixture(scope="module")
def index(opener: Callable[[], Open]) -> VectorIndex:
    """An index of all chunks, that tests only ask."""
    return built(opener()())


def test_dense_is_cosine(index: VectorIndex) -> None:
    found = index.dense(VECTORS[5], 10)
    cosines = VECTORS @ VECTORS[5]
    assert ids(found) == [CHUNKS[i].id for i in np.argsort(-cosines)[:10]]
    np.testing.assert_allclose([hit.score for hit in found], np.sort(cosines)[::-1][:10], atol=1e-5)


def test_sparse_is_bm25(index: VectorIndex) -> None:
    """Robertson's formula with the engine's idf, computed here from the texts."""
    # The words of the vocabulary are their own stems but for these; none is a stop word.
    stems = {"gauge": "gaug", "goose": "goos", "barge": "barg", "paddle": "paddl"}
    documents = [[stems.get(w, w) for w in c.indexed_text.lower().split()] for c in CHUNKS]
    mean = sum(map(len, documents)) / len(documents)
    query = ["mud", stems["goose"]]
    scores: dict[str, float] = {}
    for chunk, words in zip(CHUNKS, documents, strict=True):
        for word in query:
            frequency = words.count(word)
            holders = sum(word in d for d in documents)
            idf = np.log((len(documents) - holders + 0.5) / (holders + 0.5) + 1)
            norm = frequency + 1.2 * (1 - 0.75 + 0.75 * len(words) / mean)
            scores[chunk.id] = scores.get(chunk.id, 0.0) + idf * frequency * 2.2 / norm
    found = index.sparse("the mud and the goose", 400)
    for hit in found:
        assert hit.score == pytest.approx(scores[hit.chunk_id], rel=1e-3)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len(found) == sum(score > 0 for score in scores.values()) > 100


def test_hybrid_is_the_papers_rrf_of_both_legs(index: VectorIndex) -> None:
    """Cormack, Clarke and Buettcher 2009: the sum over the lists of 1 / (60 + rank), ranks from 1."""
    for row, text in ((3, "mud on the gate"), (200, "walnut loaf"), (77, "chalk mill ledger rope")):
        expected: dict[str, float] = defaultdict(float)
        for leg in (index.dense(VECTORS[row], CANDIDATES), index.sparse(text, CANDIDATES)):
            assert len(leg) == CANDIDATES
            for rank, hit in enumerate(leg, start=1):
                expected[hit.chunk_id] += 1 / (60 + rank)
        found = index.hybrid(VECTORS[row], text, 20)
        best = sorted(expected.values(), reverse=True)[:20]
        assert [hit.score for hit in found] == pytest.approx(best, rel=1e-5)
        for hit in found:
            assert hit.score == pytest.approx(expected[hit.chunk_id], rel=1e-5)


def test_equal_scores_keep_the_order_of_the_chunks(opener: Callable[[], Open]) -> None:
    """Whichever way the engine laid them out: two builds of one text repeated, cut in the middle of it."""
    same = [chunk.model_copy(update={"text": "mud", "context": ""}) for chunk in CHUNKS[:200]]
    vectors = np.repeat(VECTORS[:1], 200, axis=0)
    for _ in range(2):
        found = built(opener()(), same, vectors)
        first = [chunk.id for chunk in same[:30]]
        assert ids(found.sparse("mud", 30)) == ids(found.dense(VECTORS[0], 30)) == first
        assert ids(found.hybrid(VECTORS[0], "mud", 30)) == first


def test_hybrid_with_stop_words_only_is_the_dense_order(index: VectorIndex) -> None:
    assert index.sparse("the of and", 5) == []
    assert ids(index.hybrid(VECTORS[9], "the of and", 5)) == ids(index.dense(VECTORS[9], 5))


SOME = {f"p{n}" for n in range(40)}
FILTERS = [
    (Filter(), lambda post: True),
    (Filter(posts=frozenset({"p1", "p2"})), lambda post: post.id in ("p1", "p2")),
    (Filter(without_posts=frozenset({"p0", "p3"})), lambda post: post.id not in ("p0", "p3")),
    (Filter(posts=frozenset({"p1", "p2"}), without_posts=frozenset({"p2"})), lambda post: post.id == "p1"),
    (Filter(posts=frozenset({"elsewhere"})), lambda post: False),
    (Filter(sources=frozenset({"host1.example", "HOST2.example"})), lambda post: "Host0" not in post.url),
    (Filter(kinds=frozenset({"note", "reply"})), lambda post: post.kind in ("note", "reply")),
    (Filter(languages=frozenset({"de"})), lambda post: post.language == "de"),
    (Filter(since="2020-01-09"), lambda post: (post.published_at or "")[:10] >= "2020-01-09"),
    (Filter(until="2020-01-09"), lambda post: "2" <= (post.published_at or "")[:10] <= "2020-01-09"),
    (
        Filter(
            sources=frozenset({"host1.example"}),
            kinds=frozenset({"post"}),
            languages=frozenset({"en"}),
            since="2020-01-03",
            until="2020-01-25",
            without_posts=frozenset({"p4"}),
        ),
        lambda post: (
            "Host1" in post.url
            and post.kind == "post"
            and post.language == "en"
            and "2020-01-03" <= (post.published_at or "")[:10] <= "2020-01-25"
            and post.id != "p4"
        ),
    ),
]


@pytest.mark.parametrize(("where", "meets"), FILTERS)
def test_filters(index: VectorIndex, where: Filter, meets: Callable[[Post], bool]) -> None:
    allowed = {post.id for post in POSTS.values() if post.id in SOME and meets(post)}
    for found in (
        index.dense(VECTORS[25], 400, where),
        index.sparse(" ".join(WORDS), 400, where),
        index.hybrid(VECTORS[25], " ".join(WORDS), 400, where),
    ):
        assert {hit.chunk_id.split(":")[0] for hit in found} == allowed
        assert len(found) == 10 * len(allowed)


def test_each_filter_of_the_test_restricts_something() -> None:
    counts = [sum(meets(POSTS[post]) for post in SOME) for _, meets in FILTERS]
    assert counts[0] == 40
    assert all(0 < count < 40 for count in counts[1:4] + counts[5:])


def test_both_apostrophes_are_one_word(store: VectorStore) -> None:
    texts = ["the keeper’s book", "a weir"]
    chunks = [
        Chunk(id=f"p1:{n}", post_id="p1", ordinal=n, start=0, end=1, text=t, context="")
        for n, t in enumerate(texts)
    ]
    found = built(store, chunks, VECTORS[:2])
    for query in ("keeper's", "keeper’s", "Keepers"):
        assert ids(found.sparse(query, 5)) == ["p1:0"], query


def test_an_interrupted_build_is_not_visible_and_begins_anew(opener: Callable[[], Open]) -> None:
    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    place = opener()
    store = place()
    with pytest.raises(KeyboardInterrupt):
        store.build("F0001", CONTENT, CHUNKS, VECTORS, POSTS, Stops())
    assert not place().has("F0001", CONTENT)
    with pytest.raises(VersionNotFound, match=r"F0001.*llm-twin features build"):
        store.open("F0001", CONTENT)
    assert len(built(place()).dense(VECTORS[0], 500)) == 400


def test_one_version_is_read_while_another_is_built(opener: Callable[[], Open]) -> None:
    place = opener()
    reader = built(place())
    expected = ids(reader.hybrid(VECTORS[5], "mud", 5))
    seen = []

    class Reads(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            seen.append(ids(reader.hybrid(VECTORS[5], "mud", 5)))
            seen.append(ids(place().open("F0001", CONTENT).hybrid(VECTORS[5], "mud", 5)))

    place().build("F0002", OTHER, CHUNKS[:100], VECTORS[:100], POSTS, Reads())
    assert seen
    assert all(found == expected for found in seen)


def test_drop_and_rebuild(store: VectorStore) -> None:
    store.drop("F0001")  # nothing there, nothing said
    built(store, CHUNKS[:20], VECTORS[:20])
    built(store, CHUNKS[20:40], VECTORS[20:40], "F0002")
    store.drop("F0001")
    assert (store.has("F0001", CONTENT), store.has("F0002", CONTENT)) == (False, True)
    assert ids(built(store, CHUNKS[40:60], VECTORS[40:60]).dense(VECTORS[45], 1)) == [CHUNKS[45].id]


def test_versions_names_all_indexes_the_incomplete_ones_too(opener: Callable[[], Open]) -> None:
    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    store = opener()()
    assert store.versions() == []
    built(store, CHUNKS[:20], VECTORS[:20], "F10000")
    built(store, CHUNKS[:20], VECTORS[:20])
    built(opener()(), CHUNKS[:20], VECTORS[:20], "F0003")  # another place
    assert store.versions() == ["F0001", "F10000"]
    with pytest.raises(KeyboardInterrupt):
        store.build("F0002", CONTENT, CHUNKS[:20], VECTORS[:20], POSTS, Stops())
    for version in store.versions():
        store.drop(version)
    assert store.versions() == []


def test_a_build_repeated_changes_nothing(store: VectorStore) -> None:
    built(store, CHUNKS[:50], VECTORS[:50])
    again = built(store, CHUNKS[:50], VECTORS[:50])
    assert sorted(ids(again.dense(VECTORS[0], 100))) == sorted(chunk.id for chunk in CHUNKS[:50])


def test_an_index_of_another_content_is_none(store: VectorStore) -> None:
    """As where a version was deleted and its name given again."""
    built(store, CHUNKS[:20], VECTORS[:20])
    assert not store.has("F0001", OTHER)
    with pytest.raises(VersionNotFound, match="F0001"):
        store.open("F0001", OTHER)
    store.build("F0001", OTHER, CHUNKS[20:40], VECTORS[20:40], POSTS)
    assert ids(store.open("F0001", OTHER).dense(VECTORS[3], 1)) != [CHUNKS[3].id]
    store.drop("F0001")
    assert not store.has("F0001", OTHER)
    assert not store.has("F0001", CONTENT)


def test_chunks_and_vectors_must_agree(store: VectorStore) -> None:
    with pytest.raises(ValueError, match="3 chunks but 2 vectors"):
        store.build("F0001", CONTENT, CHUNKS[:3], VECTORS[:2], POSTS)


def test_an_undated_bound_is_an_error(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match="yesterday"):
        index.dense(VECTORS[0], 1, Filter(since="yesterday"))


def test_all_stores_find_the_same(tmp_path: Path) -> None:
    """On the sample author's posts, for the sample's questions: passages, order and scores."""
    posts = {}
    for n, p in enumerate(sample.posts()):
        post = Post(
            id=Post.id_of(p.slug),
            url=f"https://host{n % 2}.example/{p.slug}",
            title=p.title,
            published_at=p.date.isoformat(),
            markdown=p.markdown,
            revision="",
        )
        posts[post.id] = post
    chunks = [chunk for post in posts.values() for chunk in chunks_of(post)]
    embedder = HashEmbedder()
    vectors = embedder.embed([chunk.indexed_text for chunk in chunks])
    one, two = EdgeStore(tmp_path), QdrantServerStore(server(), f"test-{secrets.token_hex(4)}")
    for store in (one, two):
        store.build("F0001", CONTENT, chunks, vectors, posts)
    edge, qdrant = one.open("F0001", CONTENT), two.open("F0001", CONTENT)
    everything = Filter()
    filters = [everything, replace(everything, sources=frozenset({"host1.example"}), since="2019-01-01")]
    for question in [q.question for q in sample.questions()][::3]:
        vector = embedder.embed([question])[0]
        for where in filters:
            for here, there in (
                (edge.dense(vector, 20, where), qdrant.dense(vector, 20, where)),
                (edge.sparse(question, 20, where), qdrant.sparse(question, 20, where)),
                (edge.hybrid(vector, question, 20, where), qdrant.hybrid(vector, question, 20, where)),
            ):
                assert ids(here) == ids(there)
                assert [h.score for h in here] == pytest.approx([t.score for t in there], abs=3e-5)
    two.drop("F0001")


@pytest.mark.parametrize("date", ["0000-00-00T00:00:00", "2021", "last spring"])
def test_a_date_that_cannot_be_read_is_no_date(store: VectorStore, date: str) -> None:
    posts = {i: post.model_copy(update={"published_at": date}) for i, post in POSTS.items()}
    store.build("F0009", CONTENT, CHUNKS[:20], VECTORS[:20], posts)
    index = store.open("F0009", CONTENT)
    assert len(index.dense(VECTORS[0], 20)) == 20
    assert index.dense(VECTORS[0], 20, Filter(until="2999-01-01")) == []
