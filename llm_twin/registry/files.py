"""Which files a version may hold: plain names, and formats that cannot carry code.

A pickle (`adapter_model.bin`, `.pt`) runs what it holds when it is read, so none is ever taken in. See
https://github.com/huggingface/safetensors for the format that takes its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG
from llm_twin.errors import IntegrityError

FORMATS = (".safetensors", ".json", ".md", ".gguf")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
# Settings by which PEFT imports a module that the file names.
_IMPORTS = ("auto_mapping", "megatron_config")
_FIX = "Take only what llm-twin models export wrote"


def check_names(names: Iterable[str], where: Path) -> None:
    """Raises IntegrityError for a name that is a path, or a format that could carry code."""
    for name in names:
        if not _NAME.fullmatch(name) or not name.endswith(FORMATS):
            raise IntegrityError(
                f"{where} holds {name!r}, and a version holds only plain files of {', '.join(FORMATS)}", _FIX
            )


def check_adapter(folder: Path) -> None:
    """Raises IntegrityError where the folder is no LoRA adapter in PEFT format, or one that names code."""
    from safetensors import SafetensorError, safe_open

    config = _read_json(folder / ADAPTER_CONFIG)
    if config.get("peft_type") != "LORA":
        raise IntegrityError(f"{folder} is a {config.get('peft_type')!r} adapter, not LoRA", _FIX)
    for key in _IMPORTS:
        if config.get(key):
            raise IntegrityError(f"{folder / ADAPTER_CONFIG} sets {key}, which names code to run", _FIX)
    try:
        with safe_open(folder / ADAPTER, framework="np") as tensors:
            names = list(tensors.keys())
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise IntegrityError(f"{folder / ADAPTER} is no safetensors file ({reason})", _FIX) from error
    if not names:
        raise IntegrityError(f"{folder / ADAPTER} holds no weights", _FIX)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last for brackets within brackets
        raise IntegrityError(f"{path} cannot be read ({' '.join(str(error).split())})", _FIX) from error
    if not isinstance(found, dict):
        raise IntegrityError(f"{path} holds no settings", _FIX)
    return found
