"""A model version in MLflow: a run with its settings, measures and files, and a registered model's version.

It is only handed out: what serves is decided in the project's own registry.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from llm_twin.contracts.versions import ModelVersion
from llm_twin.errors import MissingDependency, PushError

ALIASES = ("live", "candidate")  # those that are ours to set and to take back
_CONTENT = "content_id"  # the tag by which a version is found again
_FILES = "model"


def push(version: ModelVersion, aliases: Collection[str], uri: str, name: str) -> str:
    """Register a version as the next one of the model `name`. Returns its address in MLflow.

    `uri` is a tracking server, a database such as sqlite:///mlflow.db, or "" for what MLFLOW_TRACKING_URI
    says. What is there already is not registered twice; its aliases become `aliases` either way. Raises
    PushError and MissingDependency.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # only the store that was named hears of it
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise MissingDependency(
            "There is no package mlflow", "Install it: pip install 'llm-twin[mlflow]'"
        ) from None
    try:
        client = MlflowClient(tracking_uri=uri or None, registry_uri=uri or None)
        number = _known(client, name, version) or _register(client, name, version)
        for alias in ALIASES:
            if alias in aliases:
                client.set_registered_model_alias(name, alias, number)
            elif str(client.get_registered_model(name).aliases.get(alias)) == number:
                client.delete_registered_model_alias(name, alias)
    except (MlflowException, OSError) as error:  # the latter where its files cannot be written
        reason = " ".join(str(error).split())[:200]
        raise PushError(
            f"MLflow at {uri or 'MLFLOW_TRACKING_URI'} did not take {version.name} ({reason})",
            "Look at the server and at the name of the model",
        ) from error
    return f"models:/{name}/{number}"


def _known(client: Any, name: str, version: ModelVersion) -> str | None:
    """The number under which the version is registered there already."""
    found = client.search_model_versions(f"name = '{name}'")
    same = [v for v in found if v.tags.get(_CONTENT) == version.manifest.content_id]
    return str(same[0].version) if same else None


def _register(client: Any, name: str, version: ModelVersion) -> str:
    manifest = version.manifest
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    tags = {
        _CONTENT: manifest.content_id,
        "base": f"{manifest.base.name} {manifest.base.id}",
        "features": f"{manifest.features.name} {manifest.features.id}",
        "commit": manifest.commit or "",
    }
    run = client.create_run(experiment_id, run_name=version.name, tags=tags)
    run_id = run.info.run_id
    try:
        for key, value in _flat(manifest.parameters):
            client.log_param(run_id, key, value)
        for key, value in _measures(version):
            client.log_metric(run_id, key, value)
        for path in version.files:
            client.log_artifact(run_id, str(path), _FILES)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Writes like one author; made by llm-twin.")
    source = f"{run.info.artifact_uri}/{_FILES}"
    return str(client.create_model_version(name, source, run_id, tags=tags).version)


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in parameters.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _measures(version: ModelVersion) -> Iterator[tuple[str, float]]:
    manifest = version.manifest
    yield "tokens", manifest.tokens
    yield "seconds", manifest.seconds
    for split, by_name in manifest.scores.items():
        for name, score in by_name.items():
            for key in ("value", "low", "high"):
                yield f"bits_per_byte.{split}.{name}{'' if key == 'value' else f'.{key}'}", score[key]
