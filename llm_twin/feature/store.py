"""The feature store: the sealed versions of a workspace, listed, found by name and opened.

features/F0001/           a sealed version
features/F0002.gone.json  the tombstone of one that was deleted
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from llm_twin.contracts.manifests import FEATURE_NAME, MANIFEST, FeatureManifest, Tombstone, read_sealed
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import VersionNotFound, WorkspaceError, WorkspaceLocked
from llm_twin.feature.hold import hold, settled
from llm_twin.workspace import Workspace

LATEST = "latest"
_GONE = ".gone.json"
_NUMBER = re.compile(r"F(\d{4,})")


def sealed(features: Path) -> list[str]:
    """The names of all sealed versions, oldest first; their manifests are not read."""
    folders = [f for f in features.glob("F*") if FEATURE_NAME.fullmatch(f.name) and (f / MANIFEST).is_file()]
    return sorted((folder.name for folder in folders), key=lambda name: int(name[1:]))


def list_versions(features: Path) -> list[FeatureManifest]:
    """The manifests of all sealed versions, oldest first; empty where nothing was built yet.

    Raises IntegrityError where one is not as it was sealed: what its version holds is then not known.
    """
    found = []
    for name in sealed(features):
        with suppress(VersionNotFound):  # collected by another process since we looked
            found.append(read_sealed(FeatureManifest, features / name))
    return found


def tombstone_path(features: Path, version: str) -> Path:
    """Where the tombstone of a version lies, or would."""
    return features / f"{version}{_GONE}"


def tombstones(features: Path) -> list[Tombstone]:
    """Those of all versions that are gone, oldest first."""
    files = sorted(features.glob(f"F*{_GONE}"))
    found = [Tombstone.model_validate_json(path.read_text(encoding="utf-8")) for path in files]
    # One that stands beside its version is of a deletion that was interrupted before it took anything away.
    gone = [stone for stone in found if not (features / stone.version).exists()]
    return sorted(gone, key=lambda stone: int(stone.version[1:]))


def latest(features: Path) -> FeatureManifest | None:
    """The manifest of the newest version, or None. Raises IntegrityError."""
    for name in reversed(sealed(features)):
        with suppress(VersionNotFound):
            return read_sealed(FeatureManifest, features / name)
    return None


def next_name(features: Path) -> str:
    """The name of the next version. A number that was ever used, by a tombstone too, is not given again."""
    numbers = [int(match[1]) for f in features.glob("F*") if (match := _NUMBER.match(f.name))]
    return f"F{max(numbers, default=0) + 1:04d}"


def resolve(features: Path, name: str) -> Path:
    """The folder of a version by its name, or of the newest for "latest".

    Raises VersionNotFound, naming what exists, or saying when and why the version went.
    """
    names = sealed(features)
    if not names:
        raise VersionNotFound(
            f"There is no feature version in {features}", "Build one: llm-twin features build"
        )
    if name == LATEST:
        return features / names[-1]
    if name not in names:
        gone = next((stone for stone in tombstones(features) if stone.version == name), None)
        if gone is not None:
            raise VersionNotFound(
                f"{name} is gone since {gone.gone_at[:10]} ({gone.reason}; content {gone.content_id[:12]})",
                f"Choose one of: {', '.join(names)}",
            )
        raise VersionNotFound(f"There is no feature version {name!r}", f"Choose one of: {', '.join(names)}")
    return features / name


def open_version(workspace: Workspace, name: str) -> FeatureVersion:
    """Open a version by its name or "latest", verified, and hold it for as long as the object lives.

    Raises VersionNotFound, IntegrityError, WorkspaceLocked.
    """
    try:
        with settled(workspace):
            folder = resolve(workspace.features, name)
            held = hold(workspace, folder.name)
    except WorkspaceLocked:
        raise
    except WorkspaceError:
        # A full disk or a folder that may only be read: the version can be read all the same, unheld.
        folder, held = resolve(workspace.features, name), None
    return FeatureVersion.open(folder, held)
