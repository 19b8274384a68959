"""The notebooks run from top to bottom on the sample's workspace in their checkout, and on no other."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from llm_twin import compose
from llm_twin.sample import AUTHOR
from tests.story import Story

# Jupyter's own client warns about its event loop on some platforms; our code runs in the kernel, not here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:zmq", "ignore::DeprecationWarning:jupyter_client"
)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own workspace, which the environment names."""
    folder = tmp_path / "my-twin"
    compose.init(folder, "Ida Lowe")
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", str(folder))
    return folder


def notebooks_of(checkout: Path) -> Path:
    """Where Jupyter starts the notebooks of a checkout."""
    (checkout / "pyproject.toml").touch()
    folder = checkout / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_runs(name: str, root: Path, story: Story, mine: Path) -> None:
    started_in = notebooks_of(story.demo.parent)
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    NotebookClient(book, timeout=600, kernel_name="python3").execute(cwd=str(started_in))
    outputs = [out for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert outputs
    assert not [out for out in outputs if out.output_type == "error"]
    assert list(started_in.iterdir()) == []
    assert [path.name for path in mine.iterdir()] == ["twin.yaml"]


def begin(root: Path, checkout: Path) -> None:
    """Run the first cells of the first notebook, which open its workspace."""
    book = nbformat.read(root / "notebooks" / "01_feature.ipynb", as_version=4)
    book.cells = book.cells[:2]
    NotebookClient(book, timeout=60, kernel_name="python3").execute(cwd=str(notebooks_of(checkout)))


@pytest.mark.usefixtures("mine")
def test_the_first_notebook_makes_the_workspace_that_is_not_there(root: Path, tmp_path: Path) -> None:
    begin(root, tmp_path)
    assert compose.open_workspace(tmp_path / "llm-twin-demo").config.author.name == AUTHOR


@pytest.mark.usefixtures("mine")
def test_the_first_notebook_refuses_the_twin_of_another_author(root: Path, tmp_path: Path) -> None:
    compose.init(tmp_path / "llm-twin-demo", "Ida Lowe")
    with pytest.raises(CellExecutionError, match="llm-twin-demo is a twin of Ida Lowe, not of Maud Orrick"):
        begin(root, tmp_path)


@pytest.mark.parametrize("name", ["01_feature", "02_training", "03_inference"])
def test_the_notebook_is_stored_without_outputs(name: str, root: Path) -> None:
    book = nbformat.read(root / "notebooks" / f"{name}.ipynb", as_version=4)
    assert [c for c in book.cells if c.cell_type == "code" and (c.outputs or c.execution_count)] == []
