"""What differs between two model versions: settings, parts, posts, packages, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from llm_twin.contracts.manifests import ModelManifest, PartId


@dataclass(frozen=True, slots=True)
class Score:
    """Bits per byte of one system on one split, in the old and in the new version.

    `comparable` says that both were measured on the same posts; None where a version does not record them.
    """

    split: str
    system: str
    old: float | None
    new: float | None
    comparable: bool | None


@dataclass(frozen=True, slots=True)
class Diff:
    """From `old` to `new`.

    Attributes:
        same: whether both are the same content.
        settings: what differs of parameters, base, features, prompt, tokens, commit: (old value, new value).
        packages: those that differ: (old version, new version).
        entered, left: ids of the posts that only the new, only the old one was trained on.
        scores: of every split and system that either of them was measured on.
    """

    old: str
    new: str
    same: bool
    settings: dict[str, tuple[Any, Any]]
    packages: dict[str, tuple[str | None, str | None]]
    entered: tuple[str, ...]
    left: tuple[str, ...]
    scores: tuple[Score, ...]


def diff(old: ModelManifest, new: ModelManifest) -> Diff:
    """Compare two versions by what their manifests say."""
    before, after = set(old.posts), set(new.posts)
    return Diff(
        old=old.version,
        new=new.version,
        same=old.content_id == new.content_id,
        settings=_differing(_settings(old), _settings(new)),
        packages=_differing(old.packages, new.packages),
        entered=tuple(p for p in new.posts if p not in before),
        left=tuple(p for p in old.posts if p not in after),
        scores=tuple(_scores(old, new)),
    )


def _settings(manifest: ModelManifest) -> dict[str, Any]:
    return {
        **manifest.parameters,
        "base": _named(manifest.base),
        "features": _named(manifest.features),
        "prompt": manifest.prompt.version,
        "author": manifest.prompt.author,
        "tokens": manifest.tokens,
        "commit": manifest.commit,
    }


def _named(part: PartId) -> str:
    return f"{part.name} ({part.id[:12]})"


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [*new, *(name for name in old if name not in new)]
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


def _scores(old: ModelManifest, new: ModelManifest) -> Iterator[Score]:
    for split in dict.fromkeys([*old.scores, *new.scores]):
        before, after = old.scores.get(split, {}), new.scores.get(split, {})
        sets = old.scored_on.get(split), new.scored_on.get(split)
        comparable = None if None in sets else sets[0] == sets[1]
        for system in dict.fromkeys([*before, *after]):
            values = [found[system]["value"] if system in found else None for found in (before, after)]
            yield Score(split, system, values[0], values[1], comparable)
