"""What doctor says of training here: a rate that was measured, and what it means for the configured run."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from importlib.metadata import Distribution
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from llm_twin import compose
from llm_twin.adapters import weights
from llm_twin.compose.doctor import expected
from llm_twin.config import Training


def told(folder: Path) -> list[str]:
    return [check.found for check in compose.doctor(folder) if check.name == "training"]


def found_of(name: str) -> str:
    (found,) = (check.found for check in compose.doctor() if check.name == name)
    return found


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


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that holds nothing, where the packaged weights of the embedder are looked for."""
    (tmp_path / "site" / "some_weights" / "model").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(weights, "EMBEDDER", replace(weights.EMBEDDER, module="some_weights"))
    return "some_weights"


def states(folder: Path) -> dict[str, str]:
    return {check.name: check.state for check in compose.doctor(folder)}


def test_what_the_configuration_makes_no_use_of_may_be_missing(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = compose.init(tmp_path / "twin").config_file
    installed = Distribution.from_name
    monkeypatch.setattr(
        Distribution, "from_name", lambda name: installed("none" if name == "xllamacpp" else name)
    )
    found = states(tmp_path / "twin")
    assert (found[weights.EMBEDDER.holds], found["xllamacpp"]) == ("fail", "fail")
    (tmp_path / "e5").mkdir()
    (tmp_path / "e5" / "model.safetensors").touch()
    given = {"features": {"embedder": str(tmp_path / "e5")}, "generation": {"engine": "transformers"}}
    file.write_text(yaml.safe_dump({"author": {"name": "Ada"}, **given}), encoding="utf-8")
    found = states(tmp_path / "twin")
    assert (found[weights.EMBEDDER.holds], found["xllamacpp"]) == ("warn", "warn")
    assert "fail" not in found.values()


@pytest.mark.parametrize(("damaged", "options"), [(False, []), (True, ["--force-reinstall"])])
def test_packaged_weights_that_are_missing_or_damaged_are_installed(
    tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch, damaged: bool, options: list[str]
) -> None:
    if damaged:
        (tmp_path / "site" / module / "model" / "model.safetensors").write_bytes(b"half")
    ran = []

    def run(command: list[str], **_: object) -> CompletedProcess[str]:
        ran.append(command)
        return CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", run)
    compose.install_weights()
    assert [command[4:] for command in ran] == [["--no-deps", *options, weights.EMBEDDER.requirement]]


def test_the_disk_is_that_of_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compose.init(tmp_path / "twin")
    (tmp_path / "twin" / "drafts").mkdir()
    monkeypatch.chdir(tmp_path / "twin" / "drafts")
    assert found_of("disk").endswith(f"GB free at {tmp_path / 'twin'}")


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)
    assert found_of("processor").startswith("1 core, ")


def test_any_accelerator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    assert found_of("accelerator") == "mps"
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert found_of("accelerator").startswith("none")
