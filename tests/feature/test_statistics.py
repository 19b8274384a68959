from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_twin.config import Config, load
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature import run
from llm_twin.feature.statistics import statistics
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


def test_what_a_person_asks_of_a_version(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(30)] + [post(30, date=None)]
    run(posts, Config(), embedder, store, Workspace(tmp_path), Silent())
    version = FeatureVersion.open(tmp_path / "features" / "F0001")
    found = version.manifest.statistics
    assert found["words"] == sum(len(p.markdown.split()) for p in posts)
    assert found["years"] == {"2010": 12, "2011": 12, "2012": 6, "unknown": 1}
    assert (found["first"], found["last"], found["undated"]) == ("2010-01-15", "2012-06-15", 1)
    assert found["kinds"] == {"post": 31}
    assert found["sources"] == {"lock.example": 31}
    tokens = sorted(embedder.count_tokens(c.text) for c in version.chunks.values())
    assert found["chunk_tokens"][0] == tokens[0]
    assert found["chunk_tokens"][2] == tokens[-1]
    assert sum(map(sum, (tasks.values() for tasks in found["samples"].values()))) == len(version.samples)
    assert found["samples"]["test"] == {}


def test_statistics_are_no_part_of_the_identity(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    run([post(n) for n in range(9)], Config(), embedder, store, Workspace(tmp_path), Silent())
    manifest = FeatureVersion.open(tmp_path / "features" / "F0001").manifest
    assert manifest.statistics
    assert manifest.model_copy(update={"statistics": {}}).sealed().content_id == manifest.content_id
    other = manifest.model_copy(update={"version": "F0009", "parent": "F0008", "created_at": "2001-01-01"})
    assert other.sealed().content_id == manifest.content_id


def test_when_old_versions_go_is_no_part_of_the_identity(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    posts = [post(n) for n in range(9)]
    run(posts, Config(), embedder, store, Workspace(tmp_path), Silent())
    other = load(overrides=["features.grace_days=1"])
    assert not run(posts, other, embedder, store, Workspace(tmp_path), Silent()).created


def test_nothing_at_all_has_figures_too() -> None:
    assert statistics([], [], [], len)["post_words"] == [0, 0, 0]


def test_words_of_a_script_without_blanks_are_its_characters(post: Make) -> None:
    assert statistics([post(1, "水位は1.8 mです")], [], [], len)["post_words"] == [7, 7, 7]


def test_code_and_quotes_are_no_prose(post: Make) -> None:
    words = "The gate was shut before noon and the barge waited in the rain below it."
    assert statistics([post(1, f"{words}\n\n```\n{words}\n```")], [], [], len)["prose_share"] < 0.6
    assert statistics([post(1, words)], [], [], len)["prose_share"] == 1.0
