"""`forget` at the front door, and what the other commands then say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_twin.cli.forget import _lines
from tests.compose.traces import furnish, search_for_target, target
from tests.front_door import llm_twin, told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("cli")).workspace.root


def test_a_post_is_forgotten_and_its_model_refused(folder: Path) -> None:
    from llm_twin import compose

    space = compose.open_workspace(folder)
    post, search = target(space), search_for_target(space)

    dry = told(folder, "forget", post.id[:8], "--dry-run")
    assert f"{post.title!r} ({post.id}) would be forgotten" in dry
    assert "features   F0001, F0002 would be deleted" in dry
    assert "yours      answers.jsonl" in dry

    asked = llm_twin(folder, "forget", post.id)  # without a terminal there is nobody to ask
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert target(space) == post

    done = json.loads(told(folder, "forget", post.id, "--yes", "--json"))
    assert done["posts"] == {post.id: post.title}
    assert (done["versions"], done["successor"], done["tainted"]) == (["F0001", "F0002"], "F0003", ["v1"])
    assert (done["live"], done["live_tainted"]) == ({"model": "v1", "features": "F0003"}, True)
    assert search.bytes(folder) == {"answers.jsonl"}

    again = told(folder, "forget", post.id, "--yes")
    assert f"{post.id} was forgotten before" in again
    assert again.endswith("train a clean one (llm-twin train), or llm-twin models rollback.\n")
    *_, last = _lines(compose.forget(space, post.id, dry_run=True), tainted=True)
    assert last.endswith("train a clean one (llm-twin train).")

    refused = llm_twin(folder, "ask", "What did he say?")
    assert refused.returncode == 3
    (line,) = refused.stderr.splitlines()
    assert line.startswith(
        f"llm-twin: v1 was not served: it was trained on post {post.id}, which was forgotten since."
    )
    assert llm_twin(folder, "models", "promote", "v1").returncode == 3
    listed = {
        m["version"]: m["tainted"] for m in json.loads(told(folder, "models", "list", "--json"))["models"]
    }
    assert listed == {"v1": True, "v2": False}
    assert json.loads(told(folder, "models", "show", "v1", "--json"))["tainted"] == [post.id]
    assert "Live: base with F0003" in told(folder, "models", "rollback")
