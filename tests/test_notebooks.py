"""The notebooks run from top to bottom on the workspace that the README's commands left."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.story import Story

# Jupyter's own client warns about its event loop on some platforms; our code runs in the kernel, not here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client"
)


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_runs(name: str, root: Path, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", str(story.demo))
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=600, kernel_name="python3").execute(cwd=str(story.demo))
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_is_stored_without_outputs(name: str, root: Path) -> None:
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [c for c in book.cells if c.cell_type == "code" and (c.outputs or c.execution_count)] == []
