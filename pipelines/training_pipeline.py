#!/usr/bin/env python3
"""The training pipeline alone: feature version -> measured adapter in the registry.

python pipelines/training_pipeline.py --workspace my-twin
accelerate launch pipelines/training_pipeline.py --workspace my-twin      # on all GPUs, or with --cpu

Exit 3 where the gate refuses; `accelerate launch` makes of that, as of any error, a traceback and exit 1.
"""

from pathlib import Path
from typing import Annotated

import typer

from llm_twin import compose
from llm_twin.cli import show
from llm_twin.cli.main import run
from llm_twin.cli.options import Budget, FeatureVersion, Set, Workspace, within
from llm_twin.errors import GateRefused

# What twin.yaml leaves open.
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "training.yaml"


def main(
    features: FeatureVersion = "latest",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    budget: Budget = None,
    config: Annotated[list[Path] | None, typer.Option(help="YAML over the workspace's twin.yaml.")] = None,
    workspace: Workspace = None,
    overrides: Set = None,
) -> None:
    """Train on a feature version, measure, register, and go live if the gate agrees."""
    from accelerate import PartialState

    space = compose.open_workspace(workspace, within(budget, overrides), config or (), [CONFIG])
    with show.progress() as progress:
        report = compose.train(space, progress, features, resume)
    test = report.evaluation.bits_per_byte
    base, adapter = test["base"].value, test["adapter"].value
    if not PartialState().is_main_process:  # of several the first alone speaks
        return
    print(f"{report.version}: {base:.3f} -> {adapter:.3f} bits per byte on test posts")
    print(f"{'live' if report.live else 'not live'}: {report.verdict.reason}")
    if not report.live:
        raise typer.Exit(GateRefused.exit_code)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(main)
    raise SystemExit(run(app))
