"""Collection of old feature versions: those that nothing needs go, and each leaves a tombstone.

A version stays while it is the newest, while the registry wants it (it is live, a rollback leads to it, or
a model was trained on it), while a reader has it open, and until `grace_days` after the version that followed
it was built: so long, going back to it takes a second. A number is never given twice, and the tombstone says
what it was.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path

from llm_twin.contracts.manifests import FeatureManifest, Tombstone
from llm_twin.contracts.ports import VectorStore
from llm_twin.errors import WorkspaceError
from llm_twin.feature.hold import holders, settled
from llm_twin.feature.index import sweep_indexes
from llm_twin.feature.store import list_versions, tombstone_path
from llm_twin.workspace import Workspace, atomic_write, sweep


@dataclass(frozen=True, slots=True)
class Collected:
    """What went, or would go; why each other version stays; and the size of what went."""

    gone: tuple[str, ...]
    kept: dict[str, str]
    freed_mb: float


def run(
    workspace: Workspace,
    store: VectorStore,
    wanted: Mapping[str, str],
    grace_days: float | None,
    dry_run: bool = False,
) -> Collected:
    """Collect what nothing needs; `wanted` names versions that must stay, each with the reason.

    Where `grace_days` is None every version stays.

    Interrupted or killed, it leaves no version half deleted, and the next run ends what it began. Raises
    WorkspaceLocked while a version is being built.
    """
    with workspace.lock("features"):
        versions = list_versions(workspace.features)
        grace = None if grace_days is None else timedelta(days=grace_days)
        kept = dict(_needed(versions, wanted, grace))
        gone, freed = [], 0.0
        for manifest in (m for m in versions if m.version not in kept):
            size = _size_mb(workspace.features / manifest.version)
            readers = _take(workspace, manifest, dry_run)
            if readers:
                kept[manifest.version] = f"open in process {', '.join(map(str, readers))}"
            else:
                gone.append(manifest.version)
                freed += size
        if not dry_run:
            _clear(workspace, store)
    order = {m.version: kept[m.version] for m in versions if m.version in kept}
    return Collected(tuple(gone), order, round(freed, 1))


def remove(
    workspace: Workspace, store: VectorStore, manifests: Sequence[FeatureManifest], reason: str
) -> None:
    """Delete versions at once, whoever reads them, each leaving a tombstone with this reason.

    What a killed run left of others goes too, and where none is named, that alone. Raises WorkspaceLocked
    while a version is being built, WorkspaceError where something cannot be deleted.
    """
    with workspace.lock("features"):
        there = {manifest.version for manifest in list_versions(workspace.features)}
        with settled(workspace):
            for manifest in manifests:
                if manifest.version in there:
                    _bury(workspace.features, manifest, reason)
        _clear(workspace, store)
        for folder in (workspace.features, workspace.index):
            for left in folder.glob(".building-*"):
                raise WorkspaceError(f"{left} cannot be deleted", "Check its permissions and run again")


def _needed(
    versions: Sequence[FeatureManifest], wanted: Mapping[str, str], grace: timedelta | None
) -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    for manifest, successor in zip_longest(versions, versions[1:]):
        if manifest.version in wanted:
            yield manifest.version, wanted[manifest.version]
        elif successor is None:
            yield manifest.version, "the newest"
        elif grace is None:
            yield manifest.version, "features.grace_days is null; --older-than DAYS collects all the same"
        elif now < (until := datetime.fromisoformat(successor.created_at) + grace):
            yield manifest.version, f"kept until {until:%Y-%m-%d}"


def _take(workspace: Workspace, manifest: FeatureManifest, dry_run: bool) -> list[int]:
    """Bury a version unless a reader holds it; the readers' processes."""
    with settled(workspace):
        readers = holders(workspace, manifest.version)
        if not readers and not dry_run:
            _bury(workspace.features, manifest, "collected")
        return readers


def _bury(features: Path, manifest: FeatureManifest, reason: str) -> None:
    """The tombstone first, for a killed process must not lose the number; then out of sight in one step."""
    stone = Tombstone(
        version=manifest.version,
        content_id=manifest.content_id,
        created_at=manifest.created_at,
        parent=manifest.parent,
        gone_at=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason,
    )
    atomic_write(tombstone_path(features, manifest.version), stone.model_dump_json(indent=1) + "\n")
    going = Path(tempfile.mkdtemp(prefix=".building-", dir=features))  # swept if this process is killed
    (features / manifest.version).rename(going / manifest.version)


def _clear(workspace: Workspace, store: VectorStore) -> None:
    """Delete what is out of sight, and the indexes of all that is gone: those too that a killed run left."""
    sweep(workspace.features)
    sweep_indexes(workspace, store)


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6
