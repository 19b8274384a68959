"""Whether a model version may serve with a feature version, and on a base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_twin.contracts.versions import FeatureVersion, ModelVersion
from llm_twin.errors import MismatchError

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel


def check_fit(model: ModelVersion, version: FeatureVersion) -> None:
    """Refuse a model and features that were made with different prompts. Raises MismatchError naming both."""
    ours, theirs = model.manifest.prompt, version.manifest.prompt
    if ours != theirs:
        build = f"Set author.name to {ours.author!r} and build the features again, or train on these"
        raise MismatchError(
            f"{model.name} was trained with prompt {_named(model)}, "
            f"{version.name} was built with {_named(version)}",
            f"{build if ours.version == theirs.version else 'Train on these features'}: llm-twin train",
        )


def check_base(model: ModelVersion, base: BaseModel) -> None:
    """Refuse a model for another base than this one. Raises MismatchError naming both."""
    wanted = model.manifest.base
    if wanted.id != base.id:
        raise MismatchError(
            f"{model.name} is an adapter for {wanted.name} ({wanted.id[:12]}), "
            f"the configured base is {base.name} ({base.id[:12]})",
            f"Set base.id to {wanted.name}, or train a version for this base",
        )


def _named(version: ModelVersion | FeatureVersion) -> str:
    prompt = version.manifest.prompt
    return f"{prompt.version} as {prompt.author!r}"
