"""What the engine that the configuration names is started with."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.adapters.base_model import HFChatTokenizer
from llm_twin.compose.parts import engine, longest_context
from tests.compose.tiny import make_base


@pytest.mark.parametrize(("configured", "used"), [(1024, 1024), (4096, 2048)])
def test_a_context_is_no_longer_than_the_base_was_made_for(
    configured: int, used: int, tmp_path: Path
) -> None:
    compose.init(tmp_path / "twin")
    chosen = [f"base.id={make_base(tmp_path / 'base')}", f"generation.context={configured}"]
    space = compose.open_workspace(tmp_path / "twin", chosen)
    base = compose.base_model(space)
    with closing(engine(space, base, {}, HFChatTokenizer(base.folder))) as started:
        assert started.context == used


@pytest.mark.parametrize(
    ("said", "longest"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"text_config": {"max_position_embeddings": 2048}}, 2048),
        ({"max_position_embeddings": None}, sys.maxsize),
        ({}, sys.maxsize),
    ],
)
def test_what_a_base_says_of_its_context(said: dict[str, object], longest: int, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(said))
    (tmp_path / "model.safetensors").write_bytes(b"")
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin", [f"base.id={tmp_path}"])
    assert longest_context(compose.base_model(space)) == longest
