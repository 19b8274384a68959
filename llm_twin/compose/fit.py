"""Whether a model version and a feature version may serve together."""

from __future__ import annotations

from llm_twin.contracts.versions import FeatureVersion, ModelVersion
from llm_twin.errors import MismatchError


def check_fit(model: ModelVersion, version: FeatureVersion) -> None:
    """Refuse a model and features that were made with different prompts. Raises MismatchError naming both."""
    if model.manifest.prompt != version.manifest.prompt:
        raise MismatchError(
            f"{model.name} was trained with prompt {_named(model)}, "
            f"{version.name} was built with {_named(version)}",
            "Train on these features: llm-twin train",
        )


def _named(version: ModelVersion | FeatureVersion) -> str:
    prompt = version.manifest.prompt
    return f"{prompt.version} as {prompt.author!r}"
