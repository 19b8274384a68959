"""What doctor says of training here: a rate that was measured, and what it means for the configured run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from llm_twin import compose
from llm_twin.compose.doctor import expected
from llm_twin.config import Training


def told(folder: Path) -> list[str]:
    return [check.found for check in compose.doctor(folder) if check.name == "training"]


def test_the_rate_of_the_default_base_is_measured(tmp_path: Path) -> None:
    import torch

    compose.init(tmp_path / "twin")
    (found,) = told(tmp_path / "twin")
    rate = re.match(r"about (\d+) tokens/s in (fp32|bf16): the default 100,000 tokens in \d+ minute", found)
    assert rate, found
    assert 2 < int(rate[1]) < 20_000
    assert torch.get_num_threads() >= 1


def test_of_another_base_nothing_is_said(tmp_path: Path) -> None:
    file = compose.init(tmp_path / "twin").config_file
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("id: SmolLM2-135M-Instruct", "id: Qwen/Qwen3-0.6B"), encoding="utf-8")
    assert told(tmp_path / "twin") == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "about 280 tokens/s in fp32: the default 100,000 tokens in 6 minutes, then its measures"),
        ({"max_tokens": 5000}, "about 280 tokens/s in fp32: 5,000 tokens in 1 minute, then its measures"),
        ({"max_tokens": None}, "about 280 tokens/s in fp32"),
        (
            {"minutes": 5},
            "about 280 tokens/s in fp32: as many tokens as fit in 5 minutes (training.minutes)",
        ),
    ],
)
def test_what_is_expected_of_a_run(wanted: dict[str, int | None], found: str) -> None:
    assert expected(283.4, "fp32", Training.model_validate(wanted)) == found


def test_models_that_are_named_are_looked_for_and_not_fetched(tmp_path: Path) -> None:
    space = compose.init(tmp_path / "twin")
    assert not {"base.id", "features.embedder", "retrieval.reranker"} & {
        check.name for check in compose.doctor(tmp_path / "twin")
    }
    mine = tmp_path / "mine"
    mine.mkdir()
    settings = {
        "base.id": str(mine),
        "features.embedder": "ada/none",
        "retrieval.reranker": "~nosuchuser/thing",
    }
    given = {"base": {"id": settings["base.id"], "gguf": str(tmp_path / "absent.gguf")}}
    given |= {"features": {"embedder": "ada/none"}, "retrieval": {"reranker": settings["retrieval.reranker"]}}
    space.config_file.write_text(yaml.safe_dump({"author": {"name": "Ada"}, **given}), encoding="utf-8")
    found = {check.name: check for check in compose.doctor(tmp_path / "twin")}
    assert found["base.id"].state == "fail"
    assert "is not a base model (it needs config.json and *.safetensors)" in found["base.id"].found
    assert found["features.embedder"].state == "warn"
    assert found["features.embedder"].found == "ada/none is not on this machine"
    assert found["retrieval.reranker"].state == "fail"
    assert "neither a folder nor a Hugging Face id" in found["retrieval.reranker"].found
    assert found["base.gguf"].state == "fail"
    for name in ("config.json", "model.safetensors"):
        (mine / name).touch()
    assert {check.name: check.state for check in compose.doctor(tmp_path / "twin")}["base.id"] == "ok"
