"""The README's commands, run once for the whole suite, in the order in which a reader would type them.

What is changed for the tests is little and stands here: the reader's blog is the sample author's site on
loopback, training is short, few posts are held out, and the interactive commands are given an end of input.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

FEW = "--set features.test_share=0.05 --set features.min_held_out=3"
SHORT = (
    "--set training.max_tokens=2500 --set training.evaluations=1 --set training.validation_posts=2 "
    "--set training.shots=0"  # so little training does not beat the base that is shown posts
)
CHANGED = {"llm-twin demo": f"{FEW} {SHORT}", "llm-twin features build": FEW, "llm-twin train": SHORT}
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
    """The lines of the README's sh blocks, without the make targets."""
    blocks = re.findall(r"```sh\n(.*?)```", readme.read_text(encoding="utf-8"), flags=re.S)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("make ")]


def tell(readme: Path, folder: Path, site: str) -> Story:
    """Run `llm-twin demo`, which `make demo` ends with, then every command of the README."""
    story = Story(workspace=folder / "my-twin", demo=folder / "llm-twin-demo")
    here = folder
    for typed in ["llm-twin demo", *commands(readme)]:
        if typed.startswith("cd "):
            here = here / typed.removeprefix("cd ")
            continue
        line = typed.replace(".venv/bin/llm-twin", "llm-twin")
        line = " ".join([line, *CHANGED.get(line, "").split()])
        if line.startswith("llm-twin collect"):
            line = line.replace("https://your.blog", f"{site} --allow-private")
        story.ran.append(_run(typed, line, here))
    return story


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
