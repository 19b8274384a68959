#!/usr/bin/env python3
"""The feature pipeline alone: sources -> library -> sealed feature version.

python pipelines/feature_pipeline.py --workspace my-twin https://your.blog
python pipelines/feature_pipeline.py --workspace my-twin            # rebuild from what is collected
"""

from pathlib import Path
from typing import Annotated

import typer

from llm_twin import compose
from llm_twin.cli import show
from llm_twin.cli.main import run
from llm_twin.cli.options import Set, Workspace

# What twin.yaml leaves open.
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "feature.yaml"


def main(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE...]")] = None,
    config: Annotated[list[Path] | None, typer.Option(help="YAML over the workspace's twin.yaml.")] = None,
    workspace: Workspace = None,
    overrides: Set = None,
) -> None:
    """Collect from the sources, if any, and build a feature version."""
    space = compose.open_workspace(workspace, overrides or (), config or (), [CONFIG])
    with show.progress() as progress:
        if sources:
            compose.collect(space, sources, progress)
        report = compose.build_features(space, progress)
    print(f"{report.version}: {report.posts} posts, {report.chunks} chunks, {report.samples} samples")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    raise SystemExit(run(app))
