"""The exception tree is the one that its docstring draws, and every error is one line."""

from __future__ import annotations

import re

from llm_twin import errors


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^([ │├└─]*)(\w+)", errors.__doc__ or "", flags=re.M)
    found: list[tuple[int, str]] = [(len(lead), name) for lead, name in drawn if hasattr(errors, name)]
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for depth, name in found:
        while stack and stack[-1][0] >= depth:
            stack.pop()
        if stack:
            parents[name] = stack[-1][1]
        stack.append((depth, name))
    real = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.TwinError) and kind is not errors.TwinError
    }
    assert parents == real


def test_an_error_is_one_line_with_its_fix() -> None:
    assert str(errors.TwinError("There is no x", "Make one")) == "There is no x. Make one."
    assert str(errors.TwinError("There is no x")) == "There is no x."


def test_exit_codes() -> None:
    assert errors.TwinError.exit_code == 1
    assert errors.GateRefused.exit_code == 3
