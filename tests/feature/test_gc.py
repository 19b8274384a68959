from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import WorkspaceError, WorkspaceLocked
from llm_twin.feature import gc, run
from llm_twin.feature.store import list_versions, next_name, open_version, tombstones
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


@pytest.fixture
def space(tmp_path: Path, post: Make, embedder: Any, store: Any) -> Workspace:
    """Versions F0001 to F0004, each with a post more than the one before."""
    space = Workspace(tmp_path)
    for last in range(4, 8):
        run([post(n) for n in range(last)], Config(), embedder, store, space, Silent())
    return space


def names(space: Workspace) -> list[str]:
    return [manifest.version for manifest in list_versions(space.features)]


def built_days_ago(space: Workspace, version: str, days: float) -> None:
    path = space.features / version / "manifest.json"
    date = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created_at": date}))


def test_old_versions_go_and_leave_a_tombstone(space: Workspace, store: Any) -> None:
    found = gc.run(space, store, {}, grace_days=0)
    assert found.gone == ("F0001", "F0002", "F0003")
    assert found.kept == {"F0004": "the newest"}
    assert found.freed_mb > 0
    assert names(space) == ["F0004"]
    assert list(store.built) == ["F0004"]
    assert [(s.version, s.parent) for s in tombstones(space.features)] == [
        ("F0001", None),
        ("F0002", "F0001"),
        ("F0003", "F0002"),
    ]
    assert sorted(p.name for p in space.features.iterdir()) == [
        "F0001.gone.json",
        "F0002.gone.json",
        "F0003.gone.json",
        "F0004",
    ]


def test_the_number_of_a_collected_version_is_not_given_again(
    space: Workspace, post: Make, embedder: Any, store: Any
) -> None:
    gc.run(space, store, {}, grace_days=0)
    gc.remove(space, store, list_versions(space.features), "forgotten")
    assert names(space) == []
    assert next_name(space.features) == "F0005"
    assert run([post(n) for n in range(7)], Config(), embedder, store, space, Silent()).version == "F0005"


def test_the_grace_begins_when_the_next_version_is_built(space: Workspace, store: Any) -> None:
    built_days_ago(space, "F0001", 40)
    built_days_ago(space, "F0002", 15)
    built_days_ago(space, "F0003", 13)
    found = gc.run(space, store, {}, grace_days=14)
    assert found.gone == ("F0001",)
    assert found.kept["F0002"].startswith("kept until 20")


def test_what_the_registry_wants_stays(space: Workspace, store: Any) -> None:
    found = gc.run(space, store, {"F0002": "v3 was trained on it"}, grace_days=0)
    assert found.gone == ("F0001", "F0003")
    assert found.kept == {"F0002": "v3 was trained on it", "F0004": "the newest"}


def test_what_a_reader_has_open_stays_until_it_is_done(space: Workspace, store: Any) -> None:
    first, second = open_version(space, "F0002"), open_version(space, "F0002")
    found = gc.run(space, store, {}, grace_days=0)
    assert found.kept == {"F0002": f"open in process {os.getpid()}, {os.getpid()}", "F0004": "the newest"}
    del first
    assert "F0002" in gc.run(space, store, {}, grace_days=0).kept
    assert len(second.samples) == second.manifest.counts["samples"]
    del second
    assert gc.run(space, store, {}, grace_days=0).gone == ("F0002",)


def test_a_killed_reader_holds_nothing(space: Workspace, store: Any, root: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from llm_twin.feature.store import open_version; from llm_twin.workspace import Workspace\n"
        "version = open_version(Workspace(Path(sys.argv[1])), 'F0001')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(space.root)], cwd=root, check=False)
    assert done.returncode == -9
    assert len(list((space.root / "locks" / "readers").iterdir())) == 1
    assert "F0001" in gc.run(space, store, {}, grace_days=0).gone
    assert not list((space.root / "locks" / "readers").iterdir())


def test_a_dry_run_deletes_nothing(space: Workspace, store: Any) -> None:
    reader = open_version(space, "F0002")
    found = gc.run(space, store, {}, grace_days=0, dry_run=True)
    assert found.gone == ("F0001", "F0003")
    assert "F0002" in found.kept
    assert names(space) == ["F0001", "F0002", "F0003", "F0004"]
    assert len(store.built) == 4
    assert tombstones(space.features) == []
    assert reader.name == "F0002"


def test_nothing_is_collected_while_a_version_is_built(space: Workspace, store: Any) -> None:
    with space.lock("features"), pytest.raises(WorkspaceLocked):
        gc.run(space, store, {}, grace_days=0)


def test_a_workspace_without_versions(tmp_path: Path, store: Any) -> None:
    assert gc.run(Workspace(tmp_path), store, {}, grace_days=0) == gc.Collected((), {}, 0.0)


def test_versions_are_removed_whoever_reads_them_and_the_rest_stays(space: Workspace, store: Any) -> None:
    first, _, third, _ = list_versions(space.features)
    reader = open_version(space, "F0003")
    gc.remove(space, store, [first, third], "a post was forgotten")
    assert names(space) == ["F0002", "F0004"]
    assert list(store.built) == ["F0002", "F0004"]
    assert {s.version: s.reason for s in tombstones(space.features)} == {
        "F0001": "a post was forgotten",
        "F0003": "a post was forgotten",
    }
    gc.remove(space, store, [first, third], "again")
    assert reader.name == "F0003"
    assert [s.reason for s in tombstones(space.features)] == ["a post was forgotten"] * 2


def test_removing_nothing_clears_what_a_killed_run_left(space: Workspace, store: Any) -> None:
    left = space.features / ".building-killed" / "F0009"
    left.mkdir(parents=True)
    gc.remove(space, store, [], "a post was forgotten")
    assert not left.parent.exists()
    assert names(space) == ["F0001", "F0002", "F0003", "F0004"]


def test_indexes_of_no_sealed_version_go(space: Workspace, store: Any, post: Make, embedder: Any) -> None:
    """A build that is killed after its index and before its version leaves one, and no tombstone."""

    def leave() -> None:
        store.build("F0005", "0" * 64, [], [], {})

    leave()
    gc.remove(space, store, [], "a post was forgotten")
    assert store.versions() == ["F0001", "F0002", "F0003", "F0004"]
    leave()
    run([post(n) for n in range(7)], Config(), embedder, store, space, Silent())
    assert store.versions() == ["F0001", "F0002", "F0003", "F0004"], "a build that changes nothing"
    leave()
    gc.run(space, store, {}, grace_days=0, dry_run=True)
    assert "F0005" in store.versions()
    gc.run(space, store, {}, grace_days=0)
    assert store.versions() == names(space) == ["F0004"]


def test_an_index_of_the_workspace_goes_also_where_vectors_lie_on_a_server_by_now(
    space: Workspace, store: Any
) -> None:
    for name in ("F0001", "F0004", "Figures"):
        (space.index / name / "shard").mkdir(parents=True)
    gc.remove(space, store, list_versions(space.features)[:1], "a post was forgotten")
    assert sorted(folder.name for folder in space.index.iterdir()) == ["F0004", "Figures"]


def test_an_index_that_cannot_be_deleted_is_out_of_sight_and_told_of(
    space: Workspace, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (space.index / "F0009" / "shard").mkdir(parents=True)
    monkeypatch.setattr("shutil.rmtree", lambda path, ignore_errors=False: None)  # no permission, but as root
    with pytest.raises(WorkspaceError, match="cannot be deleted"):
        gc.remove(space, store, [], "a post was forgotten")
    assert not (space.index / "F0009").exists()
