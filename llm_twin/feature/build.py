"""The feature pipeline: from collected posts to one sealed, immutable feature version and its index."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from llm_twin.config import Config
from llm_twin.contracts.manifests import FeatureManifest
from llm_twin.contracts.ports import Drafter, Embedder, Progress, VectorStore
from llm_twin.contracts.private import Kind
from llm_twin.contracts.records import Post, Split
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import EmptyStore
from llm_twin.feature import boilerplate, drafts, receipt
from llm_twin.feature import samples as training_samples
from llm_twin.feature.boilerplate import Removed
from llm_twin.feature.chunk import chunk
from llm_twin.feature.clean import clean_post
from llm_twin.feature.dedup import Dropped, select
from llm_twin.feature.drafts import Drafted
from llm_twin.feature.embed import CACHE, embed
from llm_twin.feature.index import ensure_index, sweep_indexes
from llm_twin.feature.language import with_language
from llm_twin.feature.near import related
from llm_twin.feature.privacy import guard
from llm_twin.feature.seal import Content, seal
from llm_twin.feature.split import by_age, split
from llm_twin.feature.store import latest
from llm_twin.feature.targets import overlong
from llm_twin.workspace import Workspace, sweep


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """What a build did. `version` is the new version, or the newest one where nothing had changed.

    Attributes:
        embedded, reused: chunks that went through the embedder, and those whose vectors were known.
        private: number of finds by kind (see `contracts.private`) in the posts that entered.
        masked: whether those were masked in all that was made.
        dropped: (post id, reason) of the posts that did not enter.
        remarks: what the person should know, one sentence each.
        boilerplate: the recurring notes that were taken out of posts.
        alike: groups of post ids that are no repeats, but so alike that they lie in one split.
        quoting: number of posts that hold words of others, which are found and cited but never learnt.
        drafts: how many paragraphs were restated by a model ("asked"), how many drafts were known already
            ("reused"), how many passed ("accepted"), and how many did not by the reason; empty without.
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
    boilerplate: tuple[Removed, ...]
    alike: tuple[tuple[str, ...], ...]
    quoting: int
    drafts: dict[str, int] = field(default_factory=dict)


def run(
    posts: Sequence[Post],
    config: Config,
    embedder: Embedder,
    store: VectorStore,
    workspace: Workspace,
    progress: Progress,
    drafter: Drafter | None = None,
) -> FeatureReport:
    """Build a feature version, seal it under `workspace.features` and index it in `store`.

    Nothing changed since the newest version makes no new one and embeds nothing; its index is built if it
    is missing. `drafter`, where there is one, restates as many paragraphs as `features.draft_budget` says.
    Raises EmptyStore where no post is left to work on, WorkspaceLocked, DiskFull.
    """
    began = time.monotonic()
    with workspace.lock("features"):
        sweep(workspace.features)
        sweep(workspace.cache)
        sweep_indexes(workspace, store)
        key, newest = receipt.inputs(posts, config, embedder, drafter), latest(workspace.features)
        known = _known(newest, key, store, workspace, progress) if newest else None
        if known:
            return replace(known, seconds=round(time.monotonic() - began, 3))
        progress.start("select")
        selected = _select(posts, config)
        guarded = guard(selected.posts, config.features.mask)
        kept = guarded.posts
        groups = related([post.markdown for post in kept])
        alike = tuple(tuple(kept[place].id for place in group) for group in groups)
        splits, few = split(kept, config.features.test_share, config.features.min_held_out, alike)
        long = overlong(post for post in kept if post.id not in splits["test"])
        remarks = tuple(filter(None, (few, guarded.remark, long)))
        for remark in remarks:
            progress.say(remark)
        progress.start("chunk", len(kept))
        chunks = []
        for post in kept:
            chunks += chunk(post, embedder, config.features.chunk_tokens)
            progress.advance()
        made = embed([c.indexed_text for c in chunks], embedder, workspace.cache / CACHE, progress)
        drafted = _drafted(kept, splits, config, drafter, workspace, progress)
        if drafted.remark:
            remarks = (*remarks, drafted.remark)
            progress.say(drafted.remark)
        progress.start("samples")
        samples = training_samples.build(
            kept, splits, chunks, made.vectors, config.author.name, config.features.tasks, drafted.texts
        )
        restated_by = drafter.id if drafter and drafted.texts else None
        content = Content(kept, splits, chunks, made.vectors, samples, restated_by)
        manifest, created = seal(content, config, embedder, store, workspace, progress)
        report = FeatureReport(
            version=manifest.version,
            created=created,
            posts=len(kept),
            chunks=len(chunks),
            samples=len(samples),
            embedded=made.embedded,
            reused=made.reused,
            private=guarded.counts,
            masked=guarded.masked,
            seconds=round(time.monotonic() - began, 3),
            dropped=tuple(selected.dropped),
            remarks=remarks,
            boilerplate=tuple(selected.removed),
            alike=alike,
            quoting=len({c.post_id for c in chunks if c.quoted}),
            drafts=drafted.counts,
        )
        receipt.write(workspace.cache, key, manifest.content_id, asdict(report))
    return report


class _Selected(NamedTuple):
    posts: list[Post]
    dropped: list[Dropped]
    removed: list[Removed]


def _select(posts: Sequence[Post], config: Config) -> _Selected:
    if not posts:
        raise EmptyStore("There are no posts to build features from", "Collect some: llm-twin collect SOURCE")
    wanted = config.features
    cleaned, removed = by_age(clean_post(post) for post in posts), list[Removed]()
    if wanted.boilerplate:
        cleaned, removed = boilerplate.remove(cleaned)
    kept, dropped = select([with_language(post) for post in cleaned], wanted.min_words, wanted.languages)
    if not kept:
        reasons = ", ".join(f"{n} x {reason}" for reason, n in Counter(r for _, r in dropped).most_common(3))
        raise EmptyStore(
            f"None of the {len(posts)} posts can be used ({reasons})",
            "Collect more, or change features.min_words or features.languages in twin.yaml",
        )
    return _Selected(kept, dropped, removed)


def _drafted(
    posts: Sequence[Post],
    splits: Mapping[Split, Sequence[str]],
    config: Config,
    drafter: Drafter | None,
    workspace: Workspace,
    progress: Progress,
) -> Drafted:
    """Drafts of as many paragraphs as the budget allows; those of texts that are gone leave the cache."""
    cache = workspace.cache / drafts.CACHE
    if drafter is None and not cache.exists():
        return Drafted()
    learnt = set(splits["train"])
    words = training_samples.vocabulary([post for post in posts if post.id in learnt])
    paragraphs = training_samples.to_draft(posts, splits, words)
    drafts.keep(cache, paragraphs)
    if drafter is None or "rewrite" not in config.features.tasks:
        return Drafted()
    return drafts.run(paragraphs[: config.features.draft_budget], drafter, cache, words, progress)


def _known(
    newest: FeatureManifest, key: str, store: VectorStore, workspace: Workspace, progress: Progress
) -> FeatureReport | None:
    """The report of the newest version where it was built from these very inputs, its index there again."""
    kept = receipt.read(workspace.cache, key, newest.content_id)
    try:
        report = _REPORT.validate_python(kept)
    except ValidationError:
        return None
    for remark in report.remarks:
        progress.say(remark)
    ensure_index(FeatureVersion(workspace.features / newest.version, newest), store, workspace, progress)
    return replace(report, version=newest.version, created=False, embedded=0, reused=report.chunks)


_REPORT = TypeAdapter(FeatureReport)
