"""Trained versions exported, merged, imported and promoted, on a tiny base."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from llm_twin import compose
from llm_twin.adapters.base_model import HFChatTokenizer, load_model
from llm_twin.compose.taint import learnt_from
from llm_twin.contracts.records import Message
from llm_twin.contracts.versions import BASE
from llm_twin.errors import IntegrityError, MismatchError, Tainted, VersionNotFound
from llm_twin.registry import Pair
from tests.compose.tiny import make_base, make_workspace, open_tiny
from tests.registry.made import manifest

TOKENS = 600
TURN = [Message(role="user", content="How did you open gate 12?")]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> compose.Twinspace:
    """A workspace whose v1 is live."""
    folder = tmp_path_factory.mktemp("exchange")
    space = open_tiny(make_workspace(folder / "twin", make_base(folder / "base")), TOKENS)
    assert compose.train(space).live
    return space


def logits(model: Any, ids: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids])).logits


def test_a_version_records_what_its_scores_were_measured_on(space: compose.Twinspace) -> None:
    recorded = space.registry.manifest("v1")
    features = compose.feature_version(space, "F0001").manifest
    assert set(recorded.scored_on) == {"validation", "test"}
    assert recorded.parameters["seed"] == 0
    measured = {row["post_id"] for row in recorded.scores["test"]["adapter"]["posts"]}
    assert measured == set(features.splits["test"])
    assert compose.models_of(space, features) == ["v1"]
    found = compose.features_of(space, recorded)
    assert found is not None
    assert found.name == "F0001"
    assert set(recorded.posts) == set(features.splits["train"])


def test_peft_loads_an_exported_folder_as_it_is(space: compose.Twinspace, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    compose.export_model(space, "v1", tmp_path / "v1")
    base = compose.base_model(space)
    ids = HFChatTokenizer(base.folder).encode_chat(TURN)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):
        loaded = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base.folder), tmp_path / "v1"
        ).eval()
    ours = load_model(base, adapter=space.registry.get("v1").folder)
    assert (logits(loaded, ids) == logits(ours, ids)).all()
    assert not (logits(load_model(base), ids) == logits(ours, ids)).all()


def test_a_merged_model_is_one_model_that_says_the_same(space: compose.Twinspace, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base = compose.base_model(space)
    for name in ("pytorch_model.bin", "pytorch_model.bin.index.json", "base-f16.gguf", "LICENSE"):
        (base.folder / name).write_bytes(b"the base's own")
    compose.export_merged(space, "v1", tmp_path / "merged")
    tokenizers = [HFChatTokenizer(folder) for folder in (base.folder, tmp_path / "merged")]
    ids, same = (tokenizer.encode_chat(TURN) for tokenizer in tokenizers)
    assert ids == same
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    ours = logits(load_model(base, adapter=space.registry.get("v1").folder), ids)
    assert (logits(merged, ids) - ours).abs().max() < 1e-4
    assert (logits(load_model(base), ids) - ours).abs().max() > 1e-2
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert "LICENSE" in names
    assert not [n for n in names if "adapter" in n or n.endswith((".bin", ".pt", ".gguf", ".index.json"))]
    assert "library_name: transformers" in (tmp_path / "merged" / "README.md").read_text()


def test_an_adapter_without_a_gguf_is_converted(space: compose.Twinspace, tmp_path: Path) -> None:
    import gguf

    assert not space.registry.get("v1").gguf.exists(), "this base has none, so training made none"
    compose.export_gguf(space, "v1", tmp_path / "v1.gguf")
    names = {tensor.name for tensor in gguf.GGUFReader(tmp_path / "v1.gguf").tensors}
    assert "blk.0.attn_q.weight.lora_a" in names


def test_a_tainted_version_leaves_only_where_that_is_allowed_and_its_card_says_so(
    space: compose.Twinspace, tmp_path: Path
) -> None:
    tainted = compose.open_workspace(Path(shutil.copytree(space.workspace.root, tmp_path / "twin")))
    tainted.registry.taint("v1", ["p1"])
    writers = (compose.export_model, compose.export_merged, compose.export_gguf)
    for write in writers:
        with pytest.raises(
            Tainted, match=r"v1 was not exported: it was trained on post p1, .*--allow-tainted"
        ):
            write(tainted, "v1", tmp_path / write.__name__)
        assert not (tmp_path / write.__name__).exists()
        write(tainted, "v1", tmp_path / write.__name__, allow_tainted=True)
    note = "Tainted: it was trained on post p1, which was forgotten since.\n"
    for name in ("export_model", "export_merged"):
        assert (tmp_path / name / "README.md").read_text(encoding="utf-8").endswith(f".\n\n{note}")
    compose.init(tmp_path / "other")
    taken = compose.import_model(compose.open_workspace(tmp_path / "other"), tmp_path / "export_model")
    assert (taken.folder / "README.md").read_text(encoding="utf-8").endswith(note)
    assert taken.manifest.content_id != tainted.registry.manifest("v1").content_id


def test_an_imported_version_goes_live_with_the_features_that_fit_it(
    space: compose.Twinspace, tmp_path: Path
) -> None:
    compose.export_model(space, "v1", tmp_path / "v1.zip")
    other = open_tiny(make_workspace(tmp_path / "twin", compose.base_model(space).folder, posts=18), TOKENS)
    taken = compose.import_model(other, tmp_path / "v1.zip")
    assert taken.name == "v1"
    assert compose.features_of(other, taken.manifest) is None, "its F0001 is another workspace's"
    assert compose.models_of(other, compose.feature_version(other, "F0001").manifest) == []
    with pytest.raises(VersionNotFound, match=r"features of v1, F0001 \(.*\), are not in this workspace"):
        compose.evaluate(other, "v1")
    pair, _ = compose.promote(other, "candidate")
    assert pair == Pair("v1", "F0001") == other.registry.live()
    compose.promote(other, "v1")
    assert other.registry.pairs() == [pair], "promoting what is live adds nothing to go back to"


def test_a_version_without_features_here_is_not_promoted_before_there_are_some(
    space: compose.Twinspace, tmp_path: Path
) -> None:
    compose.export_model(space, "v1", tmp_path / "v1")
    compose.init(tmp_path / "empty")
    base = compose.base_model(space).folder
    empty = compose.open_workspace(tmp_path / "empty", [f"base.id={base}"])
    taken = compose.import_model(empty, tmp_path / "v1")
    assert compose.features_of(empty, taken.manifest) is None
    with pytest.raises(VersionNotFound, match="no feature version"):
        compose.promote(empty, "v1")
    assert empty.registry.resolve("live") == BASE


def test_a_version_for_another_base_does_not_go_live(space: compose.Twinspace, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", seed=8)
    other = compose.open_workspace(space.workspace.root, [f"base.id={base}"])
    with pytest.raises(MismatchError, match=r"v1 is an adapter for .* the configured base is"):
        compose.promote(other, "v1")
    with pytest.raises(MismatchError, match="v1 is an adapter for"):
        compose.export_merged(other, "v1", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(MismatchError, match="v1 is an adapter for"):
        compose.evaluate(other, "v1")


def test_a_version_whose_manifest_is_damaged_hides_no_other(space: compose.Twinspace, tmp_path: Path) -> None:
    other = compose.open_workspace(Path(shutil.copytree(space.workspace.root, tmp_path / "twin")))
    compose.export_model(other, "v1", tmp_path / "v1")
    path = other.registry.register(tmp_path / "v1", manifest()).folder / "manifest.json"
    path.write_text(path.read_text()[:-40])
    assert [entry.version for entry in other.registry.entries()] == ["v1", "v2"]
    assert compose.models_of(other, compose.feature_version(other, "F0001").manifest) == ["v1"]
    learnt = other.registry.manifest("v1").posts[0]
    assert learnt_from(other, [learnt]) == {"v1": (learnt,)}
    with pytest.raises(IntegrityError, match=r"manifest\.json cannot be read"):
        compose.diff_models(other, "v1", "v2")
