"""Model versions handed to registries elsewhere: the Hugging Face Hub and MLflow."""

from __future__ import annotations

from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import refuse_tainted
from llm_twin.contracts.versions import ModelVersion
from llm_twin.errors import PushError

HUB, MLFLOW = "hub:", "mlflow:"


def push_model(
    space: Twinspace, name: str, target: str, public: bool = False, called: str = "llm-twin"
) -> tuple[ModelVersion, str]:
    """Hand a version to `target`: "hub:user/name", or "mlflow:URI", there as the model `called`.

    Returns the version and its address there. Raises VersionNotFound, IntegrityError, PushError,
    MissingDependency, and Tainted where it learnt from a post that was forgotten since.
    """
    version = space.registry.get(name)
    refuse_tainted(space, version.name, "pushed", ())
    if target.startswith(HUB):
        from llm_twin.adapters import hub

        return version, hub.push(version, target.removeprefix(HUB), public)
    if target.startswith(MLFLOW):
        from llm_twin.adapters import mlflow_registry

        [entry] = [e for e in space.registry.entries() if e.version == version.name]
        return version, mlflow_registry.push(version, entry.aliases, target.removeprefix(MLFLOW), called)
    raise PushError(
        f"{target!r} is no place to push to", "Give it as hub:user/name, or mlflow:sqlite:///mlflow.db"
    )
