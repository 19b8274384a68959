from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.compose.demo import trained_anyhow
from llm_twin.contracts.ports import Progress, Silent
from llm_twin.errors import MismatchError, WorkspaceError
from llm_twin.sample import AUTHOR


def test_a_demo_run_again_by_another_program_trains_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(space: compose.Twinspace, progress: Progress, features: str, resume: bool = False) -> None:
        asked.append((features, resume))
        if resume:
            raise MismatchError("The interrupted run had other packages", "Start anew without --resume")

    monkeypatch.setattr(sys.modules[trained_anyhow.__module__], "train", train)
    compose.init(tmp_path / "twin").runs.mkdir()
    trained_anyhow(compose.open_workspace(tmp_path / "twin"), "F0001", Silent())
    assert asked == [("F0001", True), ("F0001", False)]


@pytest.mark.parametrize("author", [None, "Ann O'Dell"])
def test_the_sample_never_mixes_with_a_user_s_posts(tmp_path: Path, author: str | None) -> None:
    workspace = compose.init(tmp_path / "twin", author)
    with pytest.raises(WorkspaceError, match="llm-twin demo --workspace DIR"):
        compose.demo(tmp_path / "twin", overrides=[f"author.name={AUTHOR}"])
    assert not workspace.library.exists()
