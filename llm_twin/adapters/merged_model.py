"""A base model with an adapter's change added to its weights: one model, for programs that know no LoRA."""

from __future__ import annotations

import shutil
from pathlib import Path

from llm_twin.adapters.base_model import BaseModel, load_model

# What a base has beside its weights, which may lie there in several formats: tokenizer, settings, licence.
_BESIDE = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".md", "")
_INDEX = ".index.json"  # of weights in several files


def write_merged(base: BaseModel, adapter: Path, out: Path) -> None:
    """Write base and adapter as one model in Hugging Face format into a folder, as float32 safetensors.

    The tokenizer's files are the base's own, byte for byte, so that both see the same tokens. Raises
    MismatchError where the adapter does not fit the base.
    """
    load_model(base, adapter=adapter).merge_and_unload().save_pretrained(out)
    for path in base.folder.iterdir():
        beside = path.suffix in _BESIDE and not path.name.endswith(_INDEX)
        if path.is_file() and beside and not (out / path.name).exists():
            shutil.copyfile(path, out / path.name)
