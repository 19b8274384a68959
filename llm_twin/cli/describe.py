"""Feature versions in words: what one holds, what changed between two; of both kinds, why old ones stay."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_twin.contracts.manifests import FeatureManifest
    from llm_twin.feature import FeatureReport
    from llm_twin.feature.diff import Changes, Diff
    from llm_twin.feature.gc import Collected as OldFeatures
    from llm_twin.registry.gc import Collected as OldModels

_ID, _FIGURE = re.compile(r"\b[0-9a-f]{12}\b"), re.compile(r"\b\d+(?:\.\d+)?\b")
_WIDTH = 60  # characters of a note
_SHOWN = 50  # ids of one kind of change; --json has all


def version(manifest: FeatureManifest, models: list[str]) -> Iterator[str]:
    """The lines of `features show`."""
    counts = manifest.counts
    yield f"{manifest.version}  {manifest.content_id}"
    yield f"built       {manifest.created_at}, parent {manifest.parent or 'none'}"
    yield f"posts       {counts['posts']}: {_counts({k: len(v) for k, v in manifest.splits.items()})}"
    if manifest.statistics:
        yield from _statistics(manifest.statistics)
    yield f"chunks      {counts['chunks']}{_spread(manifest.statistics, 'chunk_tokens', 'tokens')}"
    tasks = {k: v for k, v in counts.items() if k not in ("posts", "chunks", "samples")}
    yield f"samples     {counts['samples']}: {_counts(tasks)}"
    for split, found in manifest.statistics.get("samples", {}).items():
        if found:
            yield f"  {split:12}{_counts(found)}"
    yield f"embedder    {manifest.embedder.name} ({manifest.embedder.id})"
    yield f"prompt      {manifest.prompt.version} as {manifest.prompt.author!r}"
    yield f"parameters  {', '.join(f'{k} {_value(v)}' for k, v in manifest.parameters.items())}"
    yield f"trained on  {', '.join(models) or 'no model'}"


def _statistics(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"text        {found['words']:,} words, {found['characters']:,} characters, "
        f"{found['prose_share']:.0%} prose{_spread(found, 'post_words', 'words a post')}"
    )
    if found["first"]:
        undated = f", {found['undated']} undated" if found["undated"] else ""
        yield f"written     {found['first']} to {found['last']}{undated}"
    for name in ("years", "kinds", "languages", "sources"):
        yield f"  {name:12}{_counts(found[name])}"


def left_out(report: FeatureReport) -> list[tuple[str, int, str]]:
    """The rows (what, how many posts, examples) of what a build left out, the most frequent reason first."""
    by_reason: dict[str, list[str]] = {}
    for post, reason in report.dropped:
        kind = _FIGURE.sub("..", _ID.sub("another", reason))
        by_reason.setdefault(kind, []).append(f"{post} ({reason})")
    rows = [
        (f"post: {reason}", len(found), ", ".join(found[:2]))
        for reason, found in sorted(by_reason.items(), key=lambda item: -len(item[1]))
    ]
    for removed in report.boilerplate:
        text = " ".join(removed.text.split())
        shown = text if len(text) <= _WIDTH else f"{text[:_WIDTH]} ..."
        rows.append((f"note in posts: {shown}", len(removed.posts), removed.posts[0]))
    if report.quoting:
        rows.append(("quotations: found and cited, never learnt", report.quoting, ""))
    for group in report.alike:
        rows.append(("alike: kept, in one split", len(group), ", ".join(group[:2])))
    return rows


def difference(found: Diff, titles: Mapping[str, str]) -> Iterator[str]:
    """The lines of `features diff`."""
    yield f"{found.old} to {found.new}"
    if not found:
        yield "The same content."
        return
    yield f"posts       {_changes(found.posts)}"
    for what in ("entered", "left", "changed"):
        ids = getattr(found.posts, what)
        for post in ids[:_SHOWN]:
            yield f"  {what:10}{post}  {titles[post]}"
        if len(ids) > _SHOWN:
            yield f"  {what:10}and {len(ids) - _SHOWN} more (all with --json)"
    for post, old, new in found.moved[:_SHOWN]:
        yield f"  {'moved':10}{post}  {titles[post]} ({old} to {new})"
    if len(found.moved) > _SHOWN:
        yield f"  {'moved':10}and {len(found.moved) - _SHOWN} more (all with --json)"
    for task, changes in found.samples.items():
        yield f"{task + ' samples':18}{_changes(changes)}"
    for name, (before, after) in found.settings.items():
        yield f"{name:18}{_value(before)} to {_value(after)}"


def collected(found: OldFeatures | OldModels, dry_run: bool) -> Iterator[str]:
    """The lines of `features gc` and `models gc`."""
    for name, why in found.kept.items():
        yield f"  {name}  stays: {why}"
    for name in found.gone:
        yield f"  {name}  {'would go' if dry_run else 'is gone'}"
    if found.gone:
        yield f"{found.freed_mb} MB {'would be freed' if dry_run else 'freed'}."
    else:
        yield "Nothing to collect."


def _changes(changes: Changes) -> str:
    sizes = len(changes.entered), len(changes.left), len(changes.changed)
    return "{} entered, {} left, {} changed".format(*sizes)


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in found.items()) or "none"


def _spread(found: Mapping[str, Any], name: str, unit: str) -> str:
    if name not in found:
        return ""
    return f", {found[name][0]} to {found[name][2]} {unit}, median {found[name][1]}"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return "+".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
