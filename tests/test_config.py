"""The configuration: every YAML here is valid, and every problem of a bad one is reported at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_twin import config
from llm_twin.errors import ConfigError


def test_every_yaml_of_the_project_is_valid(root: Path) -> None:
    files = [*sorted((root / "configs").glob("*.yaml")), root / "llm_twin" / "twin.yaml"]
    assert [f.name for f in files] == [
        "feature.yaml",
        "inference.yaml",
        "qwen3-0.6b.yaml",
        "qwen3-1.7b.yaml",
        "training.yaml",
        "twin.yaml",
    ]
    for file in files:
        config.load([file])


def test_the_commented_file_states_the_real_defaults(root: Path) -> None:
    assert config.load([root / "llm_twin" / "twin.yaml"]) == config.Config()


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "twin.yaml"
    file.write_text("training:\n  rang: 8\n  rank: 0\nauthors:\n  name: x\n")
    with pytest.raises(ConfigError) as caught:
        config.load([file], ["generation.temperature=hot", "rank"])
    assert len(caught.value.problems) == 5
    message = str(caught.value)
    assert "training.rang is not a known key (did you mean rank?)" in message
    assert "authors is not a known key (did you mean author?)" in message
    assert "training.rank = 0" in message
    assert "generation.temperature = 'hot'" in message
    assert "'rank' is not of the form section.key=value" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["- a list", "just words", "a: [1", "\x00", "training: 3"])
def test_a_file_that_holds_no_sections_is_one_clear_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "twin.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load([file])
    assert "\n" not in str(caught.value)


def test_later_sources_win_key_by_key(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("training: {rank: 4, alpha: 8}\n")
    two.write_text("training: {rank: 6}\n")
    loaded = config.load([one, two], ["training.alpha=10", "author.name=Ada: the first"])
    assert (loaded.training.rank, loaded.training.alpha) == (6, 10)
    assert loaded.author.name == "Ada: the first"


def test_an_empty_section_means_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "twin.yaml"
    file.write_text("training:\nauthor:\n  name: Ada\n")
    assert config.load([file]).training == config.Training()
