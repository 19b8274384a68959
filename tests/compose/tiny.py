"""A twin that trains in seconds: a llama with random weights, and features of posts that a program wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

from llm_twin import compose
from llm_twin.adapters.base_model import PACKAGED, resolve_base
from llm_twin.contracts.ports import Silent
from llm_twin.feature import run
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post

OVERRIDES = (
    "training.precision=fp32",
    "training.evaluations=2",
    "training.validation_posts=1",
    "training.batch_tokens=256",
    "training.sequence_tokens=256",
    "training.checkpoint_s=0.05",
)


def make_base(folder: Path, seed: int = 7) -> Path:
    """The base model's folder: the packaged tokenizer, and the same random weights for the same seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for path in resolve_base(PACKAGED).folder.iterdir():
        if not (folder / path.name).exists() and path.suffix in (".json", ".jinja", ".txt"):
            shutil.copyfile(path, folder / path.name)
    return folder


def make_workspace(folder: Path, base: Path, posts: int = 16) -> Path:
    """A workspace with F0001 of so many posts, and this base; nothing is trained yet."""
    compose.init(folder)
    config = folder / "twin.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("id: SmolLM2-135M-Instruct", f"id: {base}"), encoding="utf-8")
    space = compose.open_workspace(folder, ["features.min_held_out=1"])
    assert space.config.base.id == str(base)
    run(
        [make_post(n) for n in range(posts)],
        space.config,
        HashEmbedder(),
        MemoryStore(),
        space.workspace,
        Silent(),
    )
    return folder


def open_tiny(folder: Path, tokens: int) -> compose.Twinspace:
    """The workspace, set to train on so many tokens."""
    return compose.open_workspace(folder, [*OVERRIDES, f"training.max_tokens={tokens}"])
