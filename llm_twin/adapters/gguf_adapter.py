"""A LoRA adapter in PEFT format as the GGUF adapter that llama.cpp loads.

The layout is llama.cpp's (`convert_lora_to_gguf.py`, `llama-adapter.cpp`): tensors `<base tensor>.lora_a`
of shape [rank, in] and `.lora_b` of shape [out, rank], applied as scale * B(Ax) with scale =
adapter.lora.alpha / rank.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG
from llm_twin.errors import EngineError

Weights = NDArray[np.float32]

# Hugging Face `model_type` to llama.cpp's architecture. Where the second value is True, llama.cpp stores
# the rows of the query and key projections in the order of its own rotary embedding, and the adapter's rows
# must follow.
ARCHITECTURES: dict[str, tuple[str, bool]] = {
    "llama": ("llama", True),
    "mistral": ("llama", True),
    "qwen2": ("qwen2", False),
    "qwen3": ("qwen3", False),
}
_ELSEWHERE = "Set generation.engine to transformers, which runs any PEFT adapter"
_PREFIX = "base_model.model."
# What may stand in a plain LoRA's adapter_config.json; None: any value. PEFT keeps adding variants that
# change what the weights mean, each with a key of its own: a key that is not here must be empty.
_PLAIN: dict[str, tuple[Any, ...] | None] = {
    "bias": ("none",),
    # The other ways to begin (PiSSA, OLoRA, CorDA, LoftQ) change the base's weights too.
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
    **dict.fromkeys(("r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "exclude_modules")),
    **dict.fromkeys(("layers_to_transform", "layers_pattern", "peft_type", "peft_version", "task_type")),
    **dict.fromkeys(("base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "eva_config")),
    **dict.fromkeys(("megatron_config", "megatron_core", "qalora_group_size", "runtime_config")),
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the conversion needs to know of the base model."""

    architecture: str
    layers: int
    permuted_heads: Mapping[str, int]


def check_architecture(base_folder: Path) -> None:
    """Raises EngineError where adapters for this base cannot be converted, before one is trained."""
    _shape(_read_json(base_folder / "config.json"), base_folder)


def convert(adapter: Path, base_folder: Path, out: Path) -> None:
    """Write the PEFT adapter of folder `adapter` as the GGUF file `out`; equal input gives equal bytes.

    `base_folder` holds the base model's config.json. rsLoRA's scale, alpha / sqrt(rank), is folded into the
    recorded alpha. Weights are stored in half precision. Raises EngineError for what llama.cpp cannot
    apply: DoRA, trained biases, fully trained modules, per-module ranks, an architecture that is not in
    ARCHITECTURES, a layer that the base does not have.
    """
    from safetensors.numpy import load_file

    config = _read_json(adapter / ADAPTER_CONFIG)
    _refuse_what_is_not_plain(config, adapter)
    base = _shape(_read_json(base_folder / "config.json"), base_folder)
    pairs = _pairs(load_file(adapter / ADAPTER), base, adapter)
    alpha = float(config["lora_alpha"])
    if config.get("use_rslora"):
        alpha *= math.sqrt(config["r"])
    _write(out, base, alpha, pairs)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{path} cannot be read ({' '.join(str(error).split())})", "Check the folder it lies in"
        ) from error
    return found


def _refuse_what_is_not_plain(config: Mapping[str, Any], adapter: Path) -> None:
    if config.get("peft_type") != "LORA":
        raise EngineError(f"{adapter} is a {config.get('peft_type')} adapter, not LoRA", _ELSEWHERE)
    for key, value in config.items():
        plain = _PLAIN.get(key, (None, False, {}, []))
        if plain is not None and value not in plain:
            raise EngineError(f"{adapter} has {key} = {value!r}, which llama.cpp cannot apply", _ELSEWHERE)


def _shape(config: Mapping[str, Any], folder: Path) -> _Shape:
    kind = str(config.get("model_type"))
    if kind not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise EngineError(
            f"No conversion to GGUF is known for the architecture {kind!r} of {folder} (known: {known})",
            _ELSEWHERE,
        )
    architecture, permuted = ARCHITECTURES[kind]
    heads = int(config["num_attention_heads"])
    groups = int(config.get("num_key_value_heads") or heads)
    return _Shape(
        architecture=architecture,
        layers=int(config["num_hidden_layers"]),
        permuted_heads={"q_proj": heads, "k_proj": groups} if permuted else {},
    )


def _pairs(tensors: Mapping[str, Weights], base: _Shape, adapter: Path) -> dict[str, tuple[Weights, Weights]]:
    """GGUF tensor name to (A, B), in the order of the names."""
    import gguf

    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[base.architecture], base.layers)
    found: dict[str, tuple[Weights, Weights]] = {}
    for key in sorted(tensors):
        module, _, part = key.removeprefix(_PREFIX).rpartition(".lora_")
        if not module or part not in ("A.weight", "B.weight"):
            raise EngineError(f"{adapter} holds {key}, which llama.cpp cannot apply", _ELSEWHERE)
        if part == "B.weight":
            continue
        name = names.get_name(module)
        if name is None or not name.startswith("blk."):
            raise EngineError(
                f"{adapter} adapts {module}, which is not a layer that llama.cpp adapts", _ELSEWHERE
            )
        b = tensors.get(f"{key.removesuffix('A.weight')}B.weight")
        if b is None:
            raise EngineError(f"{adapter} has half of a pair: {key} without its lora_B", "Export it again")
        heads = base.permuted_heads.get(module.rpartition(".")[2])
        found[f"{name}.weight"] = (tensors[key], _permute(b, heads) if heads else b)
    return found


def _permute(rows: Weights, heads: int) -> Weights:
    """Rows [out, rank], head by head: from the halves that Hugging Face rotates to llama.cpp's pairs."""
    out, rank = rows.shape
    return rows.reshape(heads, 2, out // heads // 2, rank).swapaxes(1, 2).reshape(out, rank)


def _write(out: Path, base: _Shape, alpha: float, pairs: Mapping[str, tuple[Weights, Weights]]) -> None:
    import gguf

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=out.parent) as folder:
        made = Path(folder) / out.name
        writer = gguf.GGUFWriter(made, base.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, alpha)
        for name, (a, b) in pairs.items():
            writer.add_tensor(f"{name}.lora_a", _stored(a))
            writer.add_tensor(f"{name}.lora_b", _stored(b))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        made.replace(out)


def _stored(weights: Weights) -> NDArray[np.float16]:
    return np.ascontiguousarray(weights, dtype=np.float16)
