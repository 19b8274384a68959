"""Models that the configuration names by a path: it is relative to the workspace, from whatever folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.adapters.base_model import resolve_base
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.compose import parts
from llm_twin.compose.space import Twinspace
from llm_twin.errors import MissingDependency
from tests.compose.tiny import make_base


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, seen from a folder below it."""
    compose.init(tmp_path / "twin")
    (tmp_path / "twin" / "drafts").mkdir()
    monkeypatch.chdir(tmp_path / "twin" / "drafts")
    return tmp_path / "twin"


def opened(**named: str) -> Twinspace:
    return compose.open_workspace(
        overrides=[f"{key.replace('__', '.')}={name}" for key, name in named.items()]
    )


def test_a_model_in_the_workspace_is_no_strangers_on_the_hub(root: Path) -> None:
    make_base(root / "models" / "base")
    (root / "models" / "base.gguf").touch()
    shutil.copytree(packaged_embedder(), root / "models" / "e5")
    space = opened(base__id="models/base", base__gguf="models/base.gguf", features__embedder="models/e5")
    found = compose.base_model(space)
    assert found.folder == root / "models" / "base"
    assert found.gguf == root / "models" / "base.gguf"
    assert found.id == resolve_base(str(found.folder)).id
    assert found.name == "./models/base", "no path of this machine, and no stranger's id"
    assert compose.base_model(opened(base__id=found.name)).id == found.id
    made_by = compose.embedder(space)
    assert made_by.id
    assert made_by.name.startswith("models/e5")
    (root / "models" / "reranker").mkdir()
    with pytest.raises(MissingDependency, match="holds no"):
        parts.reranker(opened(retrieval__reranker="models/reranker"))


@pytest.mark.parametrize("name", ["~nosuchuser/x", "x" * 300])
def test_what_can_be_no_path_is_an_error_for_people(root: Path, name: str) -> None:
    with pytest.raises(MissingDependency):
        compose.base_model(opened(base__id=name))
    with pytest.raises(MissingDependency, match="no GGUF file"):
        compose.base_model(opened(base__gguf=name))
    with pytest.raises(MissingDependency, match=r"features\.embedder is .*neither a folder nor .*MiniLM"):
        compose.embedder(opened(features__embedder=name))


def test_a_gguf_may_lie_in_the_home_folder_or_the_present_one(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    (root.parent / "x.gguf").touch()
    assert compose.base_model(opened(base__gguf="~/x.gguf")).gguf == root.parent / "x.gguf"
    (root / "drafts" / "y.gguf").touch()
    assert compose.base_model(opened(base__gguf="y.gguf")).gguf == root / "drafts" / "y.gguf"
