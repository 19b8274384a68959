"""The registry: numbering, sealing, aliases, the live pair, several processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from llm_twin.contracts.manifests import ModelManifest, PartId, PromptId
from llm_twin.contracts.ports import Silent
from llm_twin.errors import IntegrityError, VersionNotFound, WorkspaceError, WorkspaceLocked
from llm_twin.registry import Pair, Registry, database

PROCESSES, EACH = 8, 12  # benchmarks/registry.py: 50 each


def manifest(**changes: object) -> ModelManifest:
    fields = {
        "version": "",
        "content_id": "",
        "created_at": "2026-01-02T03:04:05+00:00",
        "parent": None,
        "parameters": {"rank": 16},
        "prompt": PromptId(version="1", author="Ada"),
        "files": {},
        "base": PartId(name="tiny", id="b" * 64),
        "features": PartId(name="F0001", id="f" * 64),
        "posts": ("p1",),
        "tokens": 10,
        "seconds": 1.0,
        "packages": {},
        "scores": {},
    }
    return ModelManifest.model_validate(fields | changes)


def adapter(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_text(content)
    (folder / "adapter_config.json").write_text("{}")
    return folder


def test_an_empty_registry_answers_without_making_a_file(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.entries() == []
    assert registry.live() is None
    assert registry.resolve("live") == "base"
    assert not (tmp_path / "models").exists()


def test_versions_are_numbered_and_the_newest_is_the_candidate(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    one = registry.register(adapter(tmp_path / "a", "one"), manifest())
    two = registry.register(adapter(tmp_path / "b", "two"), manifest())
    assert (one.name, two.name) == ("v1", "v2")
    assert [e.aliases for e in registry.entries()] == [(), ("candidate",)]
    assert (registry.get("candidate").folder / "adapter_model.safetensors").read_text() == "two"


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    first = registry.register(adapter(tmp_path / "a", "one"), manifest())
    again = registry.register(
        adapter(tmp_path / "b", "one"), manifest(created_at="2027-01-01T00:00:00+00:00", seconds=9.0)
    )
    assert again == first
    other = registry.register(adapter(tmp_path / "c", "one"), manifest(parameters={"rank": 8}))
    assert other.name == "v2"


def test_content_that_is_live_is_no_candidate(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.register(adapter(tmp_path / "a", "one"), manifest())
    assert registry.switch(Pair("v1", "F0001"), "promoted", expected=None)
    assert registry.register(tmp_path / "a", manifest()).name == "v1"
    assert [e.aliases for e in registry.entries()] == [("live",)]


def test_what_says_nothing_of_the_content_has_no_part_in_its_id() -> None:
    # As the first release computed it, which knew neither of the last two fields.
    first = "18fd361c4a71ba11eea4c65d230722da93d51f32d0819e9abe4e61487795d175"
    assert manifest().sealed().content_id == first
    for changes in ({"seconds": 9.0}, {"commit": "c" * 40}, {"scored_on": {"test": "a"}}):
        assert manifest(**changes).sealed().content_id == first
    assert manifest(tokens=11).sealed().content_id != first


def test_a_registry_of_the_first_release_opens_and_goes_on(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    version = registry.register(adapter(tmp_path / "a", "one"), manifest())
    old = json.loads((version.folder / "manifest.json").read_text())
    del old["scored_on"], old["commit"]
    (version.folder / "manifest.json").write_text(json.dumps(old))
    with closing(sqlite3.connect(registry.folder / "registry.db")) as db:
        db.execute("DROP TABLE gone")
    assert registry.get("v1").manifest == version.manifest
    assert registry.tombstones() == []
    assert registry.register(adapter(tmp_path / "b", "two"), manifest()).name == "v2"


def test_a_changed_file_is_noticed_and_named(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    version = registry.register(adapter(tmp_path / "a", "one"), manifest())
    (version.folder / "adapter_model.safetensors").write_text("two")
    with pytest.raises(IntegrityError, match=r"adapter_model\.safetensors was changed"):
        registry.get("v1")


@pytest.mark.parametrize("text", ['{"half', '{"tokens": 11}', "posts"])
def test_a_manifest_that_was_changed_is_noticed(text: str, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    path = registry.register(adapter(tmp_path / "a", "one"), manifest()).folder / "manifest.json"
    if text == "posts":  # a whole manifest with true hashes, of other posts
        text = json.dumps(json.loads(path.read_text()) | {"posts": ["p2"]})
    path.write_text(text)
    registry.register(adapter(tmp_path / "b", "two"), manifest())
    for read in (registry.get, registry.manifest):
        with pytest.raises(
            IntegrityError, match=r"manifest\.json (cannot be read|was changed after it was sealed).*import"
        ):
            read("v1")
    assert list(registry.manifests()) == ["v2"]


def test_a_damaged_version_is_restored_by_registering_it_again(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    version = registry.register(adapter(tmp_path / "a", "one"), manifest())
    (version.folder / "adapter_model.safetensors").write_text("two")
    assert registry.register(tmp_path / "a", manifest()).name == "v1"
    assert (registry.get("v1").folder / "adapter_model.safetensors").read_text() == "one"


def test_an_unknown_version_names_what_there_is(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.register(adapter(tmp_path / "a", "one"), manifest())
    for name in ("v7", "../v1", "newest", ""):
        with pytest.raises(VersionNotFound, match="there are: v1"):
            registry.resolve(name)


def three_versions(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "models")
    for name in ("one", "two", "three"):
        registry.register(adapter(tmp_path / name, name), manifest())
    return registry


def test_rollback_restores_the_pair_before(tmp_path: Path) -> None:
    registry = three_versions(tmp_path)
    first, second = Pair("v1", "F0001"), Pair("v2", "F0002")
    assert registry.switch(first, "promoted", expected=None)
    assert registry.switch(second, "promoted", expected=first)
    assert registry.live() == second
    assert registry.rollback() == first
    assert registry.live() == first
    with pytest.raises(VersionNotFound, match="no earlier live pair"):
        registry.rollback()
    third = Pair("v3", "F0002")
    assert registry.switch(third, "promoted", expected=first)
    assert registry.rollback() == first, "what was rolled back from does not come back"


def test_rollback_passes_over_versions_that_are_damaged_and_says_so(tmp_path: Path) -> None:
    class Hears(Silent):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def say(self, line: str) -> None:
            self.lines.append(line)

    registry, hears = three_versions(tmp_path), Hears()
    for old, new in pairwise([None, *(Pair(f"v{n}", "F0001") for n in (1, 2, 3))]):
        assert new
        assert registry.switch(new, "promoted", expected=old)
    (registry.get("v2").folder / "adapter_model.safetensors").unlink()
    assert registry.rollback(progress=hears) == registry.live() == Pair("v1", "F0001")
    (line,) = hears.lines
    assert re.fullmatch(
        r"Passed over v2: .*adapter_model\.safetensors is missing from a sealed version\.", line
    )
    assert registry.switch(Pair("v3", "F0001"), "promoted", expected=Pair("v1", "F0001"))
    (registry.get("v1").folder / "manifest.json").unlink()
    with pytest.raises(VersionNotFound, match="no earlier live pair whose model is undamaged"):
        registry.rollback()
    assert registry.live() == Pair("v3", "F0001")


def test_rollback_passes_over_pairs_whose_features_are_gone(tmp_path: Path) -> None:
    registry = three_versions(tmp_path)
    pairs = [None, *(Pair("v1", f"F000{n}") for n in (1, 2, 3))]
    for old, new in pairwise(pairs):
        assert new
        assert registry.switch(new, "promoted", expected=old)
    assert registry.rollback(features=["F0001", "F0003"]) == Pair("v1", "F0001")
    with pytest.raises(VersionNotFound, match="no earlier live pair"):
        registry.rollback(features=["F0001"])


def test_a_switch_fails_when_another_was_first(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    assert registry.switch(Pair("v1", "F0001"), "promoted", expected=None)
    assert not registry.switch(Pair("v2", "F0001"), "promoted", expected=None)
    assert registry.live() == Pair("v1", "F0001")


def test_a_folder_without_a_row_is_replaced(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    content_id = registry.register(adapter(tmp_path / "a", "one"), manifest()).manifest.content_id
    (registry.folder / "registry.db").unlink()  # as if killed between the rename and the row
    (registry.folder / content_id / "adapter_config.json").unlink()
    version = registry.register(tmp_path / "a", manifest())
    assert version.name == "v1"
    assert (version.folder / "adapter_config.json").is_file()


def _register_many(folder: Path, worker: int, count: int) -> None:
    registry = Registry(folder / "models")
    registry.switch(Pair(f"v{worker}", "F0001"), "a test", expected=None)
    for i in range(count):
        registry.register(adapter(folder / f"w{worker}-{i}", f"{worker}/{i}"), manifest())


def test_processes_that_register_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_register_many, args=(tmp_path, w, EACH)) for w in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [w.exitcode for w in workers] == [0] * PROCESSES
    registry, names = Registry(tmp_path / "models"), [f"v{n}" for n in range(1, PROCESSES * EACH + 1)]
    assert [e.version for e in registry.entries()] == names
    texts = {(registry.get(name).folder / "adapter_model.safetensors").read_text() for name in names}
    assert texts == {f"{w}/{i}" for w in range(PROCESSES) for i in range(EACH)}
    assert registry.resolve("candidate") == names[-1]
    assert not list(registry.folder.glob(".building-*"))
    assert len(registry.pairs()) == 1, "of all that switched from nothing, one was first"


def test_promoting_does_not_wait_for_a_registration(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    with registry.turn():  # as while a large adapter is copied
        assert registry.switch(Pair("v1", "F0001"), "a test", expected=None)
        assert registry.live() == Pair("v1", "F0001")


def test_a_writer_waits_for_one_that_is_making_the_file(tmp_path: Path) -> None:
    """SQLite fails at once where it is asked to begin a write-ahead log while another writes."""
    file = tmp_path / "registry.db"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as first:
        first.execute("BEGIN IMMEDIATE")
        ends = threading.Timer(0.1, first.execute, ["COMMIT"])
        ends.start()
        with database.writing(file) as db:
            assert db.execute("SELECT * FROM live").fetchall() == []
        ends.join()


def test_a_writer_that_waits_in_vain_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_S", 0.05)
    registry = Registry(tmp_path / "models")
    registry.switch(Pair("v1", "F0001"), "a test", expected=None)
    with closing(sqlite3.connect(registry.folder / "registry.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(WorkspaceLocked, match=r"registry\.db cannot be used .* locked\)\. Wait"):
            registry.switch(Pair("v2", "F0001"), "a test", expected=Pair("v1", "F0001"))
        assert registry.live() == Pair("v1", "F0001")


def test_a_disk_without_room_is_one_clear_line(tmp_path: Path) -> None:
    """A process that may write files of 4 kB at most, as where no more space is left."""
    code = (
        "import resource, signal; from pathlib import Path; from llm_twin.registry import Pair, Registry\n"
        "from llm_twin.errors import DiskFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        f"try: Registry(Path({str(tmp_path)!r})).switch(Pair('v1', 'F0001'), 'a test', expected=None)\n"
        "except DiskFull as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "registry.db cannot be used (" in done.stdout
    assert "Free some space" in done.stdout


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_registry_that_may_only_be_read_is_read(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    registry.register(adapter(tmp_path / "a", "one"), manifest())
    registry.switch(Pair("v1", "F0001"), "a test", expected=None)
    file = registry.folder / "registry.db"
    file.chmod(0o400)
    registry.folder.chmod(0o500)
    try:
        assert registry.live() == Pair("v1", "F0001")
        assert [entry.version for entry in registry.entries()] == ["v1"]
        with pytest.raises(WorkspaceError, match=r"registry\.db cannot be used .*\. Check its permissions"):
            registry.switch(Pair("v2", "F0001"), "a test", expected=Pair("v1", "F0001"))
    finally:
        registry.folder.chmod(0o700)
