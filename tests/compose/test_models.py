"""Where what was trained is measured."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llm_twin import compose, training
from llm_twin.compose import models
from llm_twin.contracts.manifests import digest
from tests.compose.tiny import make_base


def test_a_model_is_measured_where_it_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device "meta" is the only one beside the processor that every machine has; it computes nothing."""
    compose.init(tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin", [f"base.id={make_base(tmp_path / 'base')}"])
    base, scorers = compose.base_model(space), {}
    monkeypatch.setattr("llm_twin.adapters.torch_scorer.TorchScorer", lambda model: model)
    for device in ("cpu", "meta"):
        here = SimpleNamespace(device=torch.device(device))
        monkeypatch.setattr(training, "processes", lambda here=here: here)
        scorers[device] = models._scorer(space, base, "bf16")
        assert scorers[device]._scorer.device.type == device
    assert scorers["cpu"]._identity == digest([base.id, "bf16", version("torch")]), "as it always was"
    assert scorers["meta"]._identity != scorers["cpu"]._identity


def test_a_model_without_room_beside_another_is_measured_in_the_machines_memory() -> None:
    class Large:
        at = ""

        def to(self, device: str) -> Any:
            if device == "cuda":
                raise torch.OutOfMemoryError("CUDA out of memory")
            self.at = device
            return self

    assert models._moved(Large(), "cuda").at == "cpu"
    assert models._moved(Large(), "mps").at == "mps"
