from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_twin.adapters.edge import EdgeStore
from llm_twin.compose import init
from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.feature import gc, run
from llm_twin.feature.index import open_index
from llm_twin.feature.store import list_versions, open_version
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return init(tmp_path / "twin")


@contextmanager
def reader(space: Workspace, version: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the version open; leaving the block stops it and checks that all went well."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.feature.reader", str(space.root), version]
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            assert first == "open\n", process.communicate()[1]
            yield process
        finally:
            out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert int(out) > 0


def test_a_version_is_read_while_others_are_built_and_collected(
    space: Workspace, post: Make, embedder: Any, root: Path
) -> None:
    store = EdgeStore(space.index)
    run([post(n) for n in range(12)], Config(), embedder, store, space, Silent())
    with reader(space, "F0001", root) as first, reader(space, "F0001", root) as second:
        for last in range(13, 17):
            run([post(n) for n in range(last)], Config(), embedder, store, space, Silent())
            found = gc.run(space, store, {}, grace_days=0)
        assert [m.version for m in list_versions(space.features)] == ["F0001", "F0005"]
        assert set(found.kept["F0001"].removeprefix("open in process ").split(", ")) >= {
            str(first.pid),
            str(second.pid),
        }
    assert gc.run(space, store, {}, grace_days=0).gone == ("F0001",)


def test_readers_that_find_no_index_build_it_once(
    space: Workspace, post: Make, embedder: Any, root: Path
) -> None:
    store = EdgeStore(space.index)
    run([post(n) for n in range(12)], Config(), embedder, store, space, Silent())
    store.drop("F0001")
    with reader(space, "F0001", root), reader(space, "F0001", root):
        run([post(n) for n in range(13)], Config(), embedder, store, space, Silent())
    assert sorted(p.name for p in space.index.iterdir()) == ["F0001", "F0002"]


def test_an_index_is_not_built_twice(space: Workspace, post: Make, embedder: Any, store: Any) -> None:
    run([post(n) for n in range(4)], Config(), embedder, store, space, Silent())
    version = open_version(space, "F0001")
    store.drop("F0001")
    for _ in range(2):
        assert open_index(version, store, space) is store
    assert store.builds == 2
