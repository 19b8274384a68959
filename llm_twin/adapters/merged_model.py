"""A base model with an adapter's change added to its weights: one model, for programs that know no LoRA."""

from __future__ import annotations

import shutil
from pathlib import Path

from llm_twin.adapters.base_model import BaseModel, load_model

_INDEX = ".safetensors.index.json"


def write_merged(base: BaseModel, adapter: Path, out: Path) -> None:
    """Write base and adapter as one model in Hugging Face format into a folder, as float32 safetensors.

    The tokenizer's files are the base's own, byte for byte, so that both see the same tokens. Raises
    MismatchError where the adapter does not fit the base.
    """
    load_model(base, adapter=adapter).merge_and_unload().save_pretrained(out)
    for path in base.folder.iterdir():
        weights = path.suffix == ".safetensors" or path.name.endswith(_INDEX)
        if path.is_file() and not weights and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)
