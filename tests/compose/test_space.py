"""Models that the configuration names by a path: it is relative to the workspace, from whatever folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.adapters.base_model import PACKAGED
from llm_twin.compose.fit import check_base
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import PartId
from llm_twin.contracts.versions import ModelVersion
from tests.compose.tiny import make_base
from tests.registry.test_registry import manifest


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
    for name in ("qwen", "e5", "reranker"):
        (root / "models" / name).mkdir(parents=True)
    (root / "models" / "qwen.gguf").touch()
    config = opened(
        base__id="models/qwen",
        base__gguf="models/qwen.gguf",
        features__embedder="models/e5",
        retrieval__reranker="models/reranker",
    ).config
    assert config.base.id == str(root / "models" / "qwen")
    assert config.base.gguf == root / "models" / "qwen.gguf"
    assert config.features.embedder == str(root / "models" / "e5")
    assert config.retrieval.reranker == str(root / "models" / "reranker")


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "~/models/qwen", "/models/qwen/", PACKAGED])
def test_any_other_name_stays_as_it_is(root: Path, name: str) -> None:
    (root / PACKAGED).mkdir()
    assert opened(base__id=name).config.base.id == name


def test_a_gguf_may_lie_in_the_home_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert opened(base__gguf="~/x.gguf").config.base.gguf == root.parent / "x.gguf"
    (root / "drafts" / "y.gguf").touch()
    assert opened(base__gguf="y.gguf").config.base.gguf == Path("y.gguf"), "of the present folder"


def test_a_version_that_was_trained_by_the_shorter_name_still_fits_its_base(root: Path) -> None:
    make_base(root / "models" / "base")
    base = compose.base_model(opened(base__id="models/base"))
    trained = manifest(base=PartId(name="models/base", id=base.id))
    check_base(ModelVersion(root / "models" / "v1", trained), base)
