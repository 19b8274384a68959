"""What serves is opened whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from llm_twin import compose
from llm_twin.contracts.ports import Embedder, Silent
from llm_twin.errors import EngineError, MismatchError
from llm_twin.feature import run
from tests.compose.tiny import make_base
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post

pytestmark = pytest.mark.skipif(
    not hasattr(psutil.Process, "memory_maps"), reason="this system does not say what a process has mapped"
)


def opened(
    folder: Path, overrides: Sequence[str] = (), embedder: Embedder | None = None
) -> compose.Twinspace:
    """A workspace with F0001, embedded by the configured embedder or another."""
    compose.init(folder)
    space = compose.open_workspace(
        folder, ["features.min_held_out=1", "features.backend=torch-fp32", *overrides]
    )
    posts = [make_post(n) for n in range(4)]
    run(posts, space.config, embedder or compose.embedder(space), MemoryStore(), space.workspace, Silent())
    return space


def mapped(space: compose.Twinspace) -> list[str]:
    """The index's files that this process holds in memory."""
    maps = psutil.Process().memory_maps()
    return [m.path for m in maps if Path(m.path).is_relative_to(space.workspace.index)]


def test_features_of_another_embedder_leave_no_index_open(tmp_path: Path) -> None:
    space = opened(tmp_path / "twin", embedder=HashEmbedder())
    with pytest.raises(MismatchError) as caught:
        compose.open_retriever(space, compose.feature_version(space, "latest"))
    assert mapped(space) == [], "whoever keeps the error keeps no index"
    assert "F0001 was embedded with" in caught.value.what


def test_an_engine_that_does_not_start_leaves_no_index_open(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    space = opened(tmp_path / "twin", [f"base.id={base}", "generation.engine=llama.cpp"])
    version = compose.feature_version(space, "latest")
    with pytest.raises(EngineError) as caught:
        compose.open_session(space, ["base"], version)
    assert mapped(space) == []
    assert "needs a GGUF" in caught.value.what
    index, _ = compose.open_retriever(space, version)
    assert mapped(space)
    index.close()
