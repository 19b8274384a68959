"""Versions made by hand: real LoRA files of a few numbers, and manifests with every field that is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.contracts.manifests import ModelManifest, PartId, PromptId
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG, CARD

SETTINGS = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}


def lora(folder: Path, weight: float, **settings: Any) -> Path:
    """An adapter folder as training leaves it."""
    folder.mkdir(parents=True)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{layer}.lora_A.weight": np.full((2, 8), weight, np.float32),
        f"{layer}.lora_B.weight": np.ones((8, 2), np.float32),
    }
    save_file(tensors, folder / ADAPTER)
    (folder / ADAPTER_CONFIG).write_text(json.dumps(SETTINGS | settings))
    (folder / CARD).write_text("A card.\n")
    return folder


def measured(value: float) -> dict[str, Any]:
    post = PostBits(post_id="p9", bits=8 * value, tokens=4, bytes=8)
    found = BitsPerByte(value=value, low=value, high=value, posts=(post,), dtype="fp32")
    return found.model_dump(mode="json")


def manifest(**changes: object) -> ModelManifest:
    """Unsealed; of base 2.0 and adapter 1.5 bits per byte."""
    scores = {"base": measured(2.0), "adapter": measured(1.5)}
    fields = {
        "version": "",
        "content_id": "",
        "created_at": "2026-01-02T03:04:05+00:00",
        "parent": None,
        "parameters": {"rank": 16, "seed": 0},
        "prompt": PromptId(version="1", author="Ada"),
        "files": {},
        "base": PartId(name="tiny", id="b" * 64),
        "features": PartId(name="F0001", id="f" * 64),
        "posts": ("p1", "p2"),
        "tokens": 10,
        "seconds": 1.0,
        "packages": {"torch": "2.13.0"},
        "scores": {"validation": scores, "test": scores},
    }
    return ModelManifest.model_validate(fields | changes)
