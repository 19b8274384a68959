from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters.embedder_weights import BACKENDS, Backend, embedder_id
from llm_twin.adapters.weights import cache_dir, packaged_embedder
from llm_twin.compose import Twinspace, embedder, init, open_workspace
from llm_twin.compose.embedding import Measured, fastest, measure, measured_note
from llm_twin.contracts.manifests import MANIFEST, FeatureManifest, PartId, PromptId
from llm_twin.contracts.ports import Progress, Silent, Vectors
from llm_twin.errors import MismatchError, MissingDependency

NAME = "all-MiniLM-L6-v2"


class Listens(Silent):
    """A `Progress` that keeps what it was told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[str] = []

    def start(self, stage: str, total: int | None = None) -> None:
        self.stages.append(stage)

    def say(self, line: str) -> None:
        self.said.append(line)


class Clockwork:
    """A clock, and embedders that move it: `seconds` for each text, vectors turned by `off` radians."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def made(self, seconds: float, off: float = 0.0, error: Exception | None = None) -> Turned:
        return Turned(self, seconds, off, error)


class Turned:
    name = id = "turned"
    dim, max_tokens = 2, 100

    def __init__(self, clock: Clockwork, seconds: float, off: float, error: Exception | None) -> None:
        self._clock, self._seconds, self._off, self._error = clock, seconds, off, error
        self.seen = 0

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if self._error:
            raise self._error
        self._clock.now += self._seconds * len(texts)
        self.seen += len(texts)
        return np.tile(np.array([np.cos(self._off), np.sin(self._off)], np.float32), (len(texts), 1))

    def count_tokens(self, text: str) -> int:
        return len(text.split())


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Twinspace:
    """A new workspace on a machine that was not measured yet; the models are converted already."""
    converted = cache_dir() / "embedder"
    converted.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("LLM_TWIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "embedder").symlink_to(converted)
    init(tmp_path / "twin")
    return open_workspace(tmp_path / "twin")


def id_of(backend: Backend) -> str:
    return embedder_id(backend, packaged_embedder())


def name_of(backend: Backend) -> str:
    return NAME if backend == "torch-fp32" else f"{NAME} ({backend})"


def seal(space: Twinspace, version: str, embedder: PartId) -> None:
    """A feature version of which only the manifest is there."""
    manifest = FeatureManifest(
        version=version,
        content_id="",
        created_at="2026-01-01T00:00:00+00:00",
        parent=None,
        parameters={},
        prompt=PromptId(version="1", author="a"),
        files={},
        posts={},
        splits={},
        embedder=embedder,
        counts={},
    ).sealed()
    folder = space.workspace.features / version
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(manifest.model_dump_json())


def measured_before(backend: Backend) -> None:
    note = measured_note(packaged_embedder())
    note.parent.mkdir()
    note.write_text(json.dumps({"backend": backend, "rates": {}}))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_newest_version_decides(space: Twinspace, backend: Backend) -> None:
    """Its id does: versions of before there were backends are torch-fp32 and stay so."""
    measured_before("torch-bf16")
    seal(space, "F0001", PartId(name="any", id=id_of("torch-bf16")))
    seal(space, "F0002", PartId(name="any", id=id_of(backend)))
    listens = Listens()
    chosen = embedder(space, progress=listens)
    assert (chosen.name, chosen.id) == (name_of(backend), id_of(backend))
    assert listens.stages == []


def test_a_version_is_searched_with_the_backend_it_was_built_with(space: Twinspace) -> None:
    seal(space, "F0001", PartId(name="any", id=id_of("torch-fp32")))
    built = PartId(name="any", id=id_of("openvino-bf16"))
    assert embedder(space, built).id == built.id


def test_a_version_of_another_model_is_not_measured_for(space: Twinspace) -> None:
    """Retrieval then names both sides."""
    listens = Listens()
    assert embedder(space, PartId(name="other", id="f" * 16), listens).name == NAME
    assert listens.stages == []


def test_the_configuration_decides_over_all(space: Twinspace) -> None:
    measured_before("openvino-int8")
    seal(space, "F0001", PartId(name="any", id=id_of("openvino-int8")))
    fixed = open_workspace(space.workspace.root, ["features.backend=torch-bf16"])
    assert embedder(fixed).id == embedder(fixed, PartId(name="any", id=id_of("torch-fp32"))).id
    assert embedder(fixed).name == name_of("torch-bf16")


def test_a_machine_that_was_measured_is_not_measured_again(space: Twinspace) -> None:
    measured_before("openvino-bf16")
    listens = Listens()
    assert embedder(space, progress=listens).name == name_of("openvino-bf16")
    assert listens.stages == []


def test_this_machine_is_measured_once(space: Twinspace) -> None:
    note = measured_note(packaged_embedder())
    note.parent.mkdir()
    note.write_text("damaged")
    first, again = Listens(), Listens()
    chosen = embedder(space, progress=first)
    assert first.stages == ["measure embedders"]
    kept = json.loads(note.read_text())
    rates: dict[Backend, Measured] = {b: Measured(**rate) for b, rate in kept["rates"].items()}
    assert kept["backend"] == fastest(rates)
    assert chosen.name == name_of(fastest(rates))
    assert min(rate.cosine for rate in rates.values()) > 0.99
    assert embedder(space, progress=again) is chosen
    assert again.stages == []


def test_measuring_leaves_out_what_cannot_run_and_what_crawls() -> None:
    clock = Clockwork()
    crawls, listens = clock.made(2.5), Listens()
    candidates: dict[Backend, Turned] = {
        "torch-fp32": clock.made(1.0),
        "torch-bf16": crawls,
        "openvino-bf16": clock.made(0.5, off=0.1, error=MissingDependency("no OpenVINO", "install it")),
        "openvino-int8": clock.made(0.5, off=0.1, error=MismatchError("It cannot be converted", "use torch")),
    }
    assert measure(candidates, ["a"] * 12, listens, clock) == {"torch-fp32": Measured(1.0, 1.0)}
    assert crawls.seen == 2  # of bf16 that is emulated a text takes seconds
    assert listens.said == ["It cannot be converted"]
    candidates["openvino-int8"] = clock.made(0.25, off=0.1)
    rates = measure(candidates, ["a"] * 12, listens, clock)
    assert rates["openvino-int8"] == Measured(4.0, round(float(np.cos(0.1)), 5))


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({"torch-fp32": (10, 1)}, "torch-fp32"),
        ({"torch-fp32": (10, 1), "torch-bf16": (12.9, 1)}, "torch-fp32"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (10, 1), "openvino-int8": (12, 1)}, "openvino-bf16"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (9.9, 1)}, "torch-fp32"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (12, 0.9998)}, "torch-fp32"),
        ({"torch-fp32": (10, 1), "torch-bf16": (13.1, 1)}, "torch-bf16"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (20, 1), "openvino-int8": (21.9, 1)}, "openvino-bf16"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (20, 1), "openvino-int8": (22.1, 1)}, "openvino-int8"),
        ({"torch-fp32": (10, 1), "torch-bf16": (18.5, 1), "openvino-int8": (20, 1)}, "torch-bf16"),
        ({"torch-fp32": (10, 1), "openvino-bf16": (20, 1), "openvino-int8": (40, 0.98)}, "openvino-bf16"),
    ],
)
def test_rounding_must_be_worth_it(rates: dict[Backend, tuple[float, float]], chosen: Backend) -> None:
    assert fastest({backend: Measured(*rate) for backend, rate in rates.items()}) == chosen
