from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llm_twin.registry.commit import commit


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", ".")
    (tmp_path / "llm_twin").mkdir()
    (tmp_path / "llm_twin" / "errors.py").write_text("one = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "one")
    git(tmp_path, "tag", "v9")
    return tmp_path


def test_a_checkout_names_its_commit_and_says_what_differs(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert commit(checkout / "llm_twin") == head
    (checkout / "llm_twin" / "errors.py").write_text("one = 2\n")
    assert commit(checkout / "llm_twin") == f"{head}-dirty"


def test_a_package_installed_below_someone_elses_checkout_has_none(checkout: Path) -> None:
    installed = checkout / "venv" / "site-packages" / "llm_twin"
    installed.mkdir(parents=True)
    assert commit(installed) is None


def test_a_broken_checkout_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert commit(tmp_path / "llm_twin") is None
