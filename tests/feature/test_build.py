from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_twin.config import Config, load
from llm_twin.contracts.manifests import file_hash
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.prompts import PROMPT_VERSION
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import EmptyStore, IntegrityError, WorkspaceLocked
from llm_twin.feature import run
from llm_twin.feature.doctor import check
from llm_twin.feature.store import list_versions
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


class StopsAt(Silent):
    """A progress that interrupts, as Ctrl-C does, after some steps of a stage."""

    def __init__(self, stage: str, steps: int) -> None:
        self.stage, self.left, self.now = stage, steps, ""

    def start(self, stage: str, total: int | None = None) -> None:
        self.now = stage
        self.count()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.count(steps)

    def count(self, steps: int = 0) -> None:
        if self.now == self.stage:
            self.left -= steps
            if self.left <= 0:
                raise KeyboardInterrupt


def test_a_version_holds_what_went_in(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(30)]
    config = load(overrides=["author.name=Nan Weir", "features.chunk_tokens=90"])
    report = run([*posts, post(40, "Too short.")], config, embedder, store, space, Silent())
    assert (report.version, report.created, report.posts) == ("F0001", True, 30)
    assert report.dropped == ((post(40).id, "2 words, fewer than 30"),)
    version = FeatureVersion.open(space.features / "F0001")
    manifest = version.manifest
    assert manifest.posts == {p.id: p.revision for p in posts}
    assert manifest.prompt.version == PROMPT_VERSION
    assert manifest.prompt.author == "Nan Weir"
    assert (manifest.embedder.name, manifest.embedder.id) == ("hash", "hash-1")
    assert manifest.parameters["chunk_tokens"] == 90
    assert (report.chunks, report.samples) == (manifest.counts["chunks"], manifest.counts["samples"])
    assert list(version.posts.values()) == [p.model_copy(update={"language": "en"}) for p in posts]
    assert [p.id for p in version.split("test")] == [p.id for p in posts[-8:]]
    assert len(version.samples) == report.samples
    expected = embedder.embed([c.indexed_text for c in version.chunks.values()])
    np.testing.assert_array_equal(version.vectors, expected)
    assert store.built == {"F0001": list(version.chunks)}


