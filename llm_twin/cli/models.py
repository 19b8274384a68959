"""`llm-twin models ...`: the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from llm_twin.cli import show
from llm_twin.cli.options import Json, Set, Workspace, space

models = typer.Typer(help="Versions, the live pair, and where each came from.", no_args_is_help=True)
Version = Annotated[str, typer.Argument(metavar="VERSION", help="v3, live or candidate.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(models, name="models")


@models.command("list")
def list_models(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """All versions with their scores on held-out posts."""
    opened = space(workspace, overrides)
    rows: list[dict[str, Any]] = []
    for entry in opened.registry.entries():
        manifest = opened.registry.get(entry.version).manifest
        rows.append(
            {
                "version": entry.version,
                "features": entry.features,
                "aliases": list(entry.aliases),
                "scores": {
                    split: {n: s["value"] for n, s in by.items()} for split, by in manifest.scores.items()
                },
                "tainted": False,
                "created_at": entry.created_at,
                "content_id": entry.content_id,
            }
        )
    live = opened.registry.live()
    if as_json:
        pair = {"model": live.model, "features": live.features} if live else None
        show.result({"models": rows, "live": pair}, True)
        return
    cells = [
        (
            row["version"],
            row["features"],
            row["created_at"][:16],
            *(f"{row['scores']['test'][name]:.3f}" for name in ("base", "adapter")),
            row["content_id"][:12],
            ", ".join(row["aliases"]),
        )
        for row in rows
    ]
    headings = ("version", "features", "trained", "base bits/byte", "version bits/byte", "content id", "")
    show.table(headings, cells)


@models.command("show")
def show_model(
    version: Version = "live", workspace: Workspace = None, overrides: Set = None, as_json: Json = False
) -> None:
    """The manifest of a version: what it was made from, how, and what it scored."""
    model = space(workspace, overrides).registry.get(version)
    manifest = model.manifest
    scores = [
        f"  {split:10} {name:8} {score['value']:.4f} bits per byte "
        f"({score['low']:.4f} to {score['high']:.4f})"
        for split, by_name in manifest.scores.items()
        for name, score in by_name.items()
    ]
    show.result(
        manifest.model_dump(mode="json"),
        as_json,
        f"{manifest.version}  {manifest.content_id}",
        f"base {manifest.base.name} ({manifest.base.id[:12]}), parent {manifest.parent or 'none'}",
        f"features {manifest.features.name} ({manifest.features.id[:12]}), "
        f"{len(manifest.posts)} posts trained on",
        f"{manifest.tokens} tokens in {manifest.seconds:.0f} s; {manifest.parameters}",
        *scores,
        f"files in {model.folder}",
    )


@models.command()
def promote(
    version: Version = "candidate", workspace: Workspace = None, overrides: Set = None, as_json: Json = False
) -> None:
    """Make a version live, with the features it was trained on; exit 3 where the gate refuses."""
    from llm_twin import compose

    pair, verdict = compose.promote(space(workspace, overrides), version)
    value = {"model": pair.model, "features": pair.features, "gate": verdict.reason}
    show.result(value, as_json, f"Live: {pair.model} with {pair.features}. {verdict.reason}")


@models.command()
def rollback(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """Restore the live pair before the present one; running servers follow at their next request."""
    from llm_twin import compose

    pair = compose.rollback(space(workspace, overrides))
    show.result(
        {"model": pair.model, "features": pair.features}, as_json, f"Live: {pair.model} with {pair.features}."
    )


@models.command()
def export(
    version: Version,
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that does not exist yet.")],
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Copy a version as a plain PEFT folder, which PeftModel.from_pretrained loads as it is."""
    import shutil

    from llm_twin.errors import WorkspaceError
    from llm_twin.workspace import atomic_folder

    if out.exists():
        raise WorkspaceError(f"{out} exists already", "Name a folder that does not")
    model = space(workspace, overrides).registry.get(version)
    with atomic_folder(out) as building:
        for path in model.folder.iterdir():
            shutil.copyfile(path, building / path.name)
    show.result({"version": model.name, "folder": str(out)}, as_json, f"{model.name} copied to {out}.")
