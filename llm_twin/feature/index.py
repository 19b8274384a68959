"""The vector index of a version: derived from it, and made again where it is missing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from llm_twin.contracts.manifests import FEATURE_NAME
from llm_twin.contracts.ports import Progress, Silent, VectorIndex, VectorStore
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature.store import sealed
from llm_twin.workspace import Workspace, sweep

LOCK_S = 3600.0  # how long a process waits for another's index: 100,000 chunks take a minute


def open_index(
    version: FeatureVersion, store: VectorStore, workspace: Workspace, progress: Progress | None = None
) -> VectorIndex:
    """The index of a version, built first where there is none. Raises WorkspaceLocked, DiskFull."""
    ensure_index(version, store, workspace, progress or Silent())
    return store.open(version.name, version.manifest.content_id)


def ensure_index(
    version: FeatureVersion, store: VectorStore, workspace: Workspace, progress: Progress
) -> None:
    """Build the index of a version if it is missing; of several processes that find it so, one does."""
    content_id = version.manifest.content_id
    if store.has(version.name, content_id):
        return
    with workspace.lock("index", wait_s=LOCK_S):
        if not store.has(version.name, content_id):
            chunks = list(version.chunks.values())
            progress.start("index", len(chunks))
            store.build(version.name, content_id, chunks, version.vectors, version.posts, progress)


def sweep_indexes(workspace: Workspace, store: VectorStore) -> None:
    """Delete what killed processes left, and every index of no sealed version.

    Those in the workspace go too where the vectors lie on a server by now. Waits where another process is
    building one just now. Call only under the lock "features": of the version that is being built there is an
    index before it is sealed.
    """
    with workspace.lock("index", wait_s=LOCK_S):
        kept = set(sealed(workspace.features))
        for version in set(store.versions()) - kept:
            store.drop(version)
        for folder in workspace.index.glob("F*"):
            if FEATURE_NAME.fullmatch(folder.name) and folder.name not in kept:
                going = Path(tempfile.mkdtemp(prefix=".building-", dir=workspace.index))
                folder.rename(going / folder.name)  # out of sight in one step
        sweep(workspace.index)
