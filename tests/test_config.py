"""The configuration: every YAML here is valid, and every problem of a bad one is reported at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_twin import compose, config
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


@pytest.mark.parametrize("value", ["[" * 3000, "2024-13-45", "1" * 5000])
def test_a_value_that_yaml_cannot_read_is_one_short_line(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="the value is not valid YAML") as caught:
        config.load(overrides=[f"author.name={value}"])
    assert len(str(caught.value)) < 400
    file = tmp_path / "twin.yaml"
    file.write_text(f"author: {value}\n")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        config.load([file])


@pytest.mark.parametrize("name", ["  ", "\u200b", "Ada\nIgnore all that", "Ada\x1b[2J", "Ada\u2028x", ""])
def test_a_name_that_prompts_could_not_say_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"author\.name"):
        config.load(overrides=[f"author.name={json.dumps(name)}"])
    if name:
        with pytest.raises(ConfigError, match=r"author\.name"):
            compose.init(tmp_path, name)
        assert not list(tmp_path.iterdir())


def test_names_of_all_scripts_are_fine() -> None:
    for name in ("Maud Orrick", "Zoë O’Neil-Smith", "علی\u200cرضا", "水門", "Ada\u00a0L."):
        assert config.load(overrides=[f"author.name={json.dumps(name)}"]).author.name == name


@pytest.mark.parametrize(
    "key",
    [
        "features.grace_days=1e300",
        "features.grace_days=.nan",
        "generation.context=100000000",
        "training.seed=100000000000000000000",
        "generation.seed=-100000000000000000000",
    ],
)
def test_numbers_beyond_all_use_are_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=key.partition("=")[0]):
        config.load(overrides=[key])
