"""Which feature versions the registry keeps from being collected."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.contracts.manifests import MANIFEST, PartId
from llm_twin.contracts.ports import Silent
from llm_twin.errors import VersionNotFound
from llm_twin.feature import run
from llm_twin.registry import Pair, Registry
from tests.compose.traces import write_posts
from tests.feature.conftest import HashEmbedder, make_post
from tests.registry.test_registry import adapter, manifest


@pytest.fixture
def space(tmp_path: Path) -> compose.Twinspace:
    """A workspace with the versions F0001 to F0005."""
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin")
    for last in range(4, 9):
        posts, store = [make_post(n) for n in range(last)], compose.vector_store(space)
        run(posts, space.config, HashEmbedder(), store, space.workspace, Silent())
    return space


def test_the_live_pair_the_one_before_it_and_what_models_learnt_from_stay(
    space: compose.Twinspace, tmp_path: Path
) -> None:
    learnt = compose.list_features(space)[0]
    features = PartId(name=learnt.version, id=learnt.content_id)
    space.registry.register(adapter(tmp_path / "a", "one"), manifest(features=features))
    pairs = [None, *(Pair("v1", f"F000{n}") for n in (2, 3, 4))]
    for old, new in pairwise(pairs):
        assert new
        assert space.registry.switch(new, "a test", expected=old)
    found = compose.collect_old_features(space, grace_days=0)
    assert found.gone == ("F0002",)
    assert found.kept == {
        "F0001": "v1 was trained on it",
        "F0003": "a rollback leads to it",
        "F0004": "live",
        "F0005": "the newest",
    }
    file = space.registry.get("v1").folder / MANIFEST
    sealed = file.read_text()
    file.write_text("{}")
    assert "F0001" in compose.collect_old_features(space, grace_days=0).kept  # v1 may be restored
    with pytest.raises(VersionNotFound, match="no earlier live pair whose model is undamaged"):
        compose.rollback(space)
    file.write_text(sealed)
    assert compose.rollback(space).features == "F0003"
    assert compose.collect_old_features(space, grace_days=0).kept["F0003"] == "live"
    with pytest.raises(VersionNotFound, match="no earlier live pair whose features are still there"):
        compose.rollback(space)  # F0002 is gone, and to serve with it is to serve nothing


class Said(Silent):
    """Keeps what a person was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_build_says_what_is_live(tmp_path: Path) -> None:
    compose.init(tmp_path / "twin", "Ada")
    space = compose.open_workspace(tmp_path / "twin")
    space.registry.register(adapter(tmp_path / "a", "one"), manifest())  # its features were made for Ada
    said = Said()
    for number, author in enumerate(("Ada", "Ada", "Eve"), start=1):
        write_posts(tmp_path / "blog", number)
        space = compose.open_workspace(tmp_path / "twin", [f"author.name={author}"])
        compose.collect(space, [str(tmp_path / "blog")])
        compose.build_features(space, said)
        if number == 1:
            space.registry.switch(Pair("v1", "F0001"), "a test", expected=None)
    told = [line for line in said.lines if line.startswith("Live")]
    assert told[0] == "Live: v1 with F0002."
    assert told[1].startswith("Live stays v1 with F0002: v1 was trained with prompt 1 as 'Ada'")
    assert "Set author.name to 'Ada' and build the features again, or train on these" in told[1]


def test_a_build_follows_a_promotion_that_comes_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose.init(tmp_path / "twin", "Ada")
    space, live = compose.open_workspace(tmp_path / "twin"), Registry.live
    for content in ("one", "two"):
        space.registry.register(adapter(tmp_path / content, content), manifest())
    write_posts(tmp_path / "blog", 1)
    compose.collect(space, [str(tmp_path / "blog")])
    space.registry.switch(Pair("v1", "F0000"), "a test", expected=None)

    def then_promoted(registry: Registry) -> Pair | None:
        found = live(registry)
        registry.switch(Pair("v2", "F0000"), "promote", expected=Pair("v1", "F0000"))
        return found

    monkeypatch.setattr(Registry, "live", then_promoted)
    said = Said()
    compose.build_features(space, said)
    assert [line for line in said.lines if line.startswith("Live")] == ["Live: v2 with F0001."]
    assert live(space.registry) == Pair("v2", "F0001")


def test_the_grace_is_that_of_the_configuration(space: compose.Twinspace) -> None:
    assert compose.collect_old_features(space).gone == ()
    none = compose.open_workspace(space.workspace.root, ["features.grace_days=0"])
    assert compose.collect_old_features(none).gone == ("F0001", "F0002", "F0003", "F0004")


def test_where_the_grace_is_null_nothing_goes_unless_asked(space: compose.Twinspace) -> None:
    never = compose.open_workspace(space.workspace.root, ["features.grace_days=null"])
    found = compose.collect_old_features(never)
    assert found.gone == ()
    assert found.kept["F0001"].startswith("features.grace_days is null; --older-than DAYS")
    assert compose.collect_old_features(never, grace_days=0, dry_run=True).gone
