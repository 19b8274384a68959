"""What is refused before it is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_twin import compose, training
from llm_twin.adapters import gguf_adapter
from llm_twin.config import Config
from llm_twin.contracts.manifests import MANIFEST, file_hash
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.versions import POSTS, SAMPLES, FeatureVersion, write_lines
from llm_twin.errors import ConfigError, EmptyStore, EngineError, GateRefused
from llm_twin.feature import run
from tests.compose.tiny import OVERRIDES, make_base, make_workspace
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post


def reseal(version: FeatureVersion, name: str) -> None:
    """Seal a version again, one of whose files was written anew."""
    files = {**version.manifest.files, name: file_hash(version.folder / name)}
    manifest = version.manifest.model_copy(update={"files": files}).sealed()
    (version.folder / MANIFEST).write_text(manifest.model_dump_json())


def test_what_could_not_be_measured_is_not_trained(tmp_path: Path) -> None:
    space = compose.open_workspace(make_workspace(tmp_path / "twin", make_base(tmp_path / "base")))
    folder = space.workspace.features / "F0001"
    version = FeatureVersion.open(folder)
    tested = version.manifest.splits["test"]
    posts = [
        post.model_copy(update={"markdown": "> Their words."}) if post.id in tested else post
        for post in version.posts.values()
    ]
    write_lines(folder / POSTS, posts)
    reseal(version, POSTS)
    with pytest.raises(EmptyStore, match="The test posts of F0001 hold no prose"):
        compose.train(space)
    assert not space.workspace.runs.exists()


def test_an_adapter_that_could_not_be_served_is_not_trained(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "model_type": "olmo"}))
    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    folder = make_workspace(tmp_path / "twin", base)
    space = compose.open_workspace(folder, [f"base.gguf={tmp_path / 'base.gguf'}"])
    with pytest.raises(EngineError, match="No conversion to GGUF is known for the architecture 'olmo'"):
        compose.train(space)
    assert not space.workspace.runs.exists()


def test_samples_longer_than_the_base_was_made_for_are_not_trained_on(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    space = compose.open_workspace(folder, ["training.sequence_tokens=2049"])
    with pytest.raises(ConfigError, match=r"training\.sequence_tokens = 2049: .* made for 2048 at most"):
        compose.train(space)
    assert not space.workspace.runs.exists()


def test_for_transformers_a_gguf_is_made_where_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*given: object) -> None:
        raise EngineError("No conversion is known")

    (tmp_path / "base.gguf").write_bytes(b"GGUF")
    folder = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    settings = [f"base.gguf={tmp_path / 'base.gguf'}", "generation.engine=transformers", "training.shots=0"]
    space = compose.open_workspace(folder, [*OVERRIDES, *settings, "training.max_tokens=300"])
    monkeypatch.setattr(gguf_adapter, "convert", unknown)
    first = compose.train(space)
    monkeypatch.undo()
    second = compose.train(space, resume=True)
    assert not space.registry.get(first.version).gguf.exists()
    assert space.registry.get(second.version).gguf.exists()


def test_a_resumed_run_keeps_the_precision_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    settings = ["training.precision=auto", "training.shots=0", "training.max_tokens=300"]
    space = compose.open_workspace(folder, [*OVERRIDES, *settings])
    for resume, found in ((False, "fp32"), (True, "bf16")):  # as the machine measures itself anew
        monkeypatch.setattr(training, "choose_precision", lambda wanted, found=found: found)
        report = compose.train(space, resume=resume)
        assert (report.version, report.run.bits_per_byte["base"].dtype) == ("v1", "fp32")


def test_posts_that_cannot_be_divided_call_for_others(tmp_path: Path) -> None:
    (tmp_path / "twin.yaml").write_text("")
    space = compose.open_workspace(tmp_path)
    text = make_post(0).markdown
    alike = [make_post(n, f"{text}\n\n{make_post(n).markdown.split('.')[0]}.") for n in range(1, 5)]
    run(alike, Config(), HashEmbedder(), MemoryStore(), space.workspace, Silent())
    with pytest.raises(GateRefused, match=r"None of 4 posts is held out .* Collect more posts that differ"):
        compose.train(space)


def test_paraphrased_targets_are_not_trained_on(tmp_path: Path) -> None:
    (tmp_path / "twin.yaml").write_text("")
    space = compose.open_workspace(tmp_path)
    run([make_post(n) for n in range(20)], Config(), HashEmbedder(), MemoryStore(), space.workspace, Silent())
    folder = space.workspace.features / "F0001"
    version = FeatureVersion.open(folder)
    told = [
        s.model_copy(update={"completion": s.completion.replace("I didn't", "He did not")})
        for s in version.samples
    ]
    write_lines(folder / SAMPLES, told)
    reseal(version, SAMPLES)
    with pytest.raises(GateRefused, match=r"F0001 is not fit to train on: .* author's text .* Rebuild"):
        compose.train(space)
    assert space.registry.entries() == []
