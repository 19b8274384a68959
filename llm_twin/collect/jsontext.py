"""JSON from strangers: reading it never raises, and its strings hold nothing that is no text."""

from __future__ import annotations

import json
from typing import Any

from llm_twin.collect.xmltext import ILLEGAL

_MAX_DIGITS = 18  # a longer number counts nothing that a blog has; int() refuses very long ones


def load(body: bytes) -> Any:
    """What a JSON document holds; None where it is none."""
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        return json.loads(text, strict=False, parse_int=_int)
    except (ValueError, RecursionError):
        return None


def string(value: Any) -> str:
    """A string as text, without control characters and halves of characters; "" for anything else."""
    return ILLEGAL.sub("", value) if isinstance(value, str) else ""


def dicts(value: Any) -> list[dict[str, Any]]:
    """The objects of an array; none for anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _int(digits: str) -> int:
    return int(digits) if len(digits) <= _MAX_DIGITS else 0