def test_nothing_changed_makes_no_version_and_embeds_nothing(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    posts = [post(n) for n in range(9)]
    first = run(posts, Config(), embedder, store, space, Silent())
    embedder.seen.clear()
    second = run(posts[::-1], Config(), embedder, store, space, Silent())  # another order is no change
    assert (second.version, second.created) == ("F0001", False)
    assert (second.embedded, second.reused) == (0, first.chunks)
    assert embedder.seen == []
    assert store.builds == 1
    assert sorted(p.name for p in space.features.iterdir()) == ["F0001"]


def test_a_new_post_makes_a_version_and_embeds_only_itself(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    posts = [post(n) for n in range(9)]
    run(posts, Config(), embedder, store, space, Silent())
    report = run([*posts, post(9)], Config(), embedder, store, space, Silent())
    assert (report.version, report.created) == ("F0002", True)
    added = [
        c for c in FeatureVersion.open(space.features / "F0002").chunks.values() if c.post_id == post(9).id
    ]
    assert report.embedded == len(added)
    assert report.reused == report.chunks - len(added)


@pytest.mark.parametrize(
    "override",
    [
        "author.name=Someone",
        "features.chunk_tokens=50",
        "features.tasks=[write]",
        "features.min_words=31",
        "features.mask=false",
    ],
)
def test_another_config_makes_another_version(
    space: Workspace, post: Make, embedder: Any, store: Any, override: str
) -> None:
    posts = [post(n) for n in range(9)]
    run(posts, Config(), embedder, store, space, Silent())
    report = run(posts, load(overrides=[override]), embedder, store, space, Silent())
    assert report.created
    first, second = list_versions(space.features)
    assert first.content_id != second.content_id


def test_config_of_other_rooms_makes_none(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(9)]
    run(posts, Config(), embedder, store, space, Silent())
    other = load(overrides=["training.rank=4", "retrieval.k=2"])
    assert not run(posts, other, embedder, store, space, Silent()).created


@pytest.mark.parametrize(("stage", "steps"), [("chunk", 3), ("embed", 40), ("samples", 0), ("index", 0)])
def test_an_interrupted_build_leaves_nothing_half_made_and_continues(
    space: Workspace, post: Make, embedder: Any, store: Any, stage: str, steps: int
) -> None:
    posts = [post(n) for n in range(30)]
    with pytest.raises(KeyboardInterrupt):
        run(posts, Config(), embedder, store, space, StopsAt(stage, steps))
    assert list_versions(space.features) == []
    assert not store.built
    known = len(embedder.seen)
    report = run(posts, Config(), embedder, store, space, Silent())
    assert report.version == "F0001"
    assert report.created
    assert report.reused == {"chunk": 0, "embed": 32}.get(stage, report.chunks)
    assert len(embedder.seen) == known + report.embedded
    assert "F0001" in store.built
    assert FeatureVersion.open(space.features / "F0001").manifest.counts["posts"] == 30
    assert [p.name for p in space.features.iterdir()] == ["F0001"]


def test_leftovers_of_a_killed_build_are_swept(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    for folder in (space.features, space.index):
        (folder / ".building-dead").mkdir(parents=True)
        (folder / ".building-dead" / "posts.jsonl").write_text("half")
    run([post(n) for n in range(4)], Config(), embedder, store, space, Silent())
    assert [p.name for p in space.features.iterdir()] == ["F0001"]
    assert list(space.index.iterdir()) == []


def test_a_missing_index_is_rebuilt(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(4)]
    run(posts, Config(), embedder, store, space, Silent())
    store.drop("F0001")
    assert not run(posts, Config(), embedder, store, space, Silent()).created
    assert "F0001" in store.built


def test_an_index_left_by_a_deleted_version_is_not_used(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    store.built["F0001"] = ["stale:0"]
    run([post(n) for n in range(4)], Config(), embedder, store, space, Silent())
    assert store.built["F0001"] == list(FeatureVersion.open(space.features / "F0001").chunks)


def test_what_is_left_out_is_reported_and_never_learnt(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    note = "If you enjoyed this, [subscribe to my letter](https://lock.example/letter)."
    posts = [post(n, f"{post(n).markdown}\n\n{note}") for n in range(30)]
    posts[3] = post(3, f"{post(3).markdown}\n\n> A letter from Bram, word for word.\n\n{note}")
    again = post(40, posts[3].markdown.replace("frost", "ice"))
    german = "Der Fluss ist in der Nacht gefallen, und ich habe den Stand ins Buch geschrieben. " * 4
    config = load(overrides=["features.languages=[en]"])
    report = run([*posts, again, post(41, german)], config, embedder, store, space, Silent())
    assert [gone for gone, _ in report.dropped] == [again.id, post(41).id]
    assert report.dropped[0][1].startswith(f"near-duplicate of {posts[3].id} (Jaccard 0.")
    assert report.dropped[1][1] == "in de, not in features.languages"
    assert [(r.text, len(r.posts)) for r in report.boilerplate] == [(note, 31)]
    assert (report.quoting, report.alike) == (1, ())
    version = FeatureVersion.open(space.features / "F0001")
    assert not [p.id for p in version.posts.values() if "subscribe" in p.markdown]
    assert [c.post_id for c in version.chunks.values() if c.quoted] == [posts[3].id]
    assert not [s.id for s in version.samples if "letter" in s.completion]


def test_notes_stay_where_that_is_asked_for(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    note = "If you enjoyed this, [subscribe to my letter](https://lock.example/letter)."
    posts = [post(n, f"{post(n).markdown}\n\n{note}") for n in range(9)]
    config = load(overrides=["features.boilerplate=false"])
    assert run(posts, config, embedder, store, space, Silent()).boilerplate == ()
    found = FeatureVersion.open(space.features / "F0001").posts.values()
    assert [p.markdown for p in found] == [p.markdown for p in posts]


def test_posts_that_are_alike_stay_and_lie_in_one_split(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    posts = [post(n) for n in range(40)]
    old, new = post(2).markdown.split("\n\n"), post(39).markdown.split("\n\n")
    posts[39] = post(39, "\n\n".join([*old[:2], *new[2:]]))
    report = run(posts, Config(), embedder, store, space, Silent())
    assert report.dropped == ()
    assert report.alike == ((posts[2].id, posts[39].id),)
    version = FeatureVersion.open(space.features / "F0001")
    assert {posts[2].id, posts[39].id} <= set(version.manifest.splits["train"])
    assert [p.id for p in version.split("test")] == [p.id for p in posts[31:39]]
    assert check(version) == []


def test_few_posts_are_remarked(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    class Listens(Silent):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def say(self, line: str) -> None:
            self.lines.append(line)

    listens = Listens()
    report = run([post(n) for n in range(4)], Config(), embedder, store, space, listens)
    assert list(report.remarks) == listens.lines
    assert "Only 4 posts" in report.remarks[0]


def test_a_post_that_no_sample_holds_is_remarked(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    long = post(0, " ".join(" ".join(post(n).markdown.split()) for n in range(100, 110)))
    report = run([long, *(post(n) for n in range(1, 30))], Config(), embedder, store, space, Silent())
    (remark,) = report.remarks
    assert remark.startswith("1 posts open with a block of more than 900 words")
    assert long.id in remark
    newest = post(99, long.markdown)  # held out for the test, and not learnt in any case
    report = run([newest, *(post(n) for n in range(1, 30))], Config(), embedder, store, space, Silent())
    assert report.remarks == ()


def test_no_posts(space: Workspace, embedder: Any, store: Any) -> None:
    with pytest.raises(EmptyStore, match="llm-twin collect"):
        run([], Config(), embedder, store, space, Silent())


def test_no_post_that_can_be_used(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    with pytest.raises(EmptyStore, match=r"None of the 2 posts .*3 words, fewer than 30.*min_words"):
        run(
            [post(1, "Far too short."), post(2, "Much too short.")],
            Config(),
            embedder,
            store,
            space,
            Silent(),
        )
    assert list_versions(space.features) == []


def test_a_locked_store(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    with space.lock("features"), pytest.raises(WorkspaceLocked):
        run([post(1)], Config(), embedder, store, space, Silent())


def test_a_changed_file_is_found(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    run([post(n) for n in range(4)], Config(), embedder, store, space, Silent())
    path = space.features / "F0001" / "samples.jsonl"
    path.write_text(path.read_text().replace("walnuts", "almonds"))
    with pytest.raises(IntegrityError, match=r"samples\.jsonl was changed"):
        FeatureVersion.open(space.features / "F0001")


SCRIPT = """
import runpy, sys
from pathlib import Path
from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.feature import run
from llm_twin.workspace import Workspace
doubles = runpy.run_path(sys.argv[1])
posts = [doubles["make_post"](n) for n in range(30)]
if sys.argv[3] == "reversed":
    posts.reverse()
embedder, store = doubles["HashEmbedder"](), doubles["MemoryStore"]()
run(posts, Config(), embedder, store, Workspace(Path(sys.argv[2])), Silent())
"""


def test_same_input_gives_the_same_bytes_in_any_process(tmp_path: Path, root: Path) -> None:
    hashes = []
    for seed, order in (("1", "straight"), ("2", "reversed")):
        target = tmp_path / seed
        arguments = [str(Path(__file__).with_name("conftest.py")), str(target), order]
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            check=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
        )
        folder = target / "features" / "F0001"
        hashes.append({p.name: file_hash(p) for p in folder.iterdir() if p.name != "manifest.json"})
        hashes[-1]["content_id"] = list_versions(target / "features")[0].content_id
    assert len(hashes[0]) == 5
    assert hashes[0] == hashes[1]
