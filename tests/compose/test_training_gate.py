from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.config import Config
from llm_twin.contracts.manifests import MANIFEST, file_hash
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.versions import SAMPLES, FeatureVersion, write_lines
from llm_twin.errors import GateRefused
from llm_twin.feature import run
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post


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
    files = {**version.manifest.files, SAMPLES: file_hash(folder / SAMPLES)}
    manifest = version.manifest.model_copy(update={"files": files}).sealed()
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    with pytest.raises(GateRefused, match=r"F0001 is not fit to train on: .* are not the author's text"):
        compose.train(space)
    assert space.registry.entries() == []
