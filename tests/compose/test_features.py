"""What a person is told while features are built."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.adapters.weights import packaged_embedder
from tests.compose.test_embedding import Listens
from tests.compose.traces import write_posts


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
