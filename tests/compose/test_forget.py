"""Forgetting: nothing of the post is left, what learnt from it is refused, and a kill only delays it."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from llm_twin import Twin, compose
from llm_twin.compose import Twinspace
from llm_twin.compose.lineage import own_features
from llm_twin.compose.taint import taint
from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.contracts.manifests import MANIFEST, PartId
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import ADAPTER
from llm_twin.errors import (
    CollectError,
    GateRefused,
    MismatchError,
    Tainted,
    VersionNotFound,
    WorkspaceError,
    WorkspaceLocked,
)
from llm_twin.feature.store import list_versions, tombstones
from llm_twin.registry import Pair
from tests.compose.tiny import make_base, open_tiny
from tests.compose.traces import POSTS, TARGET, Search, furnish, search_for_target, target, write_posts
from tests.feature.conftest import make_post
from tests.registry.test_registry import adapter, manifest

KILLS = 2
YOURS = {"answers.jsonl"}  # a file of the author's own stays, and is named


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Twinspace:
    return furnish(tmp_path_factory.mktemp("forget"))


@pytest.fixture(scope="module")
def post(furnished: Twinspace) -> Post:
    return target(furnished)


@pytest.fixture(scope="module")
def search(furnished: Twinspace) -> Search:
    return search_for_target(furnished)


@pytest.fixture
def space(furnished: Twinspace, tmp_path: Path) -> Twinspace:
    """A copy of the furnished workspace."""
    return compose.open_workspace(Path(shutil.copytree(furnished.workspace.root, tmp_path / "twin")))


@pytest.fixture(scope="module")
def forgotten(
    furnished: Twinspace, post: Post, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Twinspace, compose.ForgetReport]:
    """A copy in which the target was forgotten; to be looked at only."""
    folder = tmp_path_factory.mktemp("forgotten") / "twin"
    space = compose.open_workspace(Path(shutil.copytree(furnished.workspace.root, folder)))
    return space, compose.forget(space, post.id)


def leaves_nothing(space: Twinspace, search: Search) -> None:
    root = space.workspace.root
    assert search.bytes(root) - YOURS == set()
    assert search.stores(root) == set()
    assert [p for p in root.rglob("*") if p.name.startswith((".building-", ".writing-"))] == []


def test_the_search_finds_the_post_wherever_it_is(furnished: Twinspace, search: Search) -> None:
    root = furnished.workspace.root
    assert {name.split("/")[0] for name in search.bytes(root)} == {
        "library.db",
        "features",
        "cache",
        "chats",
        "reports",
        "answers.jsonl",
    }
    assert search.stores(root) >= {
        "library.db: posts",
        "library.db: revisions",
        "cache/http/http.db: answers",
        "cache/embeddings.db: embeddings",
        "features/F0001/embeddings.safetensors",
        "features/F0002/embeddings.safetensors",
        "index/F0001",
        "index/F0002",
    }


def test_nothing_of_a_forgotten_post_is_left(
    forgotten: tuple[Twinspace, compose.ForgetReport], search: Search
) -> None:
    leaves_nothing(forgotten[0], search)


def test_the_report_says_what_went_where(
    forgotten: tuple[Twinspace, compose.ForgetReport], post: Post
) -> None:
    space, report = forgotten
    assert report.posts == {post.id: post.title}
    assert (report.versions, report.successor) == (("F0001", "F0002"), "F0003")
    assert report.tainted == ("v1",)
    assert report.files == ("chats/quoting.md", "reports/quoting.json")
    assert set(report.yours) == YOURS
    assert (report.runs, report.alike) == (2, {})
    assert report.embeddings >= 2
    assert report.live == space.registry.live() == Pair("v1", "F0003")


def test_all_else_stays(forgotten: tuple[Twinspace, compose.ForgetReport], post: Post) -> None:
    space, _ = forgotten
    with compose.open_library(space) as library:
        assert len(library.posts()) == POSTS - 1
    version = compose.feature_version(space, "live")
    assert len(version.posts) == POSTS - 1
    assert post.id not in version.posts
    assert {p.name for p in space.workspace.chats.iterdir()} == {"other.md"}
    assert {p.name for p in space.workspace.reports.iterdir()} == {"other.json"}
    with Twin(space, "base") as twin:
        hits = twin.search("walnuts aboard the barge", k=POSTS)
    assert {hit.post_id for hit in hits} == set(version.posts)


def test_lineage_still_resolves_and_says_why(forgotten: tuple[Twinspace, compose.ForgetReport]) -> None:
    space, _ = forgotten
    stones = tombstones(space.workspace.features)
    assert [(s.version, s.reason) for s in stones] == [
        ("F0001", "a post was forgotten"),
        ("F0002", "a post was forgotten"),
    ]
    with pytest.raises(VersionNotFound, match=r"F0001 is gone since .*a post was forgotten"):
        compose.feature_version(space, "F0001")
    v1 = space.registry.get("v1")
    assert re.fullmatch(
        r"F0002, gone since 20\d\d-\d\d-\d\d \(a post was forgotten\)",
        compose.trace_features(space, v1.manifest),
    )
    with pytest.raises(VersionNotFound, match=r"v1, F0002 \(.*\), are gone since .*\. Train a version on"):
        own_features(space, v1)


def test_the_other_posts_of_a_model_are_still_known_by_title(
    forgotten: tuple[Twinspace, compose.ForgetReport], furnished: Twinspace, post: Post
) -> None:
    space, _ = forgotten
    before, after = (compose.titles_of(s, s.registry.manifest("v1")) for s in (furnished, space))
    assert before.pop(post.id) == post.title
    assert after == before


def test_successor_embeds_nothing_anew_and_keeps_the_vectors_of_the_rest(
    forgotten: tuple[Twinspace, compose.ForgetReport], furnished: Twinspace, post: Post
) -> None:
    space, report = forgotten
    old, new = compose.feature_version(furnished, "F0002"), compose.feature_version(space, "F0003")
    rows = zip(old.chunks.values(), old.vectors, strict=True)
    rest = {chunk.id: row for chunk, row in rows if chunk.post_id != post.id}
    assert list(new.chunks) == list(rest)
    assert all((new.vectors[n] == row).all() for n, row in enumerate(rest.values()))
    assert report.embeddings == len(old.chunks) - len(rest)


def test_a_tainted_version_is_not_promoted(forgotten: tuple[Twinspace, compose.ForgetReport]) -> None:
    space, _ = forgotten
    with pytest.raises(Tainted, match=r"v1 was not promoted: it was trained on post .* forgotten since"):
        compose.promote(space, "v1")
    assert Tainted.exit_code == 3
    assert space.registry.live() == Pair("v1", "F0003")


def test_a_tainted_version_serves_only_where_it_is_allowed(
    forgotten: tuple[Twinspace, compose.ForgetReport],
) -> None:
    space, _ = forgotten
    with Twin(space) as twin:
        assert twin.models == ("base", "v2")
        for request in (twin.ask, twin.write, twin.rewrite, twin.conversation().ask):
            with pytest.raises(
                Tainted, match=r"v1 was not served: it was trained on post .*llm-twin train.*--allow-tainted"
            ):
                request("What did he say?")
        with pytest.raises(Tainted):
            twin.serve(port=0)
        with pytest.raises(Tainted):
            twin.batch(space.workspace.root / "in.jsonl", space.workspace.root / "out.jsonl")
    with pytest.raises(Tainted):
        compose.open_session(space, ["v1"], compose.feature_version(space, "latest"))
    with Twin(space, allow_tainted=True) as twin:
        assert twin.models == ("base", "v1", "v2")
        with pytest.raises(MismatchError, match="v1 is an adapter for tiny"):  # it is no real one
            twin.ask("What did he say?")


def test_a_rollback_passes_over_a_tainted_version(space: Twinspace, post: Post) -> None:
    space.registry.switch(Pair("v2", "F0002"), "a test", expected=space.registry.live())
    compose.forget(space, post.id)
    assert space.registry.pairs() == [Pair(m, "F0003") for m in ("v2", "v1", "base")]
    assert compose.rollback(space) == Pair("base", "F0003")
    with pytest.raises(VersionNotFound, match="no earlier live pair"):
        compose.rollback(space)


def test_a_tainted_version_is_gone_back_to_where_it_is_allowed(space: Twinspace, post: Post) -> None:
    space.registry.switch(Pair("v2", "F0002"), "a test", expected=space.registry.live())
    compose.forget(space, post.id)
    assert compose.rollback(space, allow_tainted=True) == Pair("v1", "F0003")


def test_a_version_that_comes_later_and_learnt_from_it_is_tainted(
    space: Twinspace, post: Post, tmp_path: Path
) -> None:
    compose.forget(space, post.id)
    space.registry.register(adapter(tmp_path / "c", "three"), manifest(posts=("other", post.id)))
    assert taint(space) == {"v1": (post.id,), "v3": (post.id,)}
    assert space.registry.tainted() == taint(space)


@pytest.mark.parametrize(
    ("damaged", "tainted", "live"),
    [("v2", ("v1",), Pair("v1", "F0003")), ("v1", (), Pair("base", "F0003"))],  # v1 is live
)
def test_a_version_whose_manifest_is_damaged_is_in_nobodys_way(
    space: Twinspace, post: Post, damaged: str, tainted: tuple[str, ...], live: Pair
) -> None:
    path = space.registry.get(damaged).folder / MANIFEST
    path.write_text(path.read_text()[:-40])
    report = compose.forget(space, post.id)
    assert (report.tainted, report.live) == (tainted, live)


def measured(bits: float) -> dict[str, object]:
    rows = (PostBits(post_id="p", bits=bits, tokens=1, bytes=1),)
    return BitsPerByte(value=bits, low=bits, high=bits, posts=rows, dtype="fp32").model_dump()


@pytest.fixture
def best_and_other(space: Twinspace, post: Post, tmp_path: Path) -> tuple[str, str]:
    """A version that is live and learnt from the post, and one that is worse than it and did not."""
    base = compose.base_model(space)
    features = compose.feature_version(space, "F0002").manifest

    def register(name: str, bits: float, posts: tuple[str, ...]) -> str:
        scores = {"validation": {"base": measured(2.0), "adapter": measured(bits)}}
        made = manifest(
            base=PartId(name=base.name, id=base.id), prompt=features.prompt, posts=posts, scores=scores
        )
        return space.registry.register(adapter(tmp_path / name, name), made).name

    space.registry.switch(Pair("base", "F0002"), "a test", expected=space.registry.live())
    best, other = register("best", 1.0, (post.id,)), register("other", 1.5, ("other",))
    assert compose.promote(space, best)[0].model == best
    with pytest.raises(GateRefused, match=r"was not promoted: 1\.5000 bits per byte"):
        compose.promote(space, other)
    return best, other


def test_a_clean_version_need_not_beat_a_tainted_one(
    space: Twinspace, post: Post, best_and_other: tuple[str, str]
) -> None:
    best, clean = best_and_other
    compose.forget(space, post.id)
    with pytest.raises(Tainted):
        compose.promote(space, best)
    assert compose.promote(space, clean)[0] == Pair(clean, "F0003")


@pytest.mark.parametrize("missing", [ADAPTER, MANIFEST])
def test_a_version_need_not_beat_a_damaged_one(
    space: Twinspace, best_and_other: tuple[str, str], missing: str
) -> None:
    best, other = best_and_other
    (space.registry.get(best).folder / missing).unlink()
    assert compose.promote(space, other)[0] == Pair(other, "F0002")


def test_a_twin_that_is_open_gives_it_back_no_more(space: Twinspace, post: Post) -> None:
    def found(twin: Twin) -> bool:
        return post.id in {hit.post_id for hit in twin.search(post.title, k=POSTS)}

    with Twin(space, "base") as follows, Twin(space, "base", features="F0002") as fixed:
        assert found(follows)
        assert found(fixed)
        compose.forget(space, post.id)
        assert not found(follows)
        with pytest.raises(VersionNotFound, match=r"F0002 is gone since .*a post was forgotten"):
            found(fixed)


def test_a_build_that_read_the_post_before_it_was_forgotten_makes_no_version(
    space: Twinspace, post: Post
) -> None:
    class Forgets(Silent):
        def start(self, stage: str, total: int | None = None) -> None:
            if stage == "chunk":
                with compose.open_library(space) as library:
                    library.forget(post.id)

    write_posts(space.workspace.root / "blog", POSTS)
    compose.collect(space, [str(space.workspace.root / "blog")])
    with pytest.raises(WorkspaceError, match="A post was forgotten while F0003 was built"):
        compose.build_features(space, Forgets())
    assert [m.version for m in list_versions(space.workspace.features)] == ["F0001", "F0002"]
    assert space.registry.live() == Pair("v1", "F0002")


def test_it_is_not_collected_again_under_any_name(space: Twinspace, post: Post, tmp_path: Path) -> None:
    compose.forget(space, post.id)
    blog = tmp_path / "blog"
    write_posts(blog, *range(POSTS))
    (blog / "again.md").write_text((blog / f"{TARGET}.md").read_text(encoding="utf-8"), encoding="utf-8")
    with (blog / f"{TARGET}.md").open("a", encoding="utf-8") as file:
        file.write("\nWith a line more.\n")
    for dry_run in (True, False):
        report = compose.collect(space, [str(blog)], dry_run=dry_run)
        assert report.refused == {"forgotten": 2}
        assert report.posts_unchanged == POSTS - 1
        assert len(report.taken) == POSTS - 1
    with compose.open_library(space) as library, pytest.raises(CollectError):
        library.get(post.id)


def test_a_dry_run_says_the_same_and_changes_nothing(
    space: Twinspace, post: Post, forgotten: tuple[Twinspace, compose.ForgetReport]
) -> None:
    def contents() -> dict[str, bytes]:
        files = (p for p in space.workspace.root.rglob("*") if p.is_file())
        return {str(p): p.read_bytes() for p in files if not p.name.endswith(("-shm", "-wal"))}

    before = contents()
    report, done = compose.forget(space, post.url, dry_run=True), forgotten[1]
    assert contents() == before
    assert report.dry_run
    for name in ("id", "posts", "alike", "versions", "tainted", "files", "yours", "runs", "embeddings"):
        assert getattr(report, name) == getattr(done, name), name
    assert (report.successor, report.live) == (None, Pair("v1", "F0002"))


def test_going_back_is_advised_only_where_that_leads_to_a_clean_version(tmp_path: Path) -> None:
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin")
    (space.workspace.features / "F0001").mkdir(parents=True)
    for n, name in enumerate(("one", "two"), start=1):
        space.registry.register(adapter(tmp_path / name, name), manifest())
        space.registry.switch(Pair(f"v{n}", "F0001"), "a test", expected=space.registry.live())
    space.registry.taint("v2", ["a"])
    assert "models rollback" in advice(space, "v2")
    (space.workspace.features / "F0001").rmdir()  # to which a rollback would lead
    assert "models rollback" not in advice(space, "v2")
    (space.workspace.features / "F0001").mkdir()
    space.registry.taint("v1", ["a"])
    assert "models rollback" not in advice(space, "v2")
    assert "models rollback" not in advice(space, "v1")  # not live: it leads away from v2
    assert "--model base" in advice(space, "v1")


def advice(space: Twinspace, model: str) -> str:
    with pytest.raises(Tainted) as refused:
        compose.refuse_tainted(space, model)
    return str(refused.value)


def test_zip_files_of_the_author_are_named_and_stay(space: Twinspace, post: Post) -> None:
    root = space.workspace.root
    compose.export_model(space, "v1", root / "v1.zip")
    (root / "cut.zip").write_bytes((root / "v1.zip").read_bytes()[:-30])
    report = compose.forget(space, post.id, dry_run=True)
    assert (set(report.yours), report.unread) == ({*YOURS, "v1.zip"}, ("cut.zip",))


def test_again_it_finds_nothing_more(space: Twinspace, post: Post, search: Search) -> None:
    compose.forget(space, post.id)
    for key in (post.id, post.id[:7], post.url):
        report = compose.forget(space, key)
        assert (report.id, report.posts, report.versions, report.files) == (post.id, {}, (), ())
        assert (report.successor, report.tainted, report.embeddings) == ("F0003", ("v1",), 0)
    leaves_nothing(space, search)
    assert [m.version for m in list_versions(space.workspace.features)] == ["F0003"]


def test_an_unknown_post_is_told(space: Twinspace) -> None:
    with pytest.raises(CollectError, match=r"No post in library\.db for 'nothing'"):
        compose.forget(space, "nothing")


def test_the_last_post_leaves_no_version_and_nothing_live(tmp_path: Path) -> None:
    write_posts(tmp_path / "blog", 0)
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin")
    compose.collect(space, [str(tmp_path / "blog")])
    compose.build_features(space)
    space.registry.switch(Pair("base", "F0001"), "a test", expected=None)
    draft = {"key": "k", "paragraph": "0" * 64, "draft": "An old aunt of a sluice."}
    (space.workspace.cache / "drafts.jsonl").write_text(json.dumps(draft) + "\n", encoding="utf-8")
    with compose.open_library(space) as library:
        (only,) = library.posts()
    report = compose.forget(space, only.id)
    assert (report.versions, report.successor, report.live) == (("F0001",), None, None)
    assert list_versions(space.workspace.features) == []
    assert (space.workspace.cache / "drafts.jsonl").read_bytes() == b""


def test_a_clean_version_is_trained_where_that_is_asked(tmp_path: Path) -> None:
    (tmp_path / "blog").mkdir()
    for n in range(16):
        text = f"---\ntitle: Entry {n}\ndate: 20{n + 10}-05-15\n---\n{make_post(n).markdown}\n"
        (tmp_path / "blog" / f"{n}.md").write_text(text, encoding="utf-8")
    compose.init(tmp_path / "twin")
    config, base = tmp_path / "twin" / "twin.yaml", make_base(tmp_path / "base")
    text = config.read_text(encoding="utf-8").replace("id: SmolLM2-135M-Instruct", f"id: {base}")
    config.write_text(text, encoding="utf-8")
    space = open_tiny(tmp_path / "twin", 400)
    compose.collect(space, [str(tmp_path / "blog")])
    compose.build_features(space)
    first = compose.train(space)
    assert first.live
    learnt = space.registry.get(first.version).manifest.posts
    report = compose.forget(space, learnt[0], retrain=True)
    assert report.tainted == (first.version,)
    assert report.retrained
    assert report.retrained.live
    assert space.registry.live() == report.live == Pair(report.retrained.version, "F0002")
    assert set(space.registry.get(report.retrained.version).manifest.posts) == set(learnt[1:])


def test_versions_without_the_post_stay(space: Twinspace) -> None:
    with compose.open_library(space) as library:
        newest = library.posts()[-1]
    report = compose.forget(space, newest.id)
    assert (report.versions, report.successor, report.runs) == (("F0002",), "F0003", 1)
    assert [m.version for m in list_versions(space.workspace.features)] == ["F0001", "F0003"]
    assert (space.workspace.runs / "of-f0001").is_dir()


@pytest.mark.parametrize("part", ["training", "library", "features"])
def test_nothing_is_begun_while_another_process_writes(space: Twinspace, post: Post, part: str) -> None:
    with space.workspace.lock(part), pytest.raises(WorkspaceLocked, match=part):
        compose.forget(space, post.id)
    with compose.open_library(space) as library:
        assert library.get(post.id) == post
        assert library.forgotten() == frozenset()


class Stops(Silent):
    """Raises at the start of a stage, as Ctrl-C would."""

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def start(self, stage: str, total: int | None = None) -> None:
        if stage == self._stage:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stage", ["files", "versions", "erase"])
def test_interrupted_at_any_stage_the_same_command_ends_it(
    space: Twinspace, post: Post, search: Search, stage: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        compose.forget(space, post.id, Stops(stage))
    with pytest.raises(Tainted):
        compose.open_session(space, ["v1"], compose.feature_version(space, "latest"))
    live = space.registry.live()
    assert live is not None
    assert compose.feature_version(space, live.features)
    compose.forget(space, post.id)
    leaves_nothing(space, search)
    assert space.registry.live() == Pair("v1", list_versions(space.workspace.features)[-1].version)


def test_killed_at_any_moment_the_same_command_ends_it(
    furnished: Twinspace, post: Post, search: Search, tmp_path: Path, root: Path
) -> None:
    def process(name: str, step: int) -> tuple[Twinspace, str]:
        folder = Path(shutil.copytree(furnished.workspace.root, tmp_path / name))
        command = [sys.executable, "-m", "tests.compose.forgetter", str(folder), str(step)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == (-signal.SIGKILL if step else 0), done.stderr
        return compose.open_workspace(folder), done.stdout

    steps = int(process("whole", 0)[1])
    for n, step in enumerate(random.Random(7).sample(range(1, steps), KILLS)):
        space, _ = process(f"killed-{n}", step)
        live = space.registry.live()
        assert live is not None
        assert compose.feature_version(space, live.features)
        compose.forget(space, post.id)
        leaves_nothing(space, search)


SERVER = ("store.url=http://localhost:6333", "store.kind=qdrant")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> QdrantClient:
    """What answers at any address: qdrant-client in memory."""
    client = QdrantClient(":memory:")
    monkeypatch.setattr("qdrant_client.QdrantClient", lambda **options: client)
    return client


local_mode = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect", "ignore:Local mode performs exact"
)


@local_mode
def test_what_lay_in_the_workspace_before_the_vectors_went_to_a_server_goes_too(
    space: Twinspace, post: Post, search: Search, server: QdrantClient
) -> None:
    assert (space.workspace.index / "F0001").is_dir()
    moved = compose.open_workspace(space.workspace.root, SERVER)
    report = compose.forget(moved, post.id)
    leaves_nothing(moved, search)
    assert (report.successor, report.unreached) == ("F0003", "")
    assert len(server.get_collections().collections) == 1


@local_mode
def test_what_lay_on_a_server_before_the_vectors_came_back_goes_too(
    space: Twinspace, post: Post, server: QdrantClient
) -> None:
    root = space.workspace.root
    with Twin(compose.open_workspace(root, SERVER), "base") as twin:
        assert twin.search("walnuts aboard the barge")
        assert len(server.get_collections().collections) == 1
    again = compose.open_workspace(root)
    report = compose.forget(again, post.id)
    assert report.unreached.startswith("store.url does not name the Qdrant server on which the vectors lay")
    assert len(server.get_collections().collections) == 1
    report = compose.forget(compose.open_workspace(root, SERVER[:1]), post.id)
    assert (report.posts, report.unreached) == ({}, "")
    assert not server.get_collections().collections


def test_collections_of_a_prefix_that_may_be_another_s_are_named_and_stay(
    space: Twinspace, post: Post, server: QdrantClient
) -> None:
    server.create_collection(f"blog-F0007-{'a' * 12}", vectors_config={})
    named = compose.open_workspace(space.workspace.root, [SERVER[0], "store.prefix=blog"])
    report = compose.forget(named, post.id)
    assert report.unreached.startswith("collections blog-F... at http://localhost:6333 stay")
    assert len(server.get_collections().collections) == 1


def test_a_server_that_is_gone_is_named_and_hinders_nothing(space: Twinspace, post: Post) -> None:
    space.workspace.identity()  # as one has that has used a server
    gone = compose.open_workspace(space.workspace.root, ["store.url=http://127.0.0.1:9"])
    report = compose.forget(gone, post.id)
    assert report.successor == "F0003"
    assert "The Qdrant server http://127.0.0.1:9 did not answer" in report.unreached
