"""The README's commands, run once for the whole suite, in the order in which a reader would type them.

What is changed for the tests is little and stands here: the reader's blog is the sample author's site on
loopback, training and answers are short, few posts are held out, and the interactive commands are given an
end of input.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

FEW = {"features.test_share": 0.05, "features.min_held_out": 3}
SHORT = {
    "training.max_tokens": 1200,  # so few that the demo need not measure what fits in its minutes
    "training.evaluations": 1,
    "training.validation_posts": 1,
    "training.shots": 0,  # so little training does not beat the base that is shown posts
}
BRIEF = {"generation.max_tokens": 64}
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Ran:
    """One command of the README and what came of it."""

    typed: str
    code: int
    stdout: str
    stderr: str


@dataclass
class Story:
    """Everything that was run, and the workspace that it left."""

    workspace: Path
    demo: Path
    ran: list[Ran] = field(default_factory=list)


def commands(readme: Path) -> list[str]:
    """The lines of the README's sh blocks, without the make targets; `_run` does what activating would."""
    blocks = re.findall(r"```sh\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.S)
    lines = [line for block in blocks for line in block.splitlines() if line]
    return [line for line in lines if not line.startswith(("make ", ". "))]


def tell(readme: Path, folder: Path, site: str) -> Story:
    """Run `llm-twin demo`, which `make demo` ends with, then every command of the README."""
    story = Story(workspace=folder / "my-twin", demo=folder / "llm-twin-demo")
    here = folder
    for typed in ["llm-twin demo", *commands(readme)]:
        if typed.startswith("cd "):
            here = here / typed.removeprefix("cd ")
            continue
        line = typed.replace(".venv/bin/llm-twin", "llm-twin")
        if line == "llm-twin demo":
            line = " ".join([line, *flags(FEW | SHORT | BRIEF)])
        line = line.replace("https://your.blog", f"{site} --allow-private")
        story.ran.append(_run(typed, line, here))
        if line.startswith(("llm-twin demo", "llm-twin init")):
            settle(story.demo if "demo" in line else story.workspace, FEW | SHORT | BRIEF)
    return story


def flags(settings: Mapping[str, object]) -> list[str]:
    """The settings as words of a command line."""
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def settle(workspace: Path, settings: Mapping[str, object]) -> None:
    """Write the settings into the workspace's twin.yaml, as its owner would."""
    file = workspace / "twin.yaml"
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    for key, value in settings.items():
        section, name = key.split(".")
        given[section][name] = value
    file.write_text(yaml.safe_dump(given, allow_unicode=True), encoding="utf-8")


def _run(typed: str, line: str, here: Path) -> Ran:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    environment.pop("LLM_TWIN_WORKSPACE", None)
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=here,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return Ran(typed, done.returncode, done.stdout, done.stderr)
