from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config
from llm_twin.contracts.manifests import Tombstone
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import IntegrityError, VersionNotFound
from llm_twin.feature import gc, run
from llm_twin.feature.hold import holders
from llm_twin.feature.store import latest, list_versions, next_name, open_version, resolve, tombstones
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


def test_a_tombstone_tells_what_went(features: Path, store: Any) -> None:
    oldest = list_versions(features)[0]
    gc.remove(Workspace(features.parent), store, [oldest], "a post in it was forgotten")
    (stone,) = tombstones(features)
    assert (stone.version, stone.content_id) == ("F0001", oldest.content_id)
    with pytest.raises(VersionNotFound, match=r"F0001 is gone since 20.*a post in it was forgotten.*F0002"):
        resolve(features, "F0001")


def test_a_tombstone_beside_its_version_counts_for_nothing(features: Path) -> None:
    stone = Tombstone(
        version="F0001", content_id="0", created_at="", parent=None, gone_at="2026-01-01", reason="collected"
    )
    (features / "F0001.gone.json").write_text(stone.model_dump_json())
    assert tombstones(features) == []
    assert resolve(features, "F0001") == features / "F0001"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "cannot be read"),
        ('{"version": "F0001"}', "cannot be read"),
        ("\udcff", "cannot be read"),
        ("Mallory", "was changed after it was sealed"),
    ],
    ids=["no JSON", "no manifest", "no UTF-8", "another author"],
)
def test_a_manifest_that_is_not_as_it_was_sealed_is_named(features: Path, text: str, reason: str) -> None:
    path = features / "F0001" / "manifest.json"
    if text == "Mallory":
        text = json.dumps(json.loads(path.read_text()) | {"prompt": {"version": "1", "author": text}})
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    for look in (
        lambda: FeatureVersion.open(features / "F0001"),
        lambda: open_version(Workspace(features.parent), "F0001"),
        lambda: list_versions(features),
    ):
        with pytest.raises(IntegrityError, match=rf"F0001/manifest\.json {reason}\. Restore it.*or delete"):
            look()
    assert latest(features) is not None, "the others serve"
    assert open_version(Workspace(features.parent), "latest").name == "F0002"
    with pytest.raises(VersionNotFound, match="Choose one of: F0001, F0002"):
        resolve(features, "F0009")


def test_an_opened_version_is_held_until_it_is_dropped(features: Path) -> None:
    space = Workspace(features.parent)
    version = open_version(space, "latest")
    assert version.name == "F0002"
    assert (holders(space, "F0001"), holders(space, "F0002")) == ([], [os.getpid()])
    del version
    assert holders(space, "F0002") == []
    assert not list((space.root / "locks" / "readers").iterdir())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_version_in_a_folder_that_may_only_be_read_opens(features: Path) -> None:
    locks = features.parent / "locks"
    locks.chmod(0o500)
    try:
        assert open_version(Workspace(features.parent), "F0001").name == "F0001"
    finally:
        locks.chmod(0o700)
