"""A workspace with its configuration: what every function of compose works on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from llm_twin import config as configuration
from llm_twin.config import Config
from llm_twin.errors import WorkspaceError
from llm_twin.registry import Registry
from llm_twin.workspace import Workspace, atomic_write


@dataclass(frozen=True, slots=True)
class Twinspace:
    """A workspace and its validated configuration: what every function here works on."""

    workspace: Workspace
    config: Config

    @property
    def registry(self) -> Registry:
        """The model registry of this workspace."""
        return Registry(self.workspace.models)


def open_workspace(
    given: Path | None = None,
    overrides: Sequence[str] = (),
    presets: Sequence[Path] = (),
    defaults: Sequence[Path] = (),
) -> Twinspace:
    """Find the workspace and read its configuration, later over earlier: `defaults`, twin.yaml, `presets`,
    `--set`.

    Raises WorkspaceError, ConfigError.
    """
    workspace = Workspace.find(given)
    return Twinspace(workspace, configuration.load([*defaults, workspace.config_file, *presets], overrides))


def init(folder: Path, author: str | None = None, minutes: int | None = None) -> Workspace:
    """Make a workspace with a commented twin.yaml; `minutes` bounds each training in it.

    Raises WorkspaceError where there is one already, ConfigError for a name that cannot be one.
    """
    target = folder / "twin.yaml"
    if target.exists():
        raise WorkspaceError(f"{folder} is a workspace already ({target} exists)", "Choose another folder")
    text = files("llm_twin").joinpath("twin.yaml").read_text(encoding="utf-8")
    if author:
        configuration.load(
            overrides=[f"author.name={json.dumps(author, ensure_ascii=False)}"]
        )  # whether it can be one
        text = text.replace("name: the author", f"name: {json.dumps(author, ensure_ascii=False)}")
    if minutes:
        text = text.replace("# minutes: 20  ", f"minutes: {minutes:<6}")
    atomic_write(target, text)
    return Workspace.find(folder)
