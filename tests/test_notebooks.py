"""The notebooks run from top to bottom on the workspace that the README's commands left."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.story import SHORT, Story

# Jupyter's own client warns about its event loop on some platforms; our code runs in the kernel, not here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client"
)


def shorten(config: Path) -> None:
    """Give the workspace the short training that the demo was run with, so that the notebook finds it."""
    text = config.read_text(encoding="utf-8")
    keys = [word.removeprefix("training.").replace("=", ": ") for word in SHORT.split() if "=" in word]
    if keys[0] not in text:
        config.write_text(
            text.replace("training:\n", "training:\n  " + "\n  ".join(keys) + "\n"), encoding="utf-8"
        )


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
