"""The feature store: the sealed versions of a workspace, listed, found by name and compared."""

from __future__ import annotations

import re
from pathlib import Path

from llm_twin.contracts.manifests import FEATURE_NAME, MANIFEST, FeatureManifest, read_manifest
from llm_twin.errors import VersionNotFound

LATEST = "latest"
_NUMBER = re.compile(r"F(\d{4,})")


def list_versions(features: Path) -> list[FeatureManifest]:
    """The manifests of all sealed versions, oldest first; empty where nothing was built yet."""
    folders = [f for f in features.glob("F*") if FEATURE_NAME.fullmatch(f.name) and (f / MANIFEST).is_file()]
    found = [FeatureManifest.model_validate_json(read_manifest(folder)) for folder in folders]
    return sorted(found, key=lambda manifest: int(manifest.version[1:]))


def latest(features: Path) -> FeatureManifest | None:
    """The manifest of the newest version, or None."""
    found = list_versions(features)
    return found[-1] if found else None


def next_name(features: Path) -> str:
    """The name of the next version. A number that was ever used, by a tombstone too, is not given again."""
    numbers = [int(match[1]) for f in features.glob("F*") if (match := _NUMBER.match(f.name))]
    return f"F{max(numbers, default=0) + 1:04d}"


def resolve(features: Path, name: str) -> Path:
    """The folder of a version by its name, or of the newest for "latest".

    Raises VersionNotFound, naming what exists.
    """
    names = [manifest.version for manifest in list_versions(features)]
    if not names:
        raise VersionNotFound(
            f"There is no feature version in {features}", "Build one: llm-twin features build"
        )
    if name == LATEST:
        return features / names[-1]
    if name not in names:
        raise VersionNotFound(f"There is no feature version {name!r}", f"Choose one of: {', '.join(names)}")
    return features / name


def diff(a: FeatureManifest, b: FeatureManifest) -> dict[str, list[str]]:
    """What changed from `a` to `b`: ids of posts that "entered", "left" and "changed" (another revision)."""
    return {
        "entered": [post for post in b.posts if post not in a.posts],
        "left": [post for post in a.posts if post not in b.posts],
        "changed": [post for post, rev in b.posts.items() if post in a.posts and a.posts[post] != rev],
    }
