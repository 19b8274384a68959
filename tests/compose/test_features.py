"""What a person is told while features are built."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.contracts.manifests import PartId
from llm_twin.contracts.ports import Silent
from llm_twin.feature import run
from tests.compose.test_embedding import Listens
from tests.compose.traces import write_posts
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post
from tests.registry.test_registry import adapter, manifest


@pytest.mark.parametrize(("folder", "told"), [("mine", True), ("all-MiniLM-L6-v2", False)])
def test_of_another_embedder_it_is_told_that_refusals_are_not_fitted_for_it(
    folder: str, told: bool, tmp_path: Path
) -> None:
    (tmp_path / folder).symlink_to(packaged_embedder())
    write_posts(tmp_path / "blog", 0, 1, 2, 3)
    compose.init(tmp_path / "twin")
    chosen = [f"features.embedder={tmp_path / folder}", "features.backend=torch-fp32"]
    space = compose.open_workspace(tmp_path / "twin", chosen)
    compose.collect(space, [str(tmp_path / "blog")])
    first, again = Listens(), Listens()
    compose.build_features(space, first)
    compose.build_features(space, again)
    said = (
        f"retrieval.refuse_below means was fitted for all-MiniLM-L6-v2, not for {tmp_path / folder}: set it"
    )
    assert [said in line for line in first.said].count(True) == told
    assert not [line for line in again.said if "refuse_below" in line], "nothing new was made"


def test_a_version_stays_for_the_models_of_its_content_whatever_they_call_it(tmp_path: Path) -> None:
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin", ["features.min_held_out=1"])
    for posts in (5, 6, 7, 8):
        made = [make_post(n) for n in range(posts)]
        run(made, space.config, HashEmbedder(), MemoryStore(), space.workspace, Silent())
    third = compose.list_features(space)[2].content_id
    for name, content in (("F0001", third), ("F0002", "e" * 64)):
        features = PartId(name=name, id=content)
        space.registry.register(adapter(tmp_path / name, name), manifest(features=features))
    found = compose.collect_old_features(space, grace_days=0)
    assert found.gone == ("F0001", "F0002")
    assert found.kept == {"F0003": "v1 was trained on it", "F0004": "the newest"}
