"""`llm-twin forget`: a post out of everything, and what learnt from it named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from llm_twin.cli import show
from llm_twin.cli.options import Json, Set, Workspace, space

if TYPE_CHECKING:
    from llm_twin.compose import ForgetReport


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(forget)


def forget(
    post: Annotated[str, typer.Argument(metavar="POST", help="Its id (or the start of it) or its url.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; nothing brings it back.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Then train a version that never saw it.")
    ] = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Take a post out of library, versions, indexes and caches for good; name the models that learnt it."""
    from dataclasses import asdict

    from llm_twin import compose

    opened = space(workspace, overrides)
    if not (yes or dry_run):
        _ask(compose.forget(opened, post, dry_run=True))
    with show.progress() as progress:
        report = compose.forget(opened, post, progress, dry_run, retrain and not dry_run)
    new = report.retrained
    value = asdict(report) | {"retrained": {"version": new.version, "live": new.live} if new else None}
    tainted = report.live is not None and report.live.model in report.tainted and not (new and new.live)
    back = tainted and compose.leads_back(opened)
    show.result(value | {"live_tainted": tainted}, as_json, *_lines(report, tainted, back))


def _ask(would: ForgetReport) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter(
            "nothing brings a forgotten post back, and there is no terminal to ask on; see --dry-run first",
            param_hint="--yes",
        )
    show.say("\n".join(_lines(would)), file=sys.stderr)
    typer.confirm("Forget it for good?", abort=True, err=True)


def _lines(report: ForgetReport, tainted: bool = False, back: bool = False) -> Iterator[str]:
    """What is told; `tainted` says that of the live model, `back` that a rollback leads to a clean one."""
    would = "would be " if report.dry_run else ""
    if not report.posts:
        yield f"{report.id} was forgotten before; what was left of it {would or 'is '}deleted."
    for identity, title in report.posts.items():
        yield f"{title!r} ({identity}) {would or 'is '}forgotten, never to be collected again."
    if report.versions:
        after = f"; {report.successor} takes their place" if report.successor else ""
        yield f"  features   {', '.join(report.versions)} {would}deleted{after}"
    yield f"  caches     {report.embeddings} vectors and the answers of servers {would}deleted"
    if report.runs:
        yield f"  runs       {report.runs} {would}deleted, checkpoints and all"
    if report.unreached:
        yield f"  server     {report.unreached}"
    for file in report.files:
        yield f"  files      {file} {would}deleted: it holds words of the post"
    for file in report.yours:
        yield f"  yours      {file} holds words of the post; it is your own file and stays"
    for file in report.unread:
        yield f"  unread     {file} cannot be read whole; it may hold words of the post, and stays"
    for identity, title in report.alike.items():
        yield f"  alike      {title!r} says nearly the same and stays; it too: llm-twin forget {identity}"
    for model in report.tainted:
        yield f"  models     {model} {would}tainted: not promoted, and served only with --allow-tainted"
    if report.live and not report.dry_run:
        yield f"  live       {report.live.model} with {report.live.features}"
    if tainted:
        rollback = ", or llm-twin models rollback" if back else ""
        yield f"The live model is tainted: train a clean one (llm-twin train){rollback}."
    if report.retrained:
        state = "live" if report.retrained.live else f"not live: {report.retrained.verdict.reason}"
        yield f"{report.retrained.version} was trained without it; {state}."
