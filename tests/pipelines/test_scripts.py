"""Each pipeline runs alone from its YAML, in a process of its own, on what the one before it stored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from tests.story import FEW, SHORT, Story, flags


def script(root: Path, name: str, workspace: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, root / "pipelines" / f"{name}_pipeline.py", "--workspace", workspace, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_three_pipelines_meet_in_the_workspace_only(story: Story, root: Path, tmp_path: Path) -> None:
    space = tmp_path / "alone"
    space.mkdir()
    for kept in ("twin.yaml", "library.db"):
        shutil.copy(story.demo / kept, space / kept)
    shutil.copytree(story.demo / "cache", space / "cache")  # texts that were embedded and measured before

    assert script(root, "feature", space, *flags(FEW)).startswith("F0001: 55 posts")
    assert script(root, "feature", space, *flags(FEW)).startswith("F0001: "), (
        "nothing changed: no new version"
    )

    assert script(root, "training", space, *flags(SHORT)).startswith("v1: ")

    (space / "in.jsonl").write_text("""{"ask": "Why don't you like Lookout?"}\n""")
    told = script(root, "inference", space, str(space / "in.jsonl"), str(space / "out.jsonl"))
    assert told.startswith("1 answered, 0 were there already")
    answer = json.loads((space / "out.jsonl").read_text())
    assert answer["features"] == "F0001"
    again = script(root, "inference", space, str(space / "in.jsonl"), str(space / "out.jsonl"))
    assert again.startswith("0 answered, 1 were there already")
