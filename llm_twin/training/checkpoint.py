"""What a run keeps on disk: checkpoints that resume it bit for bit, and the adapter in plain PEFT format.

A checkpoint is a folder that appears complete or not at all. Tensors are safetensors, the rest is JSON:
nothing that is read back can execute code, as a pickle could.

    <run>/checkpoint-00012/weights.safetensors    the LoRA weights by parameter name
                           optimizer.safetensors  Adam's moments and step counts, <parameter>|<state>
                           rng.safetensors        torch's generator state
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

from llm_twin.contracts.records import Record
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG
from llm_twin.workspace import atomic_folder

_PREFIX = "checkpoint-"
_STATE = "state.json"


def trainable(model: Any) -> dict[str, torch.nn.Parameter]:
    """The parameters that training changes, by name."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def save(run_dir: Path, step: int, model: Any, optimizer: torch.optim.Optimizer, state: Record) -> None:
    """Write the checkpoint of `step` and delete the ones before it."""
    target = run_dir / f"{_PREFIX}{step:05d}"
    if target.exists():
        shutil.rmtree(target)  # the same position of the same run, so the same content but for the clock
    moments = {
        f"{name}|{key}": value
        for name, p in trainable(model).items()
        for key, value in optimizer.state.get(p, {}).items()
    }
    with atomic_folder(target) as folder:
        weights = {name: p.detach().contiguous() for name, p in trainable(model).items()}
        save_file(weights, folder / "weights.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        save_file({"torch": torch.get_rng_state()}, folder / "rng.safetensors")
        (folder / _STATE).write_text(state.model_dump_json())
    for old in _all(run_dir):
        if old != target:
            shutil.rmtree(old)


def newest(run_dir: Path) -> Path | None:
    """The last complete checkpoint of a run, if there is one."""
    return max(_all(run_dir), default=None)


def state_json(folder: Path) -> str:
    """The JSON of a checkpoint's state."""
    return (folder / _STATE).read_text()


def load(folder: Path, model: Any, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights, moments and random state back."""
    parameters = trainable(model)
    with torch.no_grad():
        for name, value in load_file(folder / "weights.safetensors").items():
            parameters[name].copy_(value)
    for key, value in load_file(folder / "optimizer.safetensors").items():
        name, _, field = key.partition("|")
        p = parameters[name]
        # Adam counts its steps on the CPU and keeps its moments beside the parameter.
        optimizer.state[p][field] = value if field == "step" else value.to(p.device)
    torch.set_rng_state(load_file(folder / "rng.safetensors")["torch"])


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

    weights = {name: t.detach().cpu().contiguous() for name, t in get_peft_model_state_dict(model).items()}
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
