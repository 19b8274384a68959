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

# The settings that name a model: a folder, or what is packaged or on the Hub.
_MODELS = (("base", "id"), ("features", "embedder"), ("retrieval", "reranker"))


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
    `--set`. Paths in it are relative to the workspace, and to the present folder where there is none.

    Raises WorkspaceError, ConfigError.
    """
    workspace = Workspace.find(given)
    config = configuration.load([*defaults, workspace.config_file, *presets], overrides)
    return Twinspace(workspace, _located(config, workspace.root))


def _located(config: Config, root: Path) -> Config:
    """With the models that lie in the workspace by their whole paths, whatever the present folder is.

    Else from another folder "models/qwen" would be the id of a stranger's model on the Hub.
    """
    for section, key in _MODELS:
        part = getattr(config, section)
        name = getattr(part, key)
        packaged = name == type(part).model_fields[key].default
        if name and not packaged and not Path(name).is_absolute() and (root / name).is_dir():
            config = _with(config, section, key, str(root / name))
    if config.base.gguf:
        file = config.base.gguf.expanduser()
        config = _with(config, "base", "gguf", root / file if (root / file).is_file() else file)
    return config


def _with(config: Config, section: str, key: str, value: object) -> Config:
    return config.model_copy(update={section: getattr(config, section).model_copy(update={key: value})})


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
