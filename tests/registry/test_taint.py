"""Versions that learnt from forgotten posts, and live pairs whose features go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from llm_twin.errors import VersionNotFound
from llm_twin.registry import Pair, Registry
from tests.registry.test_registry import adapter, manifest


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With the versions v1 to v3."""
    registry = Registry(tmp_path / "models")
    for name in ("one", "two", "three"):
        registry.register(adapter(tmp_path / name, name), manifest())
    return registry


def switch(registry: Registry, pairs: Sequence[Pair]) -> None:
    for old, new in pairwise([None, *pairs]):
        assert new
        assert registry.switch(new, "a test", expected=old)


def test_a_taint_names_the_posts_and_stays(registry: Registry) -> None:
    assert registry.tainted() == {}
    registry.taint("v2", ["b", "a"])
    registry.taint("v2", ["b"])
    assert Registry(registry.folder).tainted() == {"v2": ("a", "b")}
    with pytest.raises(VersionNotFound, match="v9"):
        registry.taint("v9", ["a"])


def test_a_rollback_passes_over_what_is_tainted(registry: Registry) -> None:
    switch(registry, [Pair(f"v{n}", "F0001") for n in (1, 2, 3)])
    registry.taint("v2", ["a"])
    assert registry.rollback() == registry.live() == Pair("v1", "F0001")
    with pytest.raises(VersionNotFound, match="no earlier live pair to go back to"):
        registry.rollback()


def test_a_rollback_leads_to_what_is_tainted_where_that_is_allowed(registry: Registry) -> None:
    switch(registry, [Pair(f"v{n}", "F0001") for n in (1, 2)])
    registry.taint("v1", ["a"])
    with pytest.raises(VersionNotFound, match="no earlier live pair whose model is not tainted"):
        registry.rollback()
    assert registry.live() == Pair("v2", "F0001"), "a rollback that is refused changes nothing"
    assert registry.rollback(allow_tainted=True) == Pair("v1", "F0001")


@pytest.mark.parametrize(
    ("fitting", "left"),
    [
        (["base", "v1", "v2"], ["v2 F0003", "v1 F0003", "v3 F0002", "base F0003"]),
        (["base", "v2"], ["v2 F0003", "v3 F0002", "base F0003"]),
        (["base"], ["base F0003", "v3 F0002", "base F0003"]),
    ],
)
def test_pairs_whose_features_go_follow_to_the_successor_where_they_fit(
    registry: Registry, fitting: list[str], left: list[str]
) -> None:
    pairs = [("base", "F0001"), ("v3", "F0002"), ("v1", "F0001"), ("v2", "F0001")]
    switch(registry, [Pair(*pair) for pair in pairs])
    registry.leave_features(["F0001"], "F0003", fitting)
    assert [f"{p.model} {p.features}" for p in registry.pairs()] == left


def test_pairs_that_become_the_same_are_one(registry: Registry) -> None:
    switch(registry, [Pair("base", "F0001"), Pair("v1", "F0001"), Pair("v1", "F0002"), Pair("v1", "F0003")])
    registry.leave_features(["F0001", "F0002"], "F0003", ["base", "v1"])
    assert registry.pairs() == [Pair("v1", "F0003"), Pair("base", "F0003")]


def test_without_a_successor_no_pair_leads_to_what_is_gone(registry: Registry) -> None:
    switch(registry, [Pair("base", "F0001"), Pair("v1", "F0002"), Pair("v1", "F0003")])
    registry.leave_features(["F0001", "F0003"], None, ["base", "v1"])
    assert registry.pairs() == [Pair("v1", "F0002")]
    registry.leave_features(["F0002"], None, ["base", "v1"])
    assert registry.live() is None
