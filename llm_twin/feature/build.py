"""The feature pipeline: from collected posts to one sealed, immutable feature version and its index."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from llm_twin.config import Config
from llm_twin.contracts.manifests import MANIFEST, FeatureManifest, PartId, PromptId, file_hash
from llm_twin.contracts.ports import Embedder, Progress, Vectors, VectorStore
from llm_twin.contracts.private import Kind
from llm_twin.contracts.prompts import PROMPT_VERSION
from llm_twin.contracts.records import Chunk, Post, Sample, Split
from llm_twin.contracts.versions import CHUNKS, EMBEDDINGS, POSTS, SAMPLES, write_lines
from llm_twin.errors import EmptyStore
from llm_twin.feature import samples as training_samples
from llm_twin.feature.chunk import chunk
from llm_twin.feature.clean import clean_post
from llm_twin.feature.dedup import Dropped, select
from llm_twin.feature.embed import CACHE, embed
from llm_twin.feature.privacy import guard
from llm_twin.feature.split import split
from llm_twin.feature.store import latest, next_name
from llm_twin.workspace import Workspace, atomic_folder, sweep


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """What a build did. `version` is the new version, or the newest one where nothing had changed.

    Attributes:
        embedded, reused: chunks that went through the embedder, and those whose vectors were known.
        private: number of finds by kind (see `contracts.private`) in the posts that entered.
        masked: whether those were masked in all that was made.
        dropped: (post id, reason) of the posts that did not enter.
        remarks: what the person should know, one sentence each.
    """

    version: str
    created: bool
    posts: int
    chunks: int
    samples: int
    embedded: int
    reused: int
    private: dict[Kind, int]
    masked: bool
    seconds: float
    dropped: tuple[Dropped, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Content:
    posts: list[Post]
    splits: dict[Split, tuple[str, ...]]
    chunks: list[Chunk]
    vectors: Vectors
    samples: list[Sample]


class _Unchanged(Exception):
    """The content equals that of the newest version, so that the folder being built is given up."""


def run(
    posts: Sequence[Post],
    config: Config,
    embedder: Embedder,
    store: VectorStore,
    workspace: Workspace,
    progress: Progress,
) -> FeatureReport:
    """Build a feature version, seal it under `workspace.features` and index it in `store`.

    Nothing changed since the newest version makes no new one and embeds nothing; its index is built if it
    is missing. Raises EmptyStore where no post is left to work on, WorkspaceLocked, DiskFull.
    """
    began = time.monotonic()
    with workspace.lock("features"):
        sweep(workspace.features)
        sweep(workspace.index)
        chosen, dropped = _select(posts, config)
        guarded = guard(chosen, config.features.mask)
        kept = guarded.posts
        splits, few = split(kept, config.features.test_share, config.features.min_held_out)
        remarks = tuple(filter(None, (few, guarded.remark)))
        for remark in remarks:
            progress.say(remark)
        progress.start("chunk", len(kept))
        chunks = []
        for post in kept:
            chunks += chunk(post, embedder, config.features.chunk_tokens)
            progress.advance()
        made = embed([c.indexed_text for c in chunks], embedder, workspace.cache / CACHE, progress)
        progress.start("samples")
        samples = training_samples.build(
            kept, splits, chunks, made.vectors, config.author.name, config.features.tasks
        )
        content = _Content(kept, splits, chunks, made.vectors, samples)
        version, created = _seal(content, config, embedder, store, workspace.features)
        if not store.has(version):
            progress.start("index", len(chunks))
            store.build(version, chunks, made.vectors, progress)
    return FeatureReport(
        version=version,
        created=created,
        posts=len(kept),
        chunks=len(chunks),
        samples=len(samples),
        embedded=made.embedded,
        reused=made.reused,
        private=guarded.counts,
        masked=guarded.masked,
        seconds=round(time.monotonic() - began, 3),
        dropped=tuple(dropped),
        remarks=remarks,
    )


def _select(posts: Sequence[Post], config: Config) -> tuple[list[Post], list[Dropped]]:
    if not posts:
        raise EmptyStore("There are no posts to build features from", "Collect some: llm-twin collect SOURCE")
    kept, dropped = select([clean_post(post) for post in posts], config.features.min_words)
    if not kept:
        reasons = ", ".join(f"{n} x {reason}" for reason, n in Counter(r for _, r in dropped).most_common(3))
        raise EmptyStore(
            f"None of the {len(posts)} posts can be used ({reasons})",
            "Collect more, or lower features.min_words in twin.yaml",
        )
    return kept, dropped


def _seal(
    content: _Content, config: Config, embedder: Embedder, store: VectorStore, features: Path
) -> tuple[str, bool]:
    """(name, whether it is new)."""
    newest, name = latest(features), next_name(features)
    store.drop(name)  # an index left over from a deleted version of this name would not fit
    try:
        with atomic_folder(features / name) as folder:
            _write(content, folder)
            manifest = _manifest(content, config, embedder, folder, name, newest)
            if newest and newest.content_id == manifest.content_id:
                raise _Unchanged
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except _Unchanged:
        assert newest is not None
        return newest.version, False
    return name, True


def _write(content: _Content, folder: Path) -> None:
    from safetensors.numpy import save_file

    write_lines(folder / POSTS, content.posts)
    write_lines(folder / CHUNKS, content.chunks)
    write_lines(folder / SAMPLES, content.samples)
    save_file({"embeddings": content.vectors}, folder / EMBEDDINGS)


def _manifest(
    content: _Content,
    config: Config,
    embedder: Embedder,
    folder: Path,
    name: str,
    newest: FeatureManifest | None,
) -> FeatureManifest:
    tasks = Counter(sample.task for sample in content.samples)
    manifest = FeatureManifest(
        version=name,
        content_id="",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        parent=newest.version if newest else None,
        # The embedder is named by its hash below: the path it was loaded from is not content.
        parameters=config.features.model_dump(mode="json", exclude={"embedder"}),
        prompt=PromptId(version=PROMPT_VERSION, author=config.author.name),
        files={path.name: file_hash(path) for path in sorted(folder.iterdir())},
        posts={post.id: post.revision for post in content.posts},
        splits=content.splits,
        embedder=PartId(name=embedder.name, id=embedder.id),
        counts={
            "posts": len(content.posts),
            "chunks": len(content.chunks),
            "samples": len(content.samples),
            **{task: tasks[task] for task in config.features.tasks},
        },
    ).sealed()
    assert isinstance(manifest, FeatureManifest)
    return manifest
