"""A tiny model and a feature version made by hand: the loop is the same, a step takes milliseconds."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llm_twin.adapters.base_model import PACKAGED, HFChatTokenizer, resolve_base
from llm_twin.contracts import prompts
from llm_twin.contracts.manifests import FeatureManifest, PartId, PromptId
from llm_twin.contracts.prose import join, prose_spans
from llm_twin.contracts.records import Post, Sample, Split
from llm_twin.contracts.versions import POSTS, SAMPLES, FeatureVersion, write_lines

AUTHOR = "Ada"
_WORDS = (
    "the",
    "a",
    "river",
    "gauge",
    "reads",
    "low",
    "but",
    "nobody",
    "here",
    "will",
    "say",
    "why",
    "it’s",
    "so",
)


@dataclass(frozen=True)
class TinyBase:
    name: str = "tiny"
    id: str = "0" * 64


@pytest.fixture(scope="session")
def tokenizer() -> HFChatTokenizer:
    return HFChatTokenizer(resolve_base(PACKAGED).folder)


@pytest.fixture
def tiny() -> Callable[[], Any]:
    """Makes a llama with random weights, the same ones each time."""

    def make() -> Any:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(7)
        config = LlamaConfig(
            vocab_size=49152,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
        )
        return LlamaForCausalLM(config).eval()

    return make


def _post(number: int, words: random.Random) -> Post:
    markdown = "\n\n".join(
        " ".join(words.choices(_WORDS, k=words.randint(10, 50))).capitalize() + "." for _ in range(3)
    )
    title = f"Entry {number}"
    url = f"https://ada.example/{number}"
    return Post(
        id=Post.id_of(url),
        url=url,
        title=title,
        published_at=f"2020-01-{number + 1:02d}",
        markdown=markdown,
        revision=Post.revision_of(title, markdown),
    )


@pytest.fixture
def features(tmp_path: Path) -> FeatureVersion:
    return make_features(tmp_path / "features" / "F0001")


def make_features(
    folder: Path, posts: int = 20, prompt_version: str = prompts.PROMPT_VERSION
) -> FeatureVersion:
    """`posts` posts (the last two held out), and a sample for each paragraph of the others."""
    words = random.Random(3)
    made = [_post(n, words) for n in range(posts)]
    splits: dict[Split, tuple[str, ...]] = {
        "train": tuple(p.id for p in made[:-2]),
        "validation": (made[-2].id,),
        "test": (made[-1].id,),
    }
    samples = []
    for post in made[:-2]:
        for n, span in enumerate(prose_spans(post.markdown)):
            samples.append(
                Sample(
                    id=f"{post.id}:rewrite:{n}",
                    task="rewrite",
                    post_id=post.id,
                    split="train",
                    messages=prompts.rewrite(AUTHOR, "- river\n- gauge"),
                    completion=join(post.markdown, [span]),
                    spans=(span,),
                )
            )
    folder.mkdir(parents=True)
    write_lines(folder / POSTS, made)
    write_lines(folder / SAMPLES, samples)
    manifest = FeatureManifest(
        version="F0001",
        content_id="c" * 64,
        created_at="2020-02-01",
        parent=None,
        parameters={},
        prompt=PromptId(version=prompt_version, author=AUTHOR),
        files={},
        posts={p.id: p.revision for p in made},
        splits=splits,
        embedder=PartId(name="none", id="none"),
        counts={},
    )
    return FeatureVersion(folder, manifest)
