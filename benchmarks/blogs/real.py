"""What building a blog with a real engine takes: the engine in a cache, the texts as its source files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blogs.texts import ABOUT, Text

BASE = "https://gauge.example"
TIMEOUT_S = 900


class CannotBuild(Exception):
    """An engine that cannot be installed here, or did not build."""


@dataclass(frozen=True)
class Real:
    """A blog of a real engine.

    Attributes:
        name: engine and theme.
        address: a post's path.
        build: from (texts, an empty folder to work in, the cache) to the folder that is served.
    """

    name: str
    address: Callable[[Text], str]
    build: Callable[[Sequence[Text], Path, Path], Path]


def python_engine(cache: Path, name: str, packages: Sequence[str]) -> Path:
    """The bin folder of a virtual environment with packages of PyPI, made where it is missing."""
    home = cache / name
    if not (home / "bin" / "installed").is_file():
        command([sys.executable, "-m", "venv", str(home)], cache)
        command([str(home / "bin" / "pip"), "install", "--quiet", *packages], cache)
        (home / "bin" / "installed").touch()
    return home / "bin"


def node_engine(cache: Path, name: str, packages: Sequence[str]) -> Path:
    """The node_modules of packages of npm, installed where they are missing."""
    needed("npm")
    home = cache / name
    if not (home / "node_modules" / "installed").is_file():
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        command(["npm", "install", "--no-audit", "--no-fund", *packages], home)
        (home / "node_modules" / "installed").touch()
    return home / "node_modules"


def needed(program: str) -> str:
    """The path of a program. Raises CannotBuild where it is not installed."""
    found = shutil.which(program)
    if found is None:
        raise CannotBuild(f"{program} is not installed")
    return found


def command(arguments: Sequence[str], folder: Path, **environment: str) -> None:
    """Run a program to its end. Raises CannotBuild with the last it said."""
    folder.mkdir(parents=True, exist_ok=True)
    # Engines print dates in local time; the texts know only days.
    around = {**os.environ, "TZ": "UTC", "CI": "1", **environment}
    try:
        done = subprocess.run(
            arguments, cwd=folder, env=around, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"{Path(arguments[0]).name}: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-400:]
        raise CannotBuild(f"{Path(arguments[0]).name} failed: {said}")


def write(path: Path, text: str) -> None:
    """Write a source file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_posts(
    texts: Sequence[Text],
    folder: Path,
    name: Callable[[Text], str],
    more: Mapping[str, Any] | None = None,
    notes: bool = True,
) -> None:
    """Write the texts as Markdown files with YAML front matter.

    Args:
        name: of a text's file.
        more: further keys of the front matter, the same for all.
        notes: the engine knows footnotes.
    """
    for text in texts:
        meta = {"title": text.title, "date": f"{text.day} 09:30:00", "tags": list(text.tags), **(more or {})}
        body = text.markdown if notes else text.inline_notes
        write(folder / name(text), f"{front(meta)}\n{body}")


def front(meta: Mapping[str, Any]) -> str:
    """Front matter; JSON is YAML, but a quoted date is no date."""
    written = {
        key: value if key == "date" else json.dumps(value, ensure_ascii=False) for key, value in meta.items()
    }
    lines = "".join(f"{key}: {value}\n" for key, value in written.items())
    return f"---\n{lines}---\n"


def about_page(path: Path, **meta: Any) -> None:
    """Write the page about the author."""
    write(path, f"{front({'title': 'About', **meta})}\n{ABOUT}\n")
