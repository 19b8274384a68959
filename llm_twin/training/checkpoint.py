"""What a run keeps on disk: checkpoints that resume it bit for bit, and the adapter in plain PEFT format.

A checkpoint is a folder that appears complete or not at all. Tensors are safetensors, the rest is JSON:
nothing that is read back can execute code, as a pickle could.

    <run>/checkpoint-00012/weights.safetensors    the LoRA weights by parameter name
                           optimizer.safetensors  Adam's moments and step counts, <parameter>|<state>
                           state.json             position, curve, best measure, fingerprint
    <run>/best/            PEFT format: the best weights so far
    <run>/adapter/         PEFT format: the result of a finished run
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from llm_twin.contracts.bits import BitsPerByte
from llm_twin.contracts.records import Record
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG
from llm_twin.training.precision import Precision
from llm_twin.training.report import Point
from llm_twin.workspace import atomic_folder, atomic_write, sweep

_PREFIX = "checkpoint-"
_STATE = "state.json"


class State(Record):
    """Where a run stands; with the weights and the optimiser, all that a checkpoint needs.

    `precision` is None in checkpoints of older programs.
    """

    fingerprint: str
    planned: int  # tokens of the whole run
    precision: Precision | None = None
    step: int = 0
    tokens: int = 0
    busy_s: float = 0.0
    seconds: float = 0.0
    curve: tuple[Point, ...] = ()
    base: BitsPerByte | None = None
    best: BitsPerByte | None = None
    best_step: int = 0
    worse: int = 0


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save(run_dir: Path, model: Any, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Write the checkpoint of a step and delete the ones before it; there is always a whole one."""
    target = run_dir / f"{_PREFIX}{state.step:05d}"
    if target.exists():  # the same step of the same run: only its measure and the clock may be new
        sweep(target)
        atomic_write(target / _STATE, state.model_dump_json())
    else:
        _write(target, model, optimizer, state)
    for old in _all(run_dir):
        if old != target:
            shutil.rmtree(old)


def _write(target: Path, model: Any, optimizer: torch.optim.Optimizer, state: State) -> None:
    moments = {
        f"{name}|{key}": value
        for name, p in trainable(model).items()
        for key, value in optimizer.state.get(p, {}).items()
    }
    with atomic_folder(target) as folder:
        weights = {name: p.detach().contiguous() for name, p in trainable(model).items()}
        save_file(weights, folder / "weights.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        (folder / _STATE).write_text(state.model_dump_json())


def newest(run_dir: Path) -> Path | None:
    """The last complete checkpoint of a run, if there is one."""
    return max(_all(run_dir), default=None)


def read(folder: Path) -> State:
    """The state of a checkpoint."""
    return State.model_validate_json((folder / _STATE).read_text())


def begun_in(run_dir: Path) -> Precision | None:
    """The precision of an interrupted run, which it goes on in; None where none is known."""
    last = newest(run_dir)
    return read(last).precision if last is not None else None


def load(folder: Path, model: Any, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and moments back."""
    parameters = trainable(model)
    with torch.no_grad():
        for name, value in load_file(folder / "weights.safetensors").items():
            parameters[name].copy_(value)
    for key, value in load_file(folder / "optimizer.safetensors").items():
        name, _, field = key.partition("|")
        p = parameters[name]
        # Adam counts its steps on the CPU and keeps its moments beside the parameter.
        optimizer.state[p][field] = value if field == "step" else value.to(p.device)


def clear(run_dir: Path) -> None:
    """Delete the checkpoints of a run."""
    for folder in _all(run_dir):
        shutil.rmtree(folder)


def save_adapter(model: Any, target: Path, base_name: str) -> None:
    """Write the adapter in PEFT format, the same bytes for the same weights.

    `save_pretrained` is not used: it writes the order of a Python set and a path of this machine into the
    configuration, and a generated README.
    """
    from peft import get_peft_model_state_dict

    # "auto" would look the base up on the Hub to see whether its vocabulary grew; no run changes embeddings.
    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    weights = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    settings = model.peft_config["default"].to_dict()
    settings |= {"base_model_name_or_path": base_name, "inference_mode": True}
    if target.exists():
        shutil.rmtree(target)
    with atomic_folder(target) as folder:
        save_file(weights, folder / ADAPTER, metadata={"format": "pt"})
        (folder / ADAPTER_CONFIG).write_text(
            json.dumps(settings, indent=2, sort_keys=True, default=_plain) + "\n"
        )


def _plain(value: Any) -> Any:
    """A set as a sorted list; anything else, such as an enumeration, by its value."""
    return sorted(value) if isinstance(value, set | frozenset) else getattr(value, "value", str(value))


def _all(run_dir: Path) -> list[Path]:
    return sorted(p for p in run_dir.glob(f"{_PREFIX}*") if p.is_dir())
