"""Sealing: what a build made becomes a version, complete with its index, or nothing does.

Files, manifest and index are written out of sight; the rename of the folder is the one moment in which
the version begins to exist. Killed before it, a build leaves litter that the next one sweeps; after it, a
version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llm_twin.config import Config
from llm_twin.contracts.manifests import MANIFEST, FeatureManifest, PartId, PromptId, file_hash
from llm_twin.contracts.ports import Embedder, Progress, Vectors, VectorStore
from llm_twin.contracts.prompts import PROMPT_VERSION
from llm_twin.contracts.records import Chunk, Post, Sample, Split
from llm_twin.contracts.versions import CHUNKS, EMBEDDINGS, POSTS, SAMPLES, FeatureVersion, write_lines
from llm_twin.feature.index import LOCK_S, ensure_index
from llm_twin.feature.statistics import statistics
from llm_twin.feature.store import latest, next_name
from llm_twin.workspace import Workspace, atomic_folder

# The embedder and its backend are named by a hash (the path it was loaded from is not content); when old
# versions go is not content.
_NOT_CONTENT = {"embedder", "backend", "grace_days"}


@dataclass(frozen=True, slots=True)
class Content:
    """What a build made. Rows of `vectors` [chunks, dim] and `chunks` agree.

    `drafter` identifies the model that restated paragraphs for the samples, if one did.
    """

    posts: Sequence[Post]
    splits: Mapping[Split, tuple[str, ...]]
    chunks: Sequence[Chunk]
    vectors: Vectors
    samples: Sequence[Sample]
    drafter: str | None = None


class _Unchanged(Exception):
    """The content equals that of the newest version, so that the folder being built is given up."""


def seal(
    content: Content,
    config: Config,
    embedder: Embedder,
    store: VectorStore,
    workspace: Workspace,
    progress: Progress,
) -> tuple[FeatureManifest, bool]:
    """(manifest, whether it is new): the newest version's where the content is the same, else a new one's.

    Call under the lock "features". Raises DiskFull, WorkspaceError.
    """
    features = workspace.features
    newest, name = latest(features), next_name(features)
    try:
        with atomic_folder(features / name) as folder:
            _write(content, folder)
            manifest = _manifest(content, config, embedder, folder, name, newest)
            if newest and newest.content_id == manifest.content_id:
                raise _Unchanged
            progress.start("statistics")
            figures = statistics(content.posts, content.chunks, content.samples, embedder.count_tokens)
            manifest = manifest.model_copy(update={"statistics": figures})
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
            progress.start("index", len(content.chunks))
            with workspace.lock("index", wait_s=LOCK_S):
                posts = {post.id: post for post in content.posts}
                store.build(name, manifest.content_id, content.chunks, content.vectors, posts, progress)
    except _Unchanged:
        assert newest is not None
        ensure_index(FeatureVersion(features / newest.version, newest), store, workspace, progress)
        return newest, False
    return manifest, True


def _write(content: Content, folder: Path) -> None:
    from safetensors.numpy import save_file

    write_lines(folder / POSTS, content.posts)
    write_lines(folder / CHUNKS, content.chunks)
    write_lines(folder / SAMPLES, content.samples)
    save_file({"embeddings": content.vectors}, folder / EMBEDDINGS)


def _manifest(
    content: Content,
    config: Config,
    embedder: Embedder,
    folder: Path,
    name: str,
    newest: FeatureManifest | None,
) -> FeatureManifest:
    tasks = Counter(sample.task for sample in content.samples)
    drafts = sum(sample.source == "draft" for sample in content.samples)
    return FeatureManifest(
        version=name,
        content_id="",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        parent=newest.version if newest else None,
        parameters=_parameters(config, content.drafter),
        prompt=PromptId(version=PROMPT_VERSION, author=config.author.name),
        files={path.name: file_hash(path) for path in sorted(folder.iterdir())},
        posts={post.id: post.revision for post in content.posts},
        splits=dict(content.splits),
        embedder=PartId(name=embedder.name, id=embedder.id),
        counts={
            "posts": len(content.posts),
            "chunks": len(content.chunks),
            "samples": len(content.samples),
            **{task: tasks[task] for task in config.features.tasks},
            **({"drafts": drafts} if content.drafter else {}),
        },
    ).sealed()


def _parameters(config: Config, drafter: str | None) -> dict[str, Any]:
    """What the version was made with; drafts only where there are some, so that the others keep their id."""
    if drafter is None:
        return config.features.model_dump(mode="json", exclude={*_NOT_CONTENT, "draft_budget"})
    return config.features.model_dump(mode="json", exclude=_NOT_CONTENT) | {"drafter": drafter}
