"""The feature pipeline: sources to library, library to sealed feature version."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING

from llm_twin.compose.embedding import PACKAGED_EMBEDDER, embedder
from llm_twin.compose.fit import check_fit
from llm_twin.compose.parts import drafter, vector_store
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import FeatureManifest
from llm_twin.contracts.ports import Progress, Silent
from llm_twin.contracts.versions import BASE, FeatureVersion
from llm_twin.errors import (
    EmptyStore,
    IntegrityError,
    MismatchError,
    VersionNotFound,
    WorkspaceError,
    WorkspaceLocked,
)
from llm_twin.registry import Pair

if TYPE_CHECKING:
    from llm_twin.collect import CollectReport
    from llm_twin.collect.library import Library
    from llm_twin.contracts.records import Sample
    from llm_twin.feature import FeatureReport
    from llm_twin.feature.diff import Diff
    from llm_twin.feature.gc import Collected


def open_library(space: Twinspace) -> Library:
    """The library of collected posts."""
    from llm_twin.collect.library import Library

    return Library(space.workspace.library)


def collect(
    space: Twinspace, sources: Sequence[str], progress: Progress | None = None, dry_run: bool = False
) -> CollectReport:
    """Collect posts from sites, feeds, sitemaps or folders into the library."""
    from llm_twin import collect as room

    with space.workspace.lock("library"), open_library(space) as library:
        return room.run(
            sources,
            space.config.collect,
            library,
            progress or Silent(),
            cache_dir=space.workspace.cache / "http",
            dry_run=dry_run,
        )


def build_features(space: Twinspace, progress: Progress | None = None) -> FeatureReport:
    """Turn the library into a sealed feature version; moves the live pair's features half where they fit."""
    from llm_twin import feature as room

    if not space.workspace.library.is_file():
        raise EmptyStore("No posts have been collected", "Collect some: llm-twin collect https://your.blog")
    with open_library(space) as library:
        posts = library.posts()
    progress = progress or Silent()
    made_by = embedder(space, progress=progress)
    with closing(drafter(space)) if space.config.features.draft_budget else nullcontext() as drafts_by:
        report = room.run(
            posts, space.config, made_by, vector_store(space), space.workspace, progress, drafts_by
        )
    version = feature_version(space, report.version)
    _refuse_forgotten(space, version)
    if told := _follow_features(space, version):
        progress.say(told)
    model = space.config.features.embedder
    if report.created and model.rpartition("/")[2] != PACKAGED_EMBEDDER:
        progress.say(
            f"What retrieval.refuse_below means was fitted for {PACKAGED_EMBEDDER}, not for {model}: "
            "set it by questions of your own."
        )
    if report.created and space.config.features.grace_days is not None:
        with suppress(WorkspaceLocked):  # another build has begun; it collects when it ends
            gone = collect_old_features(space).gone
            if gone:
                progress.say(f"Collected {', '.join(gone)}, which nothing needs any more.")
    return report


def _refuse_forgotten(space: Twinspace, version: FeatureVersion) -> None:
    """Delete a version again if a post that it holds was forgotten since the library was read."""
    from llm_twin.feature import gc

    with open_library(space) as library:
        forgotten = library.forgotten()
    if not forgotten.isdisjoint(version.manifest.posts):
        gc.remove(space.workspace, vector_store(space), [version.manifest], "a post was forgotten")
        raise WorkspaceError(f"A post was forgotten while {version.name} was built", "Build again")


def _follow_features(space: Twinspace, version: FeatureVersion) -> str:
    """Switch the features half of the live pair to a new version that the live model can read.

    Returns a line for the person; "" where there is nothing to say.
    """
    while True:
        live = space.registry.live()
        if live is None or live.features == version.name:
            return ""
        if live.model != BASE:
            try:
                check_fit(space.registry.get(live.model), version)
            except (MismatchError, IntegrityError, VersionNotFound) as error:
                # The model keeps serving with the features that it fits; training a new one moves both. One
                # that is damaged serves with none.
                return f"Live stays {live.model} with {live.features}: {error}"
        if space.registry.switch(Pair(live.model, version.name), "features build", expected=live):
            return f"Live: {live.model} with {version.name}."


def feature_version(space: Twinspace, name: str = "latest") -> FeatureVersion:
    """A feature version by name, "latest" or "live"; it is not collected while the object lives.

    Raises VersionNotFound, IntegrityError.
    """
    from llm_twin.feature import store

    if name == "live":
        name = feature_name(space, name)
    return store.open_version(space.workspace, name)


def feature_name(space: Twinspace, name: str = "latest") -> str:
    """The name of the version that "latest" or "live" means now; no version is opened.

    Raises VersionNotFound.
    """
    from llm_twin.feature import store

    live = space.registry.live() if name == "live" else None
    if live is not None:
        return live.features
    return store.resolve(space.workspace.features, store.LATEST if name == "live" else name).name


def list_features(space: Twinspace) -> list[FeatureManifest]:
    """The manifests of all feature versions, oldest first. Raises IntegrityError where one is damaged."""
    from llm_twin.feature import store

    return store.list_versions(space.workspace.features)


def diff_features(old: FeatureVersion, new: FeatureVersion) -> Diff:
    """What entered, left and changed, in posts and in samples, and which settings differ."""
    from llm_twin.feature.diff import diff

    return diff(old, new)


def collect_old_features(
    space: Twinspace, grace_days: float | None = None, dry_run: bool = False
) -> Collected:
    """Delete the feature versions that no model and no reader needs, once their grace is over.

    By default the grace of the configuration; where that is null, nothing goes. Raises WorkspaceLocked.
    """
    from llm_twin.feature import gc

    # By content: a version that was imported names its features as another workspace did.
    here, models = {m.content_id: m.version for m in list_features(space)}, space.registry.manifests()
    wanted = {}
    for entry in space.registry.entries():
        model = models.get(entry.version)  # None for one that is damaged, and may be restored
        name = here.get(model.features.id) if model else entry.features
        if name is not None:
            wanted[name] = f"{entry.version} was trained on it"
    for pair, why in reversed(
        [*zip(space.registry.pairs(), ("live", "a rollback leads to it"), strict=False)]
    ):
        wanted[pair.features] = why
    if grace_days is None:
        grace_days = space.config.features.grace_days
    return gc.run(space.workspace, vector_store(space), wanted, grace_days, dry_run)


def feature_examples(version: FeatureVersion) -> list[Sample]:
    """Five samples for a person to read, of each task."""
    from llm_twin.feature import doctor

    return doctor.examples(version)


def check_features(version: FeatureVersion) -> list[str]:
    """What makes the training samples of a version unfit to train on; empty where nothing does."""
    from llm_twin.feature import doctor

    return doctor.check(version)


def mend_features(version: FeatureVersion) -> str:
    """What to do where `check_features` found something."""
    from llm_twin.feature import doctor

    return doctor.remedy(version)
