"""Each pipeline runs alone from its YAML, in a process of its own, on what the one before it stored."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llm_twin import compose
from llm_twin.config import Config
from tests.compose.tiny import OVERRIDES, make_base, make_workspace
from tests.story import FEW, SHORT, Story, flags


def script(root: Path, name: str, workspace: Path, *words: str, code: int = 0, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, root / "pipelines" / f"{name}_pipeline.py", "--workspace", workspace, *words],
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


class Seen(Exception):
    """Carries the configuration that a script works with."""


def configured(root: Path, name: str, workspace: Path, config: Sequence[Path] = ()) -> Config:
    main: Any = runpy.run_path(str(root / "pipelines" / f"{name}_pipeline.py"))["main"]
    files = {"source": Path("in"), "out": Path("out")} if name == "inference" else {}
    with pytest.raises(Seen) as seen:
        main(**files, workspace=workspace, config=list(config))
    found: Config = seen.value.args[0]
    return found


def test_twin_yaml_wins_over_a_scripts_yaml_and_a_given_one_over_both(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = compose.open_workspace

    def told(*given: Any) -> compose.Twinspace:
        raise Seen(opened(*given).config)

    monkeypatch.setattr(compose, "open_workspace", told)
    (tmp_path / "twin.yaml").write_text("features: {tasks: [write]}\nbase: {id: mine}\nretrieval: {k: 8}\n")
    assert configured(root, "feature", tmp_path).features.tasks == ("write",)
    assert configured(root, "training", tmp_path).base.id == "mine"
    assert configured(root, "inference", tmp_path).retrieval.k == 8
    (tmp_path / "given.yaml").write_text("base: {id: given}\n")
    assert configured(root, "training", tmp_path, [tmp_path / "given.yaml"]).base.id == "given"


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


# Training that learns nothing, so that the gate refuses what comes of it.
IDLE = (*OVERRIDES, "training.max_tokens=300", "training.shots=0", "training.learning_rate=1e-30")
REFUSED = [word for setting in IDLE for word in ("--set", setting)]


def test_training_that_the_gate_refuses_exits_with_3(root: Path, tmp_path: Path) -> None:
    space = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    told = script(root, "training", space, *REFUSED, code=3)
    assert told.startswith("v1: ")
    assert "\nnot live: " in told


def test_of_several_processes_the_first_alone_tells_what_the_gate_said(root: Path, tmp_path: Path) -> None:
    space = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    together |= {"ACCELERATE_USE_CPU": "yes", "OMP_NUM_THREADS": "1"}

    def told(rank: int, code: int) -> str:
        ranked = together | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        return script(root, "training", space, *REFUSED, code=code, **ranked)

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(told, (0, 1), (3, 0))
    assert "\nnot live: " in first
    assert second == ""
