"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llm_twin.sample.serve import sample_site
from tests.story import Story, tell

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest part first, lest one process of `make test` is left with it alone."""
    items.sort(key=lambda item: _part(item.nodeid) != "story")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole parts, so that no process makes a fixture that another has made."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPart(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _part(nodeid)

    return ByPart(config, log)


def _part(nodeid: str) -> str:
    """Which part of the suite a test is of: its file, or the story with all the files that look at it."""
    file, _, _ = nodeid.partition("::")
    return "story" if _looks_at_the_story(file) else file


@cache
def _looks_at_the_story(file: str) -> bool:
    """By its text: the process that deals out tests knows their names alone."""
    return "story: Story" in (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's checkout."""
    return ROOT


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of public test data; a newcomer's clone has none, CI always must."""
    folder = Path(os.environ.get("LLM_TWIN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = f"no test data at {folder} (set LLM_TWIN_TEST_DATA)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The README's commands, run once: a trained twin of the sample author that many tests look at."""
    folder = tmp_path_factory.mktemp("story")
    with sample_site(folder / "site") as url:
        return tell(ROOT / "README.md", folder, url)


@pytest.fixture(scope="session")
def mlflow_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of a real MLflow, to be copied: making its tables takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with warnings.catch_warnings():
        # MLflow 3.17 on SQLAlchemy 2.1, as it is imported
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path
