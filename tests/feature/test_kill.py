"""kill -9 at seeded moments: what was there serves, the next run ends what was begun, no litter stays."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from llm_twin.adapters.edge import EdgeStore
from llm_twin.feature.index import open_index
from llm_twin.feature.store import list_versions, open_version, tombstones
from llm_twin.workspace import Workspace

FIRST, SECOND = 9, 16  # posts of the two versions
MOMENTS = 5


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Path, Path, int]:
    """A workspace with one version; a copy in which a second was built undisturbed; the steps it took."""
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("kill") / "after"
    process(root, "build", before, FIRST)
    shutil.copytree(before, after)
    return before, after, int(process(root, "build", after, SECOND).stdout)


def process(
    root: Path, what: str, folder: Path, posts: int, step: int = 0
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.feature.builder", what, str(folder), str(posts), str(step)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == (-signal.SIGKILL if step else 0), done.stderr
    return done


def content_ids(folder: Path) -> list[str]:
    return [manifest.content_id for manifest in list_versions(folder / "features")]


def serves(folder: Path) -> str:
    """The name of the version that a reader gets; it is whole, and its index answers."""
    space = Workspace(folder)
    version = open_version(space, "latest")
    assert len(version.vectors) == len(version.chunks) == version.manifest.counts["chunks"]
    index = open_index(version, EdgeStore(space.index), space)
    try:
        found = index.hybrid(version.vectors[3], "walnuts aboard the barge", 5)
    finally:
        index.close()
    assert len(found) == 5
    assert {hit.chunk_id for hit in found} <= version.chunks.keys()
    return version.name


def litter(folder: Path) -> list[str]:
    left = [p for p in folder.rglob("*") if p.name.startswith((".building-", ".writing-"))]
    return [str(p) for p in left + list((folder / "locks" / "readers").glob("*"))]


def moments(steps: int, seed: int) -> list[int]:
    """One at random from each fifth of the steps."""
    draw = random.Random(seed)
    edges = [1 + steps * part // MOMENTS for part in range(MOMENTS + 1)]
    return [draw.randrange(first, last) for first, last in pairwise(edges)]


@pytest.mark.parametrize("part", range(MOMENTS))
def test_a_killed_build_leaves_the_last_version_serving(
    built: tuple[Path, Path, int], tmp_path: Path, root: Path, part: int
) -> None:
    before, after, steps = built
    folder, step = tmp_path / "twin", moments(steps, seed=9)[part]
    shutil.copytree(before, folder)
    process(root, "build", folder, SECOND, step)
    left = content_ids(folder)
    assert left == content_ids(after)[: len(left)]
    assert serves(folder) == f"F000{len(left)}"
    process(root, "build", folder, SECOND)
    assert content_ids(folder) == content_ids(after)
    assert serves(folder) == "F0002"
    assert sorted(p.name for p in (folder / "index").iterdir()) == ["F0001", "F0002"]
    assert litter(folder) == []


def test_a_killed_collection_leaves_no_version_half_deleted(
    built: tuple[Path, Path, int], tmp_path: Path, root: Path
) -> None:
    _, after, _ = built
    shutil.copytree(after, tmp_path / "whole")
    steps = int(process(root, "collect", tmp_path / "whole", 0).stdout)
    assert serves(tmp_path / "whole") == "F0002"
    for step in moments(steps, seed=4):
        folder = tmp_path / str(step)
        shutil.copytree(after, folder)
        process(root, "collect", folder, 0, step)
        assert serves(folder) == "F0002"
        gone = [stone.version for stone in tombstones(folder / "features")]
        assert gone + [m.version for m in list_versions(folder / "features")] == ["F0001", "F0002"]
        assert all(open_version(Workspace(folder), m.version) for m in list_versions(folder / "features"))
        process(root, "collect", folder, 0)
        names = sorted(p.name for p in (folder / "features").iterdir())
        assert names == ["F0001.gone.json", "F0002"]
        assert [p.name for p in (folder / "index").iterdir()] == ["F0002"]
        assert litter(folder) == []
