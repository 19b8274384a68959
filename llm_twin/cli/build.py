"""`llm-twin features ...`, `train` and `eval`: from posts to a measured version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llm_twin.cli import describe, show
from llm_twin.cli.options import MOST_DAYS, Budget, FeatureVersion, Json, Set, Workspace, space, within

if TYPE_CHECKING:
    from llm_twin.compose import PreferenceReport

features = typer.Typer(
    help="The feature store: sealed versions of posts, chunks, vectors, samples.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(features, name="features")
    app.command()(train)
    app.command("eval")(evaluate)


@features.command()
def build(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """Build a version from the library; nothing changed makes no new one."""
    from dataclasses import asdict

    from llm_twin import compose
    from llm_twin.contracts.private import in_words

    with show.progress() as progress:
        report = compose.build_features(space(workspace, overrides), progress)
    private = (
        f"{in_words(report.private)}{'' if report.masked else ' not'} masked, " if report.private else ""
    )
    show.result(
        asdict(report),
        as_json,
        f"{report.version}{'' if report.created else ' (nothing changed)'}: {report.posts} posts, "
        f"{report.chunks} chunks ({report.embedded} embedded, {report.reused} reused), "
        f"{report.samples} samples, {private}{report.seconds:.1f} s.",
    )
    left_out = [] if as_json else describe.left_out(report)
    if left_out:
        show.table(("left out", "number", "for example"), left_out)


@features.command("list")
def list_versions(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """All versions."""
    from llm_twin import compose

    opened = space(workspace, overrides)
    pair = opened.registry.live()
    live = pair.features if pair else None
    found = compose.list_features(opened)
    if as_json:
        keep = {"version", "content_id", "created_at", "parent", "counts"}
        versions = [m.model_dump(mode="json", include=keep) | {"live": m.version == live} for m in found]
        show.result({"features": versions}, True)
        return
    rows = [
        (
            m.version,
            m.created_at[:16],
            *(m.counts[name] for name in ("posts", "chunks", "samples")),
            m.content_id[:12],
            "live" if m.version == live else "",
        )
        for m in found
    ]
    show.table(("version", "built", "posts", "chunks", "samples", "content id", ""), rows)


@features.command("show")
def show_version(
    version: Annotated[str, typer.Argument(metavar="VERSION")] = "latest",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """The manifest of a version, and the models trained on it."""
    from llm_twin import compose

    opened = space(workspace, overrides)
    manifest = compose.feature_version(opened, version).manifest
    models = compose.models_of(opened, manifest)
    show.result(
        manifest.model_dump(mode="json") | {"models": models}, as_json, *describe.version(manifest, models)
    )


@features.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD")],
    new: Annotated[str, typer.Argument(metavar="NEW")],
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """What entered, left and changed between two versions: posts, samples, settings."""
    from dataclasses import asdict

    from llm_twin import compose

    opened = space(workspace, overrides)
    before, after = compose.feature_version(opened, old), compose.feature_version(opened, new)
    found = compose.diff_features(before, after)
    titles = {i: p.title for version in (before, after) for i, p in version.posts.items()}
    show.result(asdict(found), as_json, *describe.difference(found, titles))


@features.command()
def gc(
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_DAYS,
            metavar="DAYS",
            help="Days since the next version was built (default: as twin.yaml says).",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; delete nothing.")] = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Delete old versions that no model and no reader needs; each build does so too."""
    from dataclasses import asdict

    from llm_twin import compose

    found = compose.collect_old_features(space(workspace, overrides), older_than, dry_run)
    show.result(asdict(found) | {"dry_run": dry_run}, as_json, *describe.collected(found, dry_run))


@features.command()
def doctor(
    features: FeatureVersion = "latest",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Check that the samples are the author's own words and leak nothing; exit 3 where they are not."""
    from llm_twin import compose
    from llm_twin.errors import GateRefused

    version = compose.feature_version(space(workspace, overrides), features)
    problems = compose.check_features(version)
    lines = [] if problems else [f"{version.name}: {len(version.samples)} samples, no problem found."]
    examples = compose.feature_examples(version)
    lines += [f"\n[{s.task}] {s.messages[-1].content}\n--> {s.completion}" for s in examples]
    shown = [sample.model_dump(mode="json") for sample in examples]
    show.result({"version": version.name, "problems": problems, "examples": shown}, as_json, *lines)
    if problems:
        raise GateRefused(f"{version.name}: {'; '.join(problems)}", compose.mend_features(version))


def train(
    features: FeatureVersion = "latest",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of this run.")
    ] = False,
    budget: Budget = None,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Fine-tune a LoRA adapter; live if it beats the base, also when shown posts, and the live one.

    Exit 3 where it does not: it is registered and not live.
    """
    from dataclasses import asdict

    from llm_twin import compose
    from llm_twin.errors import GateRefused

    with show.progress() as progress:
        report = compose.train(space(workspace, within(budget, overrides)), progress, features, resume)
    run, test = report.run, report.evaluation.bits_per_byte
    show.result(
        {
            "version": report.version,
            "features": report.features,
            "tokens": run.tokens,
            "tokens_per_s": run.tokens_per_s,
            "peak_rss_mb": run.peak_rss_mb,
            "bits_per_byte": {name: score.value for name, score in test.items()},
            "validation_bits_per_byte": {name: score.value for name, score in run.bits_per_byte.items()},
            "seconds": run.seconds,
            "preference": asdict(report.preference) if report.preference else None,
            "live": report.live,
            "gate": report.verdict.reason,
        },
        as_json,
        f"{report.version} on {report.features}: {run.tokens} tokens in {run.seconds:.0f} s "
        f"({run.tokens_per_s:.0f} tok/s, {run.peak_rss_mb:.0f} MB).",
        f"Bits per byte on test posts: base {test['base'].value:.3f}, "
        f"{report.version} {test['adapter'].value:.3f} "
        f"({1 - test['adapter'].value / test['base'].value:+.1%} fewer).",
        *_preference(report.preference),
        f"{'Live' if report.live else 'Not live'}: {report.verdict.reason}",
    )
    if not report.live:
        raise typer.Exit(GateRefused.exit_code)


def _preference(step: PreferenceReport | None) -> list[str]:
    if step is None:
        return []
    before, after = (f"{x.auc:.2f} ({x.low:.2f} to {x.high:.2f})" for x in (step.before, step.after))
    return [
        f"A discriminator told its paragraphs from the author's with an AUC of {before}; after it preferred "
        f"the author's to {step.pairs} of its own, {after}: {'kept' if step.kept else 'not kept'}."
    ]


def evaluate(
    version: Annotated[str, typer.Argument(metavar="VERSION")] = "live",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Measure a model version against its base on the held-out test posts."""
    from llm_twin import compose

    with show.progress() as progress:
        report, path = compose.evaluate(space(workspace, overrides), version, progress)
    show.result(report.to_json() | {"report": str(path)}, as_json, report.markdown(), f"Written to {path}.")
