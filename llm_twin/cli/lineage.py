"""Model versions in words: what one was made from, and what changed between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from llm_twin.contracts.manifests import ModelManifest
    from llm_twin.registry.diff import Diff, Score

_SHOWN = 50  # posts of one kind; --json has all


def model(manifest: ModelManifest, folder: Path, features: str, titles: Mapping[str, str]) -> Iterator[str]:
    """The lines of `models show`; `titles` names posts by id."""
    yield f"{manifest.version}  {manifest.content_id}"
    yield f"trained     {manifest.created_at}, parent {manifest.parent or 'none'}"
    yield f"program     {f'commit {manifest.commit}' if manifest.commit else 'no checkout'}; " + ", ".join(
        f"{name} {number}" for name, number in manifest.packages.items()
    )
    yield f"base        {manifest.base.name} ({manifest.base.id[:12]})"
    yield f"features    {features}"
    yield f"prompt      {manifest.prompt.version} as {manifest.prompt.author!r}"
    yield f"parameters  {', '.join(f'{k} {v}' for k, v in manifest.parameters.items())}"
    yield f"tokens      {manifest.tokens} in {manifest.seconds:.0f} s"
    for split, by_name in manifest.scores.items():
        posts = manifest.scored_on.get(split)
        yield f"{split:12}bits per byte{f' on posts {posts[:12]}' if posts else ''}"
        for name, score in by_name.items():
            yield f"  {name:10}{score['value']:.4f} ({score['low']:.4f} to {score['high']:.4f})"
    yield f"posts       {len(manifest.posts)} trained on"
    yield from _posts("", manifest.posts, titles)
    yield f"files in {folder}"


def difference(found: Diff, titles: Mapping[str, str]) -> Iterator[str]:
    """The lines of `models diff`."""
    yield f"{found.old} to {found.new}"
    if found.same:
        yield "The same content."
        return
    for name, (before, after) in found.settings.items():
        yield f"{name:18}{_value(before)} to {_value(after)}"
    for name, (before, after) in found.packages.items():
        yield f"{name:18}{_value(before)} to {_value(after)}"
    yield f"posts             {len(found.entered)} entered, {len(found.left)} left"
    yield from _posts("entered", found.entered, titles)
    yield from _posts("left", found.left, titles)
    for score in found.scores:
        yield f"{score.split:12}{score.system:10}{_number(score.old)} to {_number(score.new)}{_of(score)}"


def _posts(what: str, ids: Sequence[str], titles: Mapping[str, str]) -> Iterator[str]:
    lead = f"  {what:10}" if what else "  "
    for post in ids[:_SHOWN]:
        yield f"{lead}{post}  {titles.get(post, '')}".rstrip()
    if len(ids) > _SHOWN:
        yield f"{lead}and {len(ids) - _SHOWN} more (all with --json)"


def _of(score: Score) -> str:
    return {True: "", False: "  (of other posts)", None: "  (of which posts, one does not say)"}[
        score.comparable
    ]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _value(value: Any) -> str:
    return "none" if value is None else str(value)
