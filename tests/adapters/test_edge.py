from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters.edge import CANDIDATES, EdgeStore
from llm_twin.contracts.ports import Filter, Ranked, Silent, VectorIndex, Vectors
from llm_twin.contracts.records import Chunk
from llm_twin.errors import IntegrityError, VersionNotFound

VOCABULARY = (
    "gauge float river mud awk barge goose lock gate weir stove loaf ledger mill chalk walnut paddle rope"
)
WORDS = VOCABULARY.split()


def make(number: int, dim: int = 24) -> tuple[list[Chunk], Vectors]:
    """Chunks of random words, ten of a post, with random unit vectors."""
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(number, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chunks = []
    for n in range(number):
        text = " ".join(rng.choice(WORDS, rng.integers(3, 30)))
        chunks.append(
            Chunk(
                id=f"p{n // 10}:{n % 10}",
                post_id=f"p{n // 10}",
                ordinal=n % 10,
                start=0,
                end=len(text),
                text=text,
                context=f"Entry {n // 10}",
            )
        )
    return chunks, vectors


CHUNKS, VECTORS = make(400)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> EdgeStore:
    store = EdgeStore(tmp_path_factory.mktemp("index"))
    store.build("F0001", CHUNKS, VECTORS)
    return store


@pytest.fixture(scope="module")
def index(built: EdgeStore) -> VectorIndex:
    return built.open("F0001")


def ids(found: list[Ranked]) -> list[str]:
    return [hit.chunk_id for hit in found]


def test_dense_is_cosine(index: VectorIndex) -> None:
    found = index.dense(VECTORS[5], 10)
    cosines = VECTORS @ VECTORS[5]
    assert ids(found) == [CHUNKS[i].id for i in np.argsort(-cosines)[:10]]
    np.testing.assert_allclose([hit.score for hit in found], np.sort(cosines)[::-1][:10], atol=1e-5)


def test_sparse_is_bm25(index: VectorIndex) -> None:
    """Robertson's formula with the engine's idf, computed here from the texts."""
    # The words of the vocabulary are their own stems but for these; none is a stop word.
    stems = {
        "gauge": "gaug",
        "goose": "goos",
        "barge": "barg",
        "gate": "gate",
        "stove": "stove",
        "paddle": "paddl",
    }
    documents = [[stems.get(w, w) for w in c.indexed_text.lower().split()] for c in CHUNKS]
    mean = sum(map(len, documents)) / len(documents)
    query = ["mud", stems["goose"]]
    scores = {}
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


def test_equal_scores_keep_the_order_of_the_chunks(tmp_path: Path) -> None:
    """Whichever way the engine laid them out: five builds of one text repeated, cut in the middle of it."""
    same = [chunk.model_copy(update={"text": "mud", "context": ""}) for chunk in CHUNKS[:200]]
    vectors = np.repeat(VECTORS[:1], 200, axis=0)
    for build in range(5):
        store = EdgeStore(tmp_path / str(build))
        store.build("F0001", same, vectors)
        found = store.open("F0001")
        first = [chunk.id for chunk in same[:30]]
        assert ids(found.sparse("mud", 30)) == ids(found.dense(VECTORS[0], 30)) == first
        assert ids(found.hybrid(VECTORS[0], "mud", 30)) == first


def test_hybrid_with_stop_words_only_is_the_dense_order(index: VectorIndex) -> None:
    assert index.sparse("the of and", 5) == []
    assert ids(index.hybrid(VECTORS[9], "the of and", 5)) == ids(index.dense(VECTORS[9], 5))


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        (Filter(posts=frozenset({"p1", "p2"})), {"p1", "p2"}),
        (Filter(without_posts=frozenset({"p0", "p3"})), {f"p{n}" for n in range(40)} - {"p0", "p3"}),
        (Filter(posts=frozenset({"p1", "p2"}), without_posts=frozenset({"p2"})), {"p1"}),
        (Filter(), {f"p{n}" for n in range(40)}),
    ],
)
def test_filters(index: VectorIndex, where: Filter, allowed: set[str]) -> None:
    for found in (
        index.dense(VECTORS[25], 400, where),
        index.sparse(" ".join(WORDS), 400, where),
        index.hybrid(VECTORS[25], " ".join(WORDS), 400, where),
    ):
        assert {hit.chunk_id.split(":")[0] for hit in found} == allowed
        assert len(found) == 10 * len(allowed)


