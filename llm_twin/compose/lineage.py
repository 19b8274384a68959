"""Which models came of which features, by content: names are local, and an imported version brings others."""

from __future__ import annotations

from llm_twin.compose.features import feature_version, list_features
from llm_twin.compose.fit import check_fit
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import FeatureManifest, ModelManifest
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


def own_features(space: Twinspace, model: ModelVersion) -> FeatureVersion:
    """The feature version that a model was trained on. Raises VersionNotFound where it is not here."""
    found = features_of(space, model.manifest)
    if found is None:
        named = model.manifest.features
        raise VersionNotFound(
            f"The features of {model.name}, {named.name} ({named.id[:12]}), are not in this workspace",
            "Measure it where they are, or train a version here: llm-twin train",
        )
    return found


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
