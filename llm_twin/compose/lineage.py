"""Which models came of which features, by content: names are local, and an imported version brings others."""

from __future__ import annotations

from llm_twin.compose.features import feature_version, list_features
from llm_twin.compose.fit import check_fit
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import FeatureManifest, ModelManifest
from llm_twin.contracts.versions import FeatureVersion, ModelVersion


def models_of(space: Twinspace, features: FeatureManifest) -> list[str]:
    """The model versions that were trained on a feature version, oldest first."""
    names = [entry.version for entry in space.registry.entries()]
    return [n for n in names if space.registry.manifest(n).features.id == features.content_id]


def features_of(space: Twinspace, model: ModelManifest) -> FeatureVersion | None:
    """The feature version that a model was trained on; None where this workspace does not hold it."""
    for found in list_features(space):
        if found.content_id == model.features.id:
            return feature_version(space, found.version)
    return None


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
