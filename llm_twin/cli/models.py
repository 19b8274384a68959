"""`llm-twin models ...`: the registry."""

from __future__ import annotations

from typing import Any

import typer

from llm_twin.cli import exchange, lineage, show
from llm_twin.cli.options import Json, ModelVersion, Set, Tainted, Workspace, space

models = typer.Typer(help="Versions, the live pair, and where each came from.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    exchange.register(models)
    app.add_typer(models, name="models")


@models.command("list")
def list_models(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """All versions with their scores on held-out posts."""
    opened = space(workspace, overrides)
    rows: list[dict[str, Any]] = []
    tainted, manifests = opened.registry.tainted(), opened.registry.manifests()
    for entry in opened.registry.entries():
        manifest = manifests.get(entry.version)
        scores = manifest.scores if manifest else {}
        rows.append(
            {
                "version": entry.version,
                "features": entry.features,
                "aliases": list(entry.aliases),
                "scores": {split: {n: s["value"] for n, s in by.items()} for split, by in scores.items()},
                "tainted": entry.version in tainted,
                "damaged": manifest is None,
                "created_at": (manifest or entry).created_at,
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
            *("" if row["damaged"] else f"{row['scores']['test'][name]:.3f}" for name in ("base", "adapter")),
            row["content_id"][:12],
            ", ".join([*row["aliases"], *(state for state in ("tainted", "damaged") if row[state])]),
        )
        for row in rows
    ]
    headings = ("version", "features", "trained", "base bits/byte", "version bits/byte", "content id", "")
    show.table(headings, cells)


@models.command("show")
def show_model(
    version: ModelVersion = "live", workspace: Workspace = None, overrides: Set = None, as_json: Json = False
) -> None:
    """The manifest of a version: what it was made from, how, and what it scored."""
    from llm_twin import compose

    opened = space(workspace, overrides)
    model = opened.registry.get(version)
    features = f"{compose.trace_features(opened, model.manifest)} ({model.manifest.features.id[:12]})"
    titles = compose.titles_of(opened, model.manifest)
    tainted = opened.registry.tainted().get(model.name, ())
    show.result(
        model.manifest.model_dump(mode="json") | {"tainted": tainted},
        as_json,
        *lineage.model(model.manifest, model.folder, features, titles),
        *([f"tainted: {compose.why_tainted(tainted)} ({', '.join(tainted)})"] if tainted else ()),
    )


@models.command()
def promote(
    version: ModelVersion = "candidate",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Make a version live, with the features it was trained on; exit 3 where the gate refuses."""
    from llm_twin import compose

    pair, verdict = compose.promote(space(workspace, overrides), version)
    value = {"model": pair.model, "features": pair.features, "gate": verdict.reason}
    show.result(value, as_json, f"Live: {pair.model} with {pair.features}. {verdict.reason}")


@models.command()
def rollback(
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Restore the live pair before the present one; running servers follow at their next request."""
    from llm_twin import compose

    opened = space(workspace, overrides)
    with show.progress() as progress:
        pair = compose.rollback(opened, allow_tainted, progress)
    show.result(
        {"model": pair.model, "features": pair.features}, as_json, f"Live: {pair.model} with {pair.features}."
    )
