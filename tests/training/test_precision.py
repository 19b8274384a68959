from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from llm_twin.training import choose_precision, precision
from llm_twin.training.precision import use_physical_cores


def test_a_given_precision_is_kept() -> None:
    assert choose_precision("bf16") == "bf16"
    assert choose_precision("fp32") == "fp32"


@pytest.mark.parametrize(("half", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (50.0, "fp32")])
def test_auto_takes_the_one_that_is_clearly_faster(half: float, chosen: str) -> None:
    assert choose_precision("auto", lambda dtype: half if dtype == torch.bfloat16 else 1.0) == chosen


def on(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = SimpleNamespace(device=torch.device(device))
    monkeypatch.setattr(precision, "processes", lambda: here)


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_an_accelerator_is_asked_and_not_timed(
    monkeypatch: pytest.MonkeyPatch, has: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has)
    monkeypatch.setattr("accelerate.utils.is_bf16_available", lambda: has)
    for device in ("cuda", "mps"):
        on(device, monkeypatch)
        assert choose_precision("auto", lambda _: pytest.fail("it was timed")) == chosen


def test_a_run_on_the_processor_is_timed_there_whatever_else_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with ACCELERATE_USE_CPU beside a GPU."""
    on("cpu", monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    timed: list[torch.dtype] = []

    def seconds(dtype: torch.dtype) -> float:
        timed.append(dtype)
        return {torch.float32: 2.0, torch.bfloat16: 1.0}[dtype]

    assert choose_precision("auto", seconds) == "bf16"
    assert set(timed) == {torch.float32, torch.bfloat16}


def test_a_base_tells_what_it_was_loaded_in() -> None:
    layer = torch.nn.Linear(2, 2)
    assert precision.of(layer) == "fp32"
    assert precision.of(layer.bfloat16()) == "bf16"


def test_no_more_threads_than_cores_that_may_be_used() -> None:
    import psutil

    threads = use_physical_cores()
    assert threads == torch.get_num_threads()
    assert 1 <= threads <= (psutil.cpu_count() or 1)


def test_the_processes_of_a_run_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = use_physical_cores()
    try:
        for processes in (2, 1000):
            monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
            assert use_physical_cores() == max(1, alone // processes)
    finally:
        torch.set_num_threads(alone)
