"""Collection of old model versions: those that nothing needs go, and each leaves a tombstone.

A version stays while it is live, while a rollback leads to it, while it is the candidate, and until
`grace_days` after it was registered: so long, a person may still want to compare or promote it. A number is
never given twice, and the tombstone says what it was.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from llm_twin.contracts.manifests import ModelManifest
from llm_twin.registry.registry import Registry

GRACE_DAYS = 14.0  # as long as an old feature version stays (twin.yaml, features.grace_days)
_CONTENT_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Collected:
    """What went, or would go; why each other version stays; and the size of what went."""

    gone: tuple[str, ...]
    kept: dict[str, str]
    freed_mb: float


def run(registry: Registry, grace_days: float, dry_run: bool = False) -> Collected:
    """Collect what nothing needs.

    Killed, it leaves no version half deleted, and the next run ends what it began. Raises WorkspaceLocked.
    """
    with nullcontext() if dry_run else registry.turn():
        entries = registry.entries()
        manifests = registry.manifests()
        kept = dict(_needed(registry, timedelta(days=grace_days)))
        damaged = {e.version for e in entries} - manifests.keys() - kept.keys()
        kept |= dict.fromkeys(damaged, "its manifest cannot be read: import a copy of it")
        old = [manifests[e.version] for e in entries if e.version not in kept]
        sizes = {m.version: _size_mb(registry, m) for m in old}
        gone = list(sizes) if dry_run else registry.bury(old, "collected")
        kept |= {name: "it came to be needed meanwhile" for name in sizes if name not in gone}
        if not dry_run:
            _clear(registry)
    order = {e.version: kept[e.version] for e in entries if e.version in kept}
    return Collected(tuple(gone), order, round(sum(sizes[name] for name in gone), 1))


def _needed(registry: Registry, grace: timedelta) -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    led_to = {pair.model for pair in registry.pairs()}
    for entry in registry.entries():
        if entry.aliases:
            yield entry.version, " and ".join(entry.aliases)
        elif entry.version in led_to:
            yield entry.version, "a rollback leads to it"
        elif now < (until := datetime.fromisoformat(entry.created_at) + grace):
            yield entry.version, f"kept until {until:%Y-%m-%d}"


def _clear(registry: Registry) -> None:
    """Delete the folders without a row: of what was buried, and of what a killed process left."""
    known = {entry.content_id for entry in registry.entries()}
    for folder in registry.folder.iterdir():
        if _CONTENT_ID.fullmatch(folder.name) and folder.name not in known:
            shutil.rmtree(folder)


def _size_mb(registry: Registry, manifest: ModelManifest) -> float:
    return sum(path.stat().st_size for path in (registry.folder / manifest.content_id).iterdir()) / 1e6
