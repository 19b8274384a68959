from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.errors import PushError, Tainted, VersionNotFound
from tests.registry.made import lora, manifest


@pytest.fixture
def space(tmp_path: Path) -> compose.Twinspace:
    """A workspace whose registry holds v1."""
    opened = compose.open_workspace(compose.init(tmp_path / "twin").root)
    opened.registry.register(lora(tmp_path / "made", 0.5), manifest())
    return opened


def test_places_are_told_apart(space: compose.Twinspace) -> None:
    with pytest.raises(PushError, match=r"'s3://bucket' is no place.*hub:user/name"):
        compose.push_model(space, "v1", "s3://bucket")
    with pytest.raises(VersionNotFound):
        compose.push_model(space, "v9", "hub:ada/twin")


def test_a_version_that_learnt_from_a_forgotten_post_stays_here(space: compose.Twinspace) -> None:
    space.registry.taint("v1", ["p1"])
    with pytest.raises(Tainted, match="v1 was not pushed"):
        compose.push_model(space, "v1", "hub:ada/twin")
