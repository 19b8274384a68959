"""The options that many commands share, and how they open the workspace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from llm_twin.compose import Twinspace

Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="The workspace (default: $LLM_TWIN_WORKSPACE, else a parent folder)."
    ),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a key of twin.yaml.")
]
MOST_DAYS = 36_500  # a century; a date so far away is still one
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Model = Annotated[str, typer.Option("--model", "-m", help="Model version: v3, live, candidate or base.")]
ModelVersion = Annotated[str, typer.Argument(metavar="VERSION", help="v3, live or candidate.")]
Tainted = Annotated[
    bool, typer.Option("--allow-tainted", help="Serve a version that learnt from a forgotten post too.")
]
FeatureVersion = Annotated[str, typer.Option("--features", help="Feature version: F0007, latest or live.")]


def _minutes(text: str) -> float:
    """Minutes of a duration such as 10m, 90s, 1h or 1h30m."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = 60 * hours + minutes + seconds / 60
    if not total:
        raise typer.BadParameter(f"{text!r} is no duration; give it as 10m, 90s or 1h30m")
    return total


Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        metavar="10m",
        parser=_minutes,
        help="Train as much as fits in this time on this machine; the last measures come after it.",
    ),
]


def within(budget: float | None, overrides: list[str] | None) -> list[str]:
    """The overrides of a run that may take so many minutes."""
    bounds = [] if budget is None else ["training.max_tokens=null", f"training.minutes={budget}"]
    return [*bounds, *(overrides or ())]


def space(workspace: Path | None, overrides: list[str] | None) -> Twinspace:
    """Open the workspace that the options name."""
    from llm_twin import compose

    return compose.open_workspace(workspace, overrides or ())
