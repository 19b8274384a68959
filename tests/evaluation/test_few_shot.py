from __future__ import annotations

import pytest

from llm_twin import evaluation
from llm_twin.config import Config
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.evaluation import FEW_SHOT, examples
from llm_twin.feature import run
from llm_twin.workspace import Workspace
from tests.evaluation.test_scoreboard import Bytes, Uniform
from tests.feature.conftest import HashEmbedder, MemoryStore, make_post


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> FeatureVersion:
    workspace = Workspace(tmp_path_factory.mktemp("few-shot"))
    posts = [make_post(n) for n in range(30)]
    run(posts, Config(), HashEmbedder(), MemoryStore(), workspace, Silent())
    return FeatureVersion.open(workspace.features / "F0001")


def test_only_training_posts_are_shown_and_the_nearest_last(features: FeatureVersion) -> None:
    nearest = examples(features, 3)
    learnt = {post.id for post in features.split("train")}

    def cosine(one: str, other: str) -> float:
        means = []
        for wanted in (one, other):
            rows = [row for row, chunk in enumerate(features.chunks.values()) if chunk.post_id == wanted]
            mean = features.vectors[rows].mean(axis=0)
            means.append(mean / (mean @ mean) ** 0.5)
        return float(means[0] @ means[1])

    for post in features.split("test"):
        shown = [other.id for other in nearest(post)]
        assert len(shown) == 3
        assert set(shown) <= learnt
        likeness = [cosine(post.id, other) for other in shown]
        assert likeness == sorted(likeness)
        assert min(likeness) >= max(cosine(post.id, other) for other in learnt - set(shown)) - 1e-6


def test_a_post_that_has_no_vector_gets_the_newest(features: FeatureVersion) -> None:
    shown = examples(features, 3)(make_post(99))
    assert [post.id for post in shown] == list(features.manifest.splits["train"][-3:])


def test_the_base_is_measured_with_examples_too_where_that_is_asked(features: FeatureVersion) -> None:
    scorers = {"base": Uniform(2), "adapter": Uniform(1.5)}
    assert set(evaluation.run(features, scorers, Bytes()).bits_per_byte) == {"base", "adapter"}
    report = evaluation.run(features, scorers, Bytes(), shots=2)
    assert list(report.bits_per_byte) == ["base", "adapter", FEW_SHOT]
    assert set(report.gains) == {"adapter", FEW_SHOT}