def test_both_apostrophes_are_one_word(tmp_path: Path) -> None:
    texts = ["the keeper’s book", "a weir"]
    chunks = [
        Chunk(id=f"p:{n}", post_id="p", ordinal=n, start=0, end=1, text=t, context="")
        for n, t in enumerate(texts)
    ]
    store = EdgeStore(tmp_path)
    store.build("F0001", chunks, VECTORS[:2])
    found = store.open("F0001")
    for query in ("keeper's", "keeper’s", "Keepers"):
        assert ids(found.sparse(query, 5)) == ["p:0"], query


READER = """
import json, sys
from pathlib import Path
import numpy as np
from llm_twin.adapters.edge import EdgeStore
index = EdgeStore(Path(sys.argv[1])).open("F0001")
print("open", flush=True)
sys.stdin.readline()
found = index.hybrid(np.array(json.loads(sys.argv[2]), np.float32), "mud", 5)
print(json.dumps([hit.chunk_id for hit in found]))
"""


def test_several_processes_read_one_shard_at_once(built: EdgeStore, index: VectorIndex, root: Path) -> None:
    """While this process holds the shard open, two more open it at the same time and agree."""
    arguments = [str(built._folder), json.dumps(VECTORS[5].tolist())]
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "open\n"
    for reader in readers:
        out, _ = reader.communicate("go\n", timeout=60)
        assert json.loads(out) == ids(index.hybrid(VECTORS[5], "mud", 5))


def test_an_interrupted_build_is_not_visible(tmp_path: Path) -> None:
    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    store = EdgeStore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.build("F0001", CHUNKS, VECTORS, Stops())
    assert not store.has("F0001")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(VersionNotFound, match=r"F0001.*llm-twin features build"):
        store.open("F0001")


def test_an_incomplete_folder_is_none_and_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "F0001" / "shard").mkdir(parents=True)
    store = EdgeStore(tmp_path)
    assert not store.has("F0001")
    store.build("F0001", CHUNKS[:20], VECTORS[:20])
    assert ids(store.open("F0001").dense(VECTORS[3], 1)) == [CHUNKS[3].id]


def test_drop_and_rebuild(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    store.drop("F0001")  # nothing there, nothing said
    store.build("F0001", CHUNKS[:20], VECTORS[:20])
    store.build("F0002", CHUNKS[20:40], VECTORS[20:40])
    store.drop("F0001")
    assert (store.has("F0001"), store.has("F0002")) == (False, True)
    assert [p.name for p in tmp_path.iterdir()] == ["F0002"]
    store.build("F0001", CHUNKS[40:60], VECTORS[40:60])
    assert ids(store.open("F0001").dense(VECTORS[45], 1)) == [CHUNKS[45].id]


@pytest.mark.parametrize("target", ["shard/edge_config.json", "shard/segments", "complete.json", "points"])
def test_a_damaged_index_names_the_cure(built: EdgeStore, tmp_path: Path, target: str) -> None:
    folder = tmp_path / "F0001"
    shutil.copytree(built._folder / "F0001", folder)
    if target == "points":
        (folder / "complete.json").write_text('{"points": 401}')
    elif target == "shard/segments":
        for path in (folder / target).rglob("*"):
            if path.is_file():
                path.write_bytes(b"xx")
    else:
        (folder / target).write_bytes(b"xx")
    with pytest.raises(IntegrityError, match=r"is damaged .*Delete that folder; it is rebuilt"):
        EdgeStore(tmp_path).open("F0001")


def test_chunks_and_vectors_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 chunks but 2 vectors"):
        EdgeStore(tmp_path).build("F0001", CHUNKS[:3], VECTORS[:2])


def test_hnsw_finds_what_brute_force_finds(tmp_path: Path) -> None:
    """Enough bytes of vectors (over 10 MB) for the engine to build its graph."""
    chunks, vectors = make(2700, dim=1024)
    store = EdgeStore(tmp_path)
    store.build("F0001", chunks, vectors)
    assert list((tmp_path / "F0001").rglob("graph*")) or list((tmp_path / "F0001").rglob("links*"))
    index = store.open("F0001")
    rng = np.random.default_rng(1)
    hits = 0
    for row in rng.integers(0, len(chunks), 20):
        query = vectors[row] + rng.normal(size=1024).astype(np.float32) * 0.02
        query /= np.linalg.norm(query)
        truth = {chunks[i].id for i in np.argsort(-(vectors @ query))[:10]}
        hits += len(truth & set(ids(index.dense(query, 10))))
    assert hits >= 0.9 * 200
