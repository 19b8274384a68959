"""Which models came of which features, by content: names are local, and an imported version brings others."""

from __future__ import annotations

from llm_twin.compose.features import feature_version, list_features, open_library
from llm_twin.compose.fit import check_fit
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import FeatureManifest, ModelManifest, Tombstone
from llm_twin.contracts.versions import FeatureVersion, ModelVersion
from llm_twin.errors import VersionNotFound


def models_of(space: Twinspace, features: FeatureManifest) -> list[str]:
    """The model versions that were trained on a feature version, oldest first."""
    manifests = space.registry.manifests()
    return [name for name, manifest in manifests.items() if manifest.features.id == features.content_id]


def features_of(space: Twinspace, model: ModelManifest) -> FeatureVersion | None:
    """The feature version that a model was trained on; None where this workspace does not hold it."""
    for found in list_features(space):
        if found.content_id == model.features.id:
            return feature_version(space, found.version)
    return None


def trace_features(space: Twinspace, model: ModelManifest) -> str:
    """In words, what became here of the feature version that a model was trained on; it is not opened."""
    here = next((m.version for m in list_features(space) if m.content_id == model.features.id), None)
    if here is not None:
        return here
    gone = _gone(space, model)
    if gone is not None:
        return f"{gone.version}, gone since {gone.gone_at[:10]} ({gone.reason})"
    return f"{model.features.name}, which is not in this workspace"


def _gone(space: Twinspace, model: ModelManifest) -> Tombstone | None:
    from llm_twin.feature.store import tombstones

    stones = tombstones(space.workspace.features)
    return next((stone for stone in stones if stone.content_id == model.features.id), None)


def titles_of(space: Twinspace, model: ModelManifest) -> dict[str, str]:
    """Titles by id of the posts that a model was trained on, as far as anything here still knows them."""
    features = features_of(space, model)
    if features is not None:
        return {post.id: post.title for post in features.posts.values()}
    learnt = set(model.posts)
    with open_library(space) as library:
        return {p.id: p.title for p in library.posts(include_removed=True) if p.id in learnt}


def own_features(space: Twinspace, model: ModelVersion) -> FeatureVersion:
    """The feature version that a model was trained on. Raises VersionNotFound where it is not here."""
    found = features_of(space, model.manifest)
    if found is not None:
        return found
    named, gone = model.manifest.features, _gone(space, model.manifest)
    if gone is not None:
        raise VersionNotFound(
            f"The features of {model.name}, {gone.version} ({named.id[:12]}), are gone since "
            f"{gone.gone_at[:10]} ({gone.reason})",
            "Train a version on those that are there: llm-twin train",
        )
    raise VersionNotFound(
        f"The features of {model.name}, {named.name} ({named.id[:12]}), are not in this workspace",
        "Measure it where they are, or train a version here: llm-twin train",
    )


def serving_features(space: Twinspace, model: ModelVersion) -> FeatureVersion:
    """What a model goes live with: the features that it was trained on, else those that are live or newest.

    Raises MismatchError where the latter do not fit it, VersionNotFound where there are none.
    """
    own = features_of(space, model.manifest)
    if own is not None:
        return own
    found = feature_version(space, "live")
    check_fit(model, found)
    return found
