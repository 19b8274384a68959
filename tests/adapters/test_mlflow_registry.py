"""Against a real MLflow, its store an SQLite file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_twin.adapters.mlflow_registry import push
from llm_twin.contracts.versions import ModelVersion
from llm_twin.errors import PushError
from llm_twin.registry import Registry
from tests.registry.made import lora, manifest

NAME = "twin-of-ada"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def uri(mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # MLflow puts the files of such a store below the present folder
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"


@pytest.fixture
def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def made(registry: Registry, tmp_path: Path, weight: float) -> ModelVersion:
    return registry.register(lora(tmp_path / f"made-{weight}", weight), manifest())


def test_a_version_is_a_run_with_its_files_and_a_registered_model(
    registry: Registry, client: Any, uri: str, tmp_path: Path
) -> None:
    version = made(registry, tmp_path, 0.5)
    sealed = {path.name: path.read_bytes() for path in version.folder.iterdir()}
    (version.folder / ".DS_Store").write_bytes(b"of a file manager")
    assert push(version, ["live"], uri, NAME) == f"models:/{NAME}/1"
    there = client.get_model_version_by_alias(NAME, "live")
    assert there.version in (1, "1")
    assert there.tags["content_id"] == version.manifest.content_id
    run = client.get_run(there.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"rank": "16", "seed": "0"}
    assert run.data.metrics["bits_per_byte.test.adapter"] == 1.5
    assert run.data.metrics["bits_per_byte.validation.base.high"] == 2.0
    copied = Path(client.download_artifacts(there.run_id, "model", str(tmp_path)))
    assert {p.name: p.read_bytes() for p in copied.iterdir()} == sealed


def test_a_version_is_registered_once_and_aliases_follow(
    registry: Registry, client: Any, uri: str, tmp_path: Path
) -> None:
    first, second = made(registry, tmp_path, 0.5), made(registry, tmp_path, 0.25)
    push(first, ["live"], uri, NAME)
    assert push(second, ["live"], uri, NAME) == f"models:/{NAME}/2"
    assert push(first, ["candidate"], uri, NAME) == f"models:/{NAME}/1"
    aliases = client.get_registered_model(NAME).aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"live": 2, "candidate": 1}
    push(second, [], uri, NAME)
    assert set(client.get_registered_model(NAME).aliases) == {"candidate"}


def test_what_mlflow_refuses_is_told_in_a_line(registry: Registry, uri: str, tmp_path: Path) -> None:
    with pytest.raises(PushError, match="did not take v1"):
        push(made(registry, tmp_path, 0.5), [], uri, "a/b:c")


def test_files_that_cannot_be_written_are_told_in_a_line(
    registry: Registry, uri: str, tmp_path: Path
) -> None:
    (tmp_path / "mlruns").touch()  # where the files of such a store go
    with pytest.raises(PushError, match="did not take v1") as caught:
        push(made(registry, tmp_path, 0.5), [], uri, NAME)
    assert isinstance(caught.value.__cause__, OSError)
