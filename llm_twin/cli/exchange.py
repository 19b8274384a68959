"""`llm-twin models diff|export|import|push|gc`: versions compared, handed out, taken in, collected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llm_twin.cli import describe, lineage, show
from llm_twin.cli.options import MOST_DAYS, Json, ModelVersion, Set, Workspace, space


def register(models: typer.Typer) -> None:
    """Add the commands of this module."""
    models.command()(diff)
    models.command()(export)
    models.command("import")(import_version)
    models.command()(push)
    models.command()(gc)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="v3, live or candidate.")],
    new: Annotated[str, typer.Argument(metavar="NEW")],
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """What differs between two versions: settings, features, packages, posts, scores."""
    from dataclasses import asdict

    from llm_twin import compose

    opened = space(workspace, overrides)
    found = compose.diff_models(opened, old, new)
    titles: dict[str, str] = {}
    for name in (old, new) if found.entered or found.left else ():
        titles |= compose.titles_of(opened, opened.registry.manifest(name))
    show.result(asdict(found), as_json, *lineage.difference(found, titles))


def export(
    version: ModelVersion,
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="A folder, or a .zip, that does not exist yet.")
    ],
    merged: Annotated[
        bool, typer.Option("--merged", help="The base with the adapter merged into it, and its tokenizer.")
    ] = False,
    gguf: Annotated[
        bool, typer.Option("--gguf", help="Only the adapter, as the GGUF file that llama.cpp loads.")
    ] = False,
    allow_tainted: Annotated[
        bool,
        typer.Option(
            "--allow-tainted",
            help="Copy a version that learnt from a forgotten post too; the copy's card says so.",
        ),
    ] = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Copy a version as a plain PEFT folder, which PeftModel.from_pretrained and vLLM load as it is."""
    from llm_twin import compose

    if merged and gguf:
        raise typer.BadParameter("give --merged or --gguf, not both", param_hint="--gguf")
    write = compose.export_merged if merged else compose.export_gguf if gguf else compose.export_model
    model = write(space(workspace, overrides), version, target, allow_tainted)
    what = f"{model.name}, merged into {model.manifest.base.name}," if merged else model.name
    show.result({"version": model.name, "target": str(target)}, as_json, f"{what} copied to {target}.")


def import_version(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="A folder or a .zip that export wrote.")],
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Register an exported version, verified, under the next number; it becomes the candidate."""
    from llm_twin import compose

    manifest = compose.import_model(space(workspace, overrides), source).manifest
    value = {"version": manifest.version, "content_id": manifest.content_id}
    show.result(
        value,
        as_json,
        f"{manifest.version}: an adapter for {manifest.base.name}, trained on {len(manifest.posts)} posts. "
        f"Try it: llm-twin ask --model {manifest.version}",
    )


def push(
    version: ModelVersion,
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="hub:USER/NAME, or mlflow:URI (sqlite:///mlflow.db, http://…)."
        ),
    ],
    public: Annotated[bool, typer.Option("--public", help="A new repository on the Hub is public.")] = False,
    called: Annotated[str, typer.Option("--name", help="Of the registered model in MLflow.")] = "llm-twin",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Hand a version to the Hugging Face Hub (private unless --public), or to MLflow with its aliases."""
    from llm_twin import compose

    model, where = compose.push_model(space(workspace, overrides), version, target, public, called)
    show.result({"version": model.name, "address": where}, as_json, f"{model.name} is at {where}.")


def gc(
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_DAYS,
            metavar="DAYS",
            help="Days since a version was registered (default: 14).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Delete old versions that are not live, candidate, or where a rollback leads."""
    from dataclasses import asdict

    from llm_twin import compose

    found = compose.collect_old_models(space(workspace, overrides), older_than, dry_run)
    show.result(asdict(found) | {"dry_run": dry_run}, as_json, *describe.collected(found, dry_run))
