from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post, Sample
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature import run
from llm_twin.feature.doctor import check
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


@pytest.fixture
def version(tmp_path: Path, post: Make, embedder: Any, store: Any) -> FeatureVersion:
    space = Workspace(tmp_path)
    run([post(n) for n in range(40)], Config(), embedder, store, space, Silent())
    return FeatureVersion.open(space.features / "F0001")


def with_samples(version: FeatureVersion, samples: list[Sample]) -> FeatureVersion:
    version.__dict__["samples"] = samples  # where cached_property keeps it
    return version


def test_a_sound_version(version: FeatureVersion) -> None:
    assert check(version) == []


def test_the_sample_author_is_sound(tmp_path: Path, author: list[Post], embedder: Any, store: Any) -> None:
    space = Workspace(tmp_path)
    run(author, Config(), embedder, store, space, Silent())
    assert check(FeatureVersion.open(space.features / "F0001")) == []


def test_a_completion_that_is_not_the_authors(version: FeatureVersion) -> None:
    bad = version.samples[0].model_copy(update={"completion": "As an AI language model, I cannot."})
    problems = check(with_samples(version, [bad, *version.samples[1:]]))
    assert problems == [f"1 of {len(version.samples)} completions are not the author's text ({bad.id})"]


def test_a_sample_of_a_test_post(version: FeatureVersion) -> None:
    test = version.manifest.splits["test"][0]
    bad = version.samples[0].model_copy(update={"post_id": test})
    assert any(
        p == f"1 samples are of test posts ({bad.id})"
        for p in check(with_samples(version, [bad, *version.samples]))
    )


def test_a_sample_in_the_wrong_split(version: FeatureVersion) -> None:
    bad = version.samples[0].model_copy(update={"split": "validation"})
    problems = check(with_samples(version, [bad, *version.samples[1:]]))
    assert any("not in the split of their post" in p for p in problems)


def test_a_text_in_two_splits(version: FeatureVersion) -> None:
    old, new = version.manifest.splits["train"][0], version.manifest.splits["test"][0]
    twin = version.posts[new].model_copy(update={"markdown": version.posts[old].markdown.upper()})
    version.__dict__["posts"] = {**version.posts, new: twin}
    assert check(version) == [f"1 posts stand in two splits with the same text ({old} and {new})"]


def test_a_target_in_two_splits(version: FeatureVersion) -> None:
    learnt = next(s for s in version.samples if s.split == "train" and s.task == "rewrite")
    copy = learnt.model_copy(update={"id": "copy", "split": "validation"})
    problems = check(with_samples(version, [*version.samples, copy]))
    assert "1 targets stand in training and validation alike (copy)" in problems


def test_lost_contractions_and_punctuation(version: FeatureVersion) -> None:
    flat = [
        s.model_copy(
            update={"completion": s.completion.replace("n't", " not").replace(",", "").replace(";", "")}
        )
        for s in version.samples
    ]
    problems = " ".join(check(with_samples(version, flat)))
    assert "0.00 times the contractions" in problems
    assert "0.00 times the commas" in problems


def test_no_training_samples(version: FeatureVersion) -> None:
    assert check(with_samples(version, [])) == ["There are no training samples"]
