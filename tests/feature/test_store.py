from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import VersionNotFound
from llm_twin.feature import run
from llm_twin.feature.store import diff, latest, list_versions, next_name, resolve
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


@pytest.fixture
def features(tmp_path: Path, post: Make, embedder: Any, store: Any) -> Path:
    """Two versions: in the second, post 0 has left, post 5 has entered and post 1 has changed."""
    space = Workspace(tmp_path)
    first = [post(n) for n in range(5)]
    changed = post(1, first[1].markdown + "\n\nOne more line.")
    for posts in (first, [changed, *first[2:], post(5)]):
        run(posts, Config(), embedder, store, space, Silent())
    return space.features


def test_versions_are_listed_oldest_first(features: Path) -> None:
    assert [m.version for m in list_versions(features)] == ["F0001", "F0002"]
    newest = latest(features)
    assert newest
    assert (newest.version, newest.parent) == ("F0002", "F0001")


def test_half_made_and_foreign_folders_are_not_versions(features: Path) -> None:
    (features / "F0009").mkdir()
    (features / "Final").mkdir()
    (features / ".building-x").mkdir()
    assert [m.version for m in list_versions(features)] == ["F0001", "F0002"]


def test_resolve(features: Path) -> None:
    assert resolve(features, "F0001") == features / "F0001"
    assert resolve(features, "latest") == features / "F0002"


@pytest.mark.parametrize("name", ["F0003", "../F0001", ""])
def test_an_unknown_name_tells_what_exists(features: Path, name: str) -> None:
    with pytest.raises(VersionNotFound, match="Choose one of: F0001, F0002"):
        resolve(features, name)


def test_nothing_built_yet(tmp_path: Path) -> None:
    assert list_versions(tmp_path / "none") == []
    assert latest(tmp_path / "none") is None
    with pytest.raises(VersionNotFound, match="llm-twin features build"):
        resolve(tmp_path / "none", "latest")


def test_a_number_is_never_given_twice(features: Path) -> None:
    assert next_name(features) == "F0003"
    (features / "F0002").rename(features.parent / "gone")
    (features / "F0002.tombstone.json").write_text("{}")
    assert next_name(features) == "F0003"


def test_diff(features: Path, post: Make) -> None:
    a, b = list_versions(features)
    assert diff(a, b) == {"entered": [post(5).id], "left": [post(0).id], "changed": [post(1).id]}
    assert diff(b, b) == {"entered": [], "left": [], "changed": []}
