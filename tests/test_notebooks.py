"""The notebooks run from top to bottom on the workspace that the README's commands left."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient

from tests.story import CHANGED, Story

# Jupyter's own client warns about its event loop on some platforms; our code runs in the kernel, not here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client"
)


def shorten(config: Path) -> None:
    """Give the workspace the settings that the demo was run with, so that the notebook finds its work."""
    given = yaml.safe_load(config.read_text(encoding="utf-8"))
    for word in CHANGED["llm-twin demo"].split():
        if word != "--set":
            section, key, value = re.split("[.=]", word, maxsplit=2)
            given[section][key] = yaml.safe_load(value)
    config.write_text(yaml.safe_dump(given), encoding="utf-8")


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_runs(name: str, root: Path, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", str(story.demo))
    shorten(story.demo / "twin.yaml")
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=600, kernel_name="python3").execute(cwd=str(story.demo))
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_is_stored_without_outputs(name: str, root: Path) -> None:
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [c for c in book.cells if c.cell_type == "code" and (c.outputs or c.execution_count)] == []
