"""`llm-twin write` with an outline, and of a text that was begun."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.front_door import environment, llm_twin
from tests.story import BIN, Story

BEGUN = "The beam was white this morning.\n\nI took the lamp and went down to the gate."


def test_an_outline_from_a_file_and_a_text_from_standard_input(story: Story, tmp_path: Path) -> None:
    (tmp_path / "outline.txt").write_text("- the beam\n- eleven geese\n")
    few = ["--set", "generation.max_tokens=12", "--model", "base", "--json"]
    by_outline = answered(story.demo, "Frost", "--outline", str(tmp_path / "outline.txt"), *few)
    by_title = answered(story.demo, "Frost", *few)
    continued = answered(story.demo, "Frost", "--continue", "-", *few, typed=BEGUN)
    assert all(answer["text"] and not answer["refused"] for answer in (by_outline, by_title, continued))
    assert len({answer["text"] for answer in (by_outline, by_title, continued)}) == 3


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--outline", "a.txt", "--continue", "b.md"], 2, "not both"),
        (["--outline", "none.txt"], 1, "none.txt cannot be read"),
        (["--continue", "none.md"], 1, "none.md cannot be read"),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, words: list[str], code: int, told: str) -> None:
    done = llm_twin(tmp_path, "write", "Frost", *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def answered(folder: Path, *words: str, typed: str = "") -> dict[str, object]:
    done = subprocess.run(
        [BIN / "llm-twin", "write", *words],
        cwd=folder,
        env=environment(),
        input=typed,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found
