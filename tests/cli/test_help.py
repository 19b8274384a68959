"""The help of every command says all that was written for it."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner

from llm_twin.cli.app import app


def written(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each command's words, with each help text that was written for it, its options and its arguments."""
    for text in (command.help, *(getattr(param, "help", None) for param in command.params)):
        if text:
            yield path, text
    for name, inner in getattr(command, "commands", {}).items():
        yield from written(inner, *path, name)


def shown(path: tuple[str, ...]) -> str:
    return " ".join(CliRunner().invoke(app, [*path, "--help"]).output.replace("│", " ").split())


def test_no_part_of_a_help_is_taken_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    texts = list(written(typer.main.get_command(app)))
    pages = {path: shown(path) for path, _ in texts}
    assert len(pages) > 30
    assert [(path, text) for path, text in texts if " ".join(text.split()) not in pages[path]] == []
    assert "$LLM_TWIN_WORKSPACE" in pages["search",]
