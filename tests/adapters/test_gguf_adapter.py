"""The conversion of PEFT adapters for llama.cpp, on small hand-made weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from llm_twin.adapters.gguf_adapter import convert
from llm_twin.errors import EngineError

HEADS, GROUPS, HEAD, RANK = 4, 2, 6, 3
WIDTH = HEADS * HEAD
ROWS = {"self_attn.q_proj": WIDTH, "self_attn.k_proj": GROUPS * HEAD, "self_attn.v_proj": GROUPS * HEAD}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return base_folder(tmp_path / "base", "llama")


def base_folder(folder: Path, kind: str) -> Path:
    folder.mkdir()
    config = {
        "model_type": kind,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def key(module: str, part: str, layer: int = 1) -> str:
    return f"base_model.model.model.layers.{layer}.{module}.lora_{part}.weight"


def adapter(folder: Path, extra: dict[str, np.ndarray] | None = None, **changed: Any) -> Path:
    """A PEFT adapter whose lora_B rows are numbered, so that an order can be read off."""
    folder.mkdir(exist_ok=True)
    tensors = dict(extra or {})
    for module, rows in ROWS.items():
        tensors[key(module, "A")] = np.full((RANK, WIDTH), 0.5, np.float32)
        tensors[key(module, "B")] = np.repeat(np.arange(rows, dtype=np.float32)[:, None], RANK, axis=1)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 6,
        "bias": "none",
        "init_lora_weights": True,
        **changed,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    import gguf

    reader = gguf.GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {t.name: np.array(t.data, np.float32) for t in reader.tensors}


def test_names_shapes_and_metadata_are_those_of_llama_cpp(tmp_path: Path, base: Path) -> None:
    convert(adapter(tmp_path / "a"), base, tmp_path / "out" / "a.gguf")
    fields, tensors = read(tmp_path / "out" / "a.gguf")
    assert fields["general.architecture"] == "llama"
    assert fields["general.type"] == "adapter"
    assert fields["adapter.type"] == "lora"
    assert fields["adapter.lora.alpha"] == 6
    assert sorted(tensors) == [
        f"blk.1.attn_{part}.weight.lora_{half}" for part in ("k", "q", "v") for half in ("a", "b")
    ]
    assert tensors["blk.1.attn_q.weight.lora_a"].shape == (RANK, WIDTH)
    assert tensors["blk.1.attn_k.weight.lora_b"].shape == (GROUPS * HEAD, RANK)


def test_rows_of_query_and_key_follow_the_rotary_order_and_values_do_not(tmp_path: Path, base: Path) -> None:
    convert(adapter(tmp_path / "a"), base, tmp_path / "a.gguf")
    _, tensors = read(tmp_path / "a.gguf")
    # A head's halves 0 1 2 | 3 4 5 become the pairs that llama.cpp rotates together.
    pairs = [0, 3, 1, 4, 2, 5]
    for name, heads in (("q", HEADS), ("k", GROUPS)):
        found = tensors[f"blk.1.attn_{name}.weight.lora_b"][:, 0].tolist()
        assert found == [HEAD * h + row for h in range(heads) for row in pairs]
    assert tensors["blk.1.attn_v.weight.lora_b"][:, 0].tolist() == list(range(GROUPS * HEAD))


def test_other_architectures_keep_their_rows(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "qwen", "qwen3")
    convert(adapter(tmp_path / "a"), base, tmp_path / "a.gguf")
    fields, tensors = read(tmp_path / "a.gguf")
    assert fields["general.architecture"] == "qwen3"
    assert tensors["blk.1.attn_q.weight.lora_b"][:, 0].tolist() == list(range(WIDTH))


def test_the_scale_of_rslora_is_folded_into_alpha(tmp_path: Path, base: Path) -> None:
    convert(adapter(tmp_path / "a", use_rslora=True), base, tmp_path / "a.gguf")
    fields, _ = read(tmp_path / "a.gguf")
    # llama.cpp divides alpha by the rank; rsLoRA means alpha / sqrt(rank).
    assert fields["adapter.lora.alpha"] / RANK == pytest.approx(6 / RANK**0.5)


def test_equal_input_gives_equal_bytes_and_leaves_nothing_beside(tmp_path: Path, base: Path) -> None:
    source, out = adapter(tmp_path / "a"), tmp_path / "out"
    convert(source, base, out / "one.gguf")
    convert(source, base, out / "two.gguf")
    assert (out / "one.gguf").read_bytes() == (out / "two.gguf").read_bytes()
    assert sorted(p.name for p in out.iterdir()) == ["one.gguf", "two.gguf"]


@pytest.mark.parametrize(
    "changed",
    [
        {"use_dora": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 8}},
        {"init_lora_weights": "pissa"},
        {"use_something_new": True},
        {"peft_type": "IA3"},
    ],
)
def test_what_llama_cpp_cannot_apply_is_refused_by_name(
    tmp_path: Path, base: Path, changed: dict[str, Any]
) -> None:
    with pytest.raises(EngineError, match=str(next(iter(changed.values()))).strip("{}[]")) as raised:
        convert(adapter(tmp_path / "a", **changed), base, tmp_path / "a.gguf")
    assert "generation.engine" in str(raised.value)
    assert not (tmp_path / "a.gguf").exists()


@pytest.mark.parametrize(
    "name",
    [
        key("self_attn.q_proj", "magnitude_vector"),
        key("self_attn.q_proj", "A", layer=7),
        "base_model.model.lm_head.lora_A.weight",
        "base_model.model.model.embed_tokens.lora_embedding_A",
        key("mlp.up_proj", "A"),  # without its lora_B
    ],
)
def test_tensors_without_a_place_are_refused(tmp_path: Path, base: Path, name: str) -> None:
    odd = adapter(tmp_path / "a", {name: np.zeros((RANK, WIDTH), np.float32)})
    with pytest.raises(EngineError):
        convert(odd, base, tmp_path / "a.gguf")


def test_an_unknown_architecture_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    base = base_folder(tmp_path / "odd", "mamba")
    with pytest.raises(EngineError, match=r"'mamba'.*known: llama, mistral"):
        convert(adapter(tmp_path / "a"), base, tmp_path / "a.gguf")


def test_an_unreadable_folder_is_named(tmp_path: Path, base: Path) -> None:
    with pytest.raises(EngineError, match=r"adapter_config\.json cannot be read"):
        convert(tmp_path / "nothing", base, tmp_path / "a.gguf")
