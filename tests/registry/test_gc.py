from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin.errors import VersionNotFound
from llm_twin.registry import Pair, Registry, gc
from tests.registry.made import lora, manifest


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """v1 to v5: v2 was live before v3, which is live; v5 is the candidate; v1 and v4 nothing needs."""
    registry = Registry(tmp_path / "twin" / "models")
    for n in range(1, 6):
        registry.register(lora(tmp_path / str(n), n), manifest(parent=f"v{n - 1}" if n > 1 else None))
    two, three = Pair("v2", "F0001"), Pair("v3", "F0001")
    assert registry.switch(two, "a test", None)
    assert registry.switch(three, "a test", two)
    return registry


def names(registry: Registry) -> list[str]:
    return [entry.version for entry in registry.entries()]


def folders(registry: Registry) -> int:
    return sum(path.is_dir() for path in registry.folder.iterdir())


def test_only_what_nothing_needs_goes(registry: Registry) -> None:
    found = gc.run(registry, grace_days=0)
    assert found.gone == ("v1", "v4")
    assert found.kept == {"v2": "a rollback leads to it", "v3": "live", "v5": "candidate"}
    assert names(registry) == ["v2", "v3", "v5"]
    assert folders(registry) == 3
    assert found.freed_mb == pytest.approx(0, abs=0.1)
    assert registry.rollback() == Pair("v2", "F0001")
    assert registry.get("live").name == "v2"


def test_a_damaged_version_stays_and_keeps_no_other(registry: Registry) -> None:
    (registry.get("v1").folder / "manifest.json").write_text("{")
    found = gc.run(registry, grace_days=0)
    assert found.gone == ("v4",)
    assert found.kept["v1"] == "its manifest cannot be read: import a copy of it"


def test_nothing_goes_before_its_grace_is_over(registry: Registry) -> None:
    found = gc.run(registry, grace_days=gc.GRACE_DAYS)
    assert found.gone == ()
    assert found.kept["v4"].startswith("kept until 20")


def test_a_dry_run_deletes_nothing(registry: Registry) -> None:
    assert gc.run(registry, grace_days=0, dry_run=True).gone == ("v1", "v4")
    assert names(registry) == ["v1", "v2", "v3", "v4", "v5"]
    assert folders(registry) == 5


def test_a_number_is_never_given_again_and_the_tombstone_says_what_it_was(
    registry: Registry, tmp_path: Path
) -> None:
    content = {n: registry.manifest(f"v{n}").content_id for n in (1, 4, 5)}
    gc.run(registry, grace_days=0)
    assert [(s.version, s.content_id, s.parent, s.reason) for s in registry.tombstones()] == [
        ("v1", content[1], None, "collected"),
        ("v4", content[4], "v3", "collected"),
    ]
    with pytest.raises(VersionNotFound, match=r"v4 is gone since 20.* \(collected; content .*v2, v3, v5"):
        registry.get("v4")
    registry.register(lora(tmp_path / "6", 6), manifest())
    gc.run(registry, grace_days=0)  # v5 is candidate no longer
    assert registry.register(tmp_path / "5", manifest(parent="v4")).name == "v7"
    assert registry.manifest("v7").content_id == content[5]


def test_what_came_to_be_needed_is_not_buried(registry: Registry) -> None:
    one, four = registry.manifest("v1"), registry.manifest("v4")
    assert registry.switch(Pair("v4", "F0001"), "a test", registry.live())
    assert registry.bury([one, four], "a test") == ["v1"]
    assert registry.get("live").name == "v4"


def test_what_is_gone_cannot_go_live(registry: Registry) -> None:
    gc.run(registry, grace_days=0)
    with pytest.raises(VersionNotFound, match="v4 is gone"):
        registry.switch(Pair("v4", "F0001"), "a test", registry.live())
    assert registry.live() == Pair("v3", "F0001")


def test_a_collection_that_was_killed_is_ended_by_the_next(registry: Registry) -> None:
    registry.bury([registry.manifest("v1")], "collected")  # and killed before its folder was deleted
    (registry.folder / ".building-dead").mkdir()
    assert folders(registry) == 6
    gc.run(registry, grace_days=365)
    assert folders(registry) == 4
    assert names(registry) == ["v2", "v3", "v4", "v5"]
