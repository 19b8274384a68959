from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_twin import evaluation
from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.contracts.manifests import FeatureManifest, PartId, PromptId
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Message, Post, Split
from llm_twin.contracts.versions import POSTS, FeatureVersion, write_lines
from llm_twin.errors import EmptyStore
from llm_twin.evaluation.scoreboard import gain


class Bytes:
    """A tokenizer of one token a byte."""

    eos_ids: tuple[int, ...] = (0,)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        return list(messages[-1].content.encode())

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode()

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        return self.encode(text), list(range(1, len(text.encode()) + 1))


class Uniform:
    """Gives every token of any text the same number of bits."""

    dtype = "fp32"
    context = 4096

    def __init__(self, bits: float) -> None:
        self._nats = bits * math.log(2)

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
        return np.full(len(completion), -self._nats)


class Counting(Silent):
    """Counts the stages and the posts that it is told of."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.posts = 0

    def start(self, stage: str, total: int | None = None) -> None:
        self.stages.append((stage, total))

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.posts += steps


def version(folder: Path, held_out: Sequence[str]) -> FeatureVersion:
    posts = []
    for n, markdown in enumerate(["Old post.", *held_out]):
        url = f"https://ada.example/{n}"
        posts.append(
            Post(
                id=Post.id_of(url), url=url, title="T", published_at=None, markdown=markdown, revision=str(n)
            )
        )
    write_lines(folder / POSTS, posts)
    splits: dict[Split, tuple[str, ...]] = {
        "train": (posts[0].id,),
        "validation": (),
        "test": tuple(p.id for p in posts[1:]),
    }
    manifest = FeatureManifest(
        version="F0003",
        content_id="c",
        created_at="",
        parent=None,
        parameters={},
        prompt=PromptId(version="1", author="Ada"),
        files={},
        posts={},
        splits=splits,
        embedder=PartId(name="none", id="none"),
        counts={},
    )
    return FeatureVersion(folder, manifest)


def test_systems_are_measured_on_the_same_posts_and_compared(tmp_path: Path) -> None:
    features = version(tmp_path, ["One of them.", "And the other one."])
    told = Counting()
    scorers = {"base": Uniform(2.0), "adapter": Uniform(1.5)}
    report = evaluation.run(features, scorers, Bytes(), "test", told)
    assert report.bits_per_byte["base"].value == pytest.approx(2.0)
    assert report.bits_per_byte["adapter"].value == pytest.approx(1.5)
    assert report.gains["adapter"].value == pytest.approx(0.25)
    assert set(report.gains) == {"adapter"}
    assert told.stages == [("evaluate base", 2), ("evaluate adapter", 2)]
    assert told.posts == 4


def test_the_report_is_json_and_a_table(tmp_path: Path) -> None:
    report = evaluation.run(
        version(tmp_path, ["One.", "Two!"]), {"base": Uniform(2), "adapter": Uniform(1.8)}, Bytes()
    )
    figures = json.loads(json.dumps(report.to_json()))
    assert figures["features"] == "F0003"
    assert figures["split"] == "test"
    assert figures["bits_per_byte"]["adapter"]["value"] == pytest.approx(1.8)
    assert len(figures["bits_per_byte"]["adapter"]["posts"]) == 2
    assert figures["gains"]["adapter"]["value"] == pytest.approx(0.1)
    lines = report.markdown().splitlines()
    assert "2 test posts of F0003" in lines[0]
    assert lines[-2].startswith("| base | 2.0000 |")
    assert "| 10.0% | 10.0% to 10.0% |" in lines[-1]


def test_posts_without_prose_are_an_error_that_counts_them(tmp_path: Path) -> None:
    features = version(tmp_path, ["> a quote", "```\ncode\n```"])
    with pytest.raises(EmptyStore, match=r"test posts of F0003 hold no prose.*2 posts"):
        evaluation.run(features, {"base": Uniform(1)}, Bytes())
    with pytest.raises(EmptyStore, match="validation posts"):
        evaluation.run(features, {"base": Uniform(1)}, Bytes(), "validation")


def bits(*values: float, ids: str = "") -> BitsPerByte:
    names = ids or "abcdefghijklmnop"
    rows = tuple(
        PostBits(post_id=name, bits=v, tokens=10, bytes=10) for name, v in zip(names, values, strict=False)
    )
    return BitsPerByte(value=sum(values) / 10 / len(values), low=0, high=9, posts=rows, dtype="fp32")


def test_the_gains_interval_is_paired() -> None:
    # Posts differ widely, the gain on each does not: an unpaired interval would be far wider.
    base = [5.0, 50.0, 12.0, 90.0, 31.0, 8.0]
    found = gain(bits(*(0.9 * b for b in base)), bits(*base))
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)
    mixed = gain(bits(*(b * f for b, f in zip(base, (0.8, 1, 0.9, 0.8, 1, 0.9), strict=True))), bits(*base))
    assert mixed.low < mixed.value < mixed.high


def test_a_gain_over_other_posts_is_refused() -> None:
    with pytest.raises(ValueError, match="different posts"):
        gain(bits(1, 2, ids="ab"), bits(1, 2, ids="ba"))
