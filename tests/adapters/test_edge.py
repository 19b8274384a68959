"""What only the store in process does; what every store must do is in test_stores.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters import edge
from llm_twin.adapters.edge import EdgeStore
from llm_twin.contracts.ports import Filter, Silent, VectorIndex, Vectors
from llm_twin.errors import DiskFull, IntegrityError, StoreError, VersionNotFound
from tests.adapters.passages import CHUNKS, CONTENT, POSTS, VECTORS, built, ids, make


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of all chunks."""
    folder = tmp_path_factory.mktemp("index")
    built(EdgeStore(folder)).close()
    return folder


READER = """
import json, sys
from pathlib import Path
import numpy as np
from llm_twin.adapters.edge import EdgeStore
index = EdgeStore(Path(sys.argv[1])).open("F0001", sys.argv[3])
print("open", flush=True)
sys.stdin.readline()
found = index.hybrid(np.array(json.loads(sys.argv[2]), np.float32), "mud", 5)
print(json.dumps([hit.chunk_id for hit in found]))
"""


def test_several_processes_read_one_shard_at_once(folder: Path, root: Path) -> None:
    """While this process holds the shard open, two more open it at the same time and agree."""
    index = EdgeStore(folder).open("F0001", CONTENT)
    arguments = [str(folder), json.dumps(VECTORS[5].tolist()), CONTENT]
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


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EdgeStore(tmp_path).build("F0001", CONTENT, CHUNKS, VECTORS, POSTS, Stops())
    assert list(tmp_path.iterdir()) == []


FULL = """
import resource, signal, sys
from pathlib import Path
from llm_twin.adapters.edge import EdgeStore
from llm_twin.errors import DiskFull
from tests.adapters.passages import CHUNKS, CONTENT, POSTS, VECTORS
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    EdgeStore(Path(sys.argv[1])).build("F0001", CONTENT, CHUNKS, VECTORS, POSTS)
except DiskFull as error:
    print(error)
"""


def test_a_disk_without_room_is_one_clear_line(tmp_path: Path, root: Path) -> None:
    """A process that may write files of 4 kB at most, as where no more space is left."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, cwd=root, check=True
    )
    assert f"The index in {tmp_path} cannot be written (" in done.stdout
    assert "Free some space" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (Exception("write: No space left on device (os error 28)"), DiskFull),
        (Exception("a segment\nis broken"), StoreError),
        (KeyError("p7"), KeyError),
    ],
)
def test_what_the_engine_raises_is_told_and_what_it_does_not_is_not(
    raised: Exception, told: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(told) as caught, edge._writing(tmp_path):
        raise raised
    assert "\n" not in str(caught.value)


def test_a_dropped_index_leaves_nothing(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path)
    reader = built(store, CHUNKS[:20], VECTORS[:20])
    store.drop("F0001")
    assert list(tmp_path.iterdir()) == []
    assert ids(reader.dense(VECTORS[3], 1)) == [CHUNKS[3].id], "a reader keeps what it opened"


@pytest.mark.parametrize(
    "mark",
    [None, "xx", "[]", "{}", json.dumps({"points": 20, "content_id": CONTENT, "layout": 1})],
    ids=["missing", "damaged", "a list", "empty", "of an older layout"],
)
def test_an_index_without_a_fitting_mark_is_none_and_is_replaced(tmp_path: Path, mark: str | None) -> None:
    (tmp_path / "F0001" / "shard").mkdir(parents=True)
    if mark is not None:
        (tmp_path / "F0001" / "complete.json").write_text(mark)
    store = EdgeStore(tmp_path)
    assert not store.has("F0001", CONTENT)
    with pytest.raises(VersionNotFound):
        store.open("F0001", CONTENT)
    if mark == "xx":
        assert ids(built(store, CHUNKS[:20], VECTORS[:20]).dense(VECTORS[3], 1)) == [CHUNKS[3].id]


@pytest.mark.parametrize("target", ["shard/edge_config.json", "shard/segments", "points"])
def test_a_damaged_index_names_the_cure(folder: Path, tmp_path: Path, target: str) -> None:
    copy = tmp_path / "F0001"
    shutil.copytree(folder / "F0001", copy)
    if target == "points":
        mark = json.loads((copy / "complete.json").read_text())
        (copy / "complete.json").write_text(json.dumps({**mark, "points": 401}))
    elif target == "shard/segments":
        for path in (copy / target).rglob("*"):
            if path.is_file():
                path.write_bytes(b"xx")
    else:
        (copy / target).write_bytes(b"xx")
    with pytest.raises(IntegrityError, match=r"is damaged .*Delete that folder; it is rebuilt"):
        EdgeStore(tmp_path).open("F0001", CONTENT)


MANY, LONG = make(2700, dim=1024)  # enough bytes of vectors (over 10 MB) for the engine to build its graph


def recall(index: VectorIndex, where: Filter | None = None, allowed: slice = slice(None)) -> float:
    """Share of the true ten nearest of noisy copies of vectors that the dense leg finds."""
    rng, hits = np.random.default_rng(1), 0
    for row in rng.integers(0, len(MANY), 20):
        query: Vectors = LONG[row] + rng.normal(size=1024).astype(np.float32) * 0.02
        query /= np.linalg.norm(query)
        truth = {MANY[allowed][i].id for i in np.argsort(-(LONG[allowed] @ query))[:10]}
        hits += len(truth & set(ids(index.dense(query, 10, where))))
    return hits / 200


@pytest.mark.parametrize("quantise_above", [None, 2699])
def test_the_graph_finds_what_brute_force_finds(tmp_path: Path, quantise_above: int | None) -> None:
    index = built(EdgeStore(tmp_path, quantise_above=quantise_above), MANY, LONG)
    assert list(tmp_path.rglob("links*"))
    assert bool(list(tmp_path.rglob("quantized*"))) == (quantise_above is not None)
    assert recall(index) >= 0.9
    some = Filter(posts=frozenset(f"p{n}" for n in range(200)))
    assert recall(index, some, slice(2000)) >= 0.9


def test_few_vectors_are_not_quantised(tmp_path: Path) -> None:
    built(EdgeStore(tmp_path, quantise_above=2700), MANY[:100], LONG[:100])
    assert not list(tmp_path.rglob("quantized*"))


def test_a_post_across_two_updates_is_found_whole(tmp_path: Path) -> None:
    """Point 512 begins the second update, and is the third chunk of p51."""
    index = built(EdgeStore(tmp_path), MANY[:520], LONG[:520])
    found = index.dense(LONG[0], 20, Filter(posts=frozenset({"p51"})))
    assert sorted(ids(found)) == [f"p51:{n}" for n in range(10)]
