#!/usr/bin/env python3
"""The inference pipeline alone: a file of questions and the live pair -> a file of answers. Resumable.

python pipelines/inference_pipeline.py --workspace my-twin questions.jsonl answers.jsonl
"""

from pathlib import Path
from typing import Annotated

import typer

from llm_twin import compose
from llm_twin.api import Twin
from llm_twin.cli import show
from llm_twin.cli.main import run
from llm_twin.cli.options import FeatureVersion, Model, Set, Workspace

# What twin.yaml leaves open.
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "inference.yaml"


def main(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help='Lines such as {"ask": "..."}.')],
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl")],
    model: Model = "live",
    features: FeatureVersion = "live",
    config: Annotated[list[Path] | None, typer.Option(help="YAML over the workspace's twin.yaml.")] = None,
    workspace: Workspace = None,
    overrides: Set = None,
) -> None:
    """Answer every line of a file."""
    space = compose.open_workspace(workspace, overrides or (), config or (), [CONFIG])
    with Twin(space, model, features) as twin, show.progress() as progress:
        report = twin.batch(source, out, progress)
    print(f"{report.done} answered, {report.skipped} were there already, {report.failed} failed")
    raise typer.Exit(1 if report.failed else 0)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    raise SystemExit(run(app))
