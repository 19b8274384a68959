"""`models list|show|diff|export|import|gc` at the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.registry import Pair
from tests.front_door import llm_twin, told
from tests.registry.made import lora, manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workspace with v1, live, and v2."""
    folder = tmp_path / "twin"
    compose.init(folder)
    registry = compose.open_workspace(folder).registry
    registry.register(lora(tmp_path / "one", 1.0), manifest())
    registry.register(lora(tmp_path / "two", 2.0), manifest(parameters={"rank": 8}, posts=("p2", "p3")))
    assert registry.switch(Pair("v1", "F0001"), "a test", None)
    return folder


def test_list_and_show(folder: Path) -> None:
    found = json.loads(told(folder, "models", "list", "--json"))
    assert [(m["version"], m["aliases"]) for m in found["models"]] == [
        ("v1", ["live"]),
        ("v2", ["candidate"]),
    ]
    lines = told(folder, "models", "show", "v2").splitlines()
    assert lines[0].startswith("v2  ")
    assert "features    F0001, which is not in this workspace (ffffffffffff)" in lines
    assert "posts       2 trained on" in lines
    assert "  p3" in lines


def test_a_damaged_version_is_listed_as_damaged(folder: Path) -> None:
    path = compose.open_workspace(folder).registry.get("v2").folder / "manifest.json"
    path.write_text(path.read_text()[:-40])
    found = json.loads(told(folder, "models", "list", "--json"))
    assert [(m["version"], m["damaged"]) for m in found["models"]] == [("v1", False), ("v2", True)]
    assert told(folder, "models", "list").splitlines()[-1].endswith("candidate, damaged")
    done = llm_twin(folder, "models", "show", "v2")
    assert done.returncode == 1
    assert "manifest.json cannot be read" in done.stderr


def test_diff(folder: Path) -> None:
    lines = told(folder, "models", "diff", "v1", "live").splitlines()
    assert lines == ["v1 to v1", "The same content."]
    found = json.loads(told(folder, "models", "diff", "v1", "v2", "--json"))
    assert found["settings"] == {"rank": [16, 8], "seed": [0, None]}
    assert (found["entered"], found["left"]) == (["p3"], ["p1"])
    lines = told(folder, "models", "diff", "v1", "v2").splitlines()
    assert "rank              16 to 8" in lines
    assert "  entered   p3" in lines


def test_what_is_exported_is_imported_into_another_workspace(folder: Path, tmp_path: Path) -> None:
    told(folder, "models", "export", "v2", "out/v2.zip")
    told(folder, "init", str(tmp_path / "other"))
    found = json.loads(told(tmp_path / "other", "models", "import", str(folder / "out" / "v2.zip"), "--json"))
    assert found == {
        "version": "v1",
        "content_id": compose.open_workspace(folder).registry.manifest("v2").content_id,
    }
    done = llm_twin(folder, "models", "export", "v2", "out/v2.zip")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["llm-twin: out/v2.zip exists already. Name something that does not."],
    )
    assert llm_twin(folder, "models", "export", "v2", "new", "--merged", "--gguf").returncode == 2
    foreign = lora(tmp_path / "foreign", 3.0)
    done = llm_twin(folder, "models", "import", str(foreign))
    assert done.returncode == 1
    assert "nothing says on which posts, prompt and base it was trained" in done.stderr


def test_a_tainted_version_is_exported_only_where_that_is_allowed(folder: Path) -> None:
    compose.open_workspace(folder).registry.taint("v2", ["p3"])
    done = llm_twin(folder, "models", "export", "v2", "out")
    assert (done.returncode, done.stderr.splitlines()) == (
        3,
        [
            "llm-twin: v2 was not exported: it was trained on post p3, which was forgotten since. Train a "
            "clean one: llm-twin train; or copy this one all the same: --allow-tainted."
        ],
    )
    assert not (folder / "out").exists()
    told(folder, "models", "export", "v2", "out", "--allow-tainted")
    assert "Tainted: it was trained on post p3" in (folder / "out" / "README.md").read_text()


def test_gc(folder: Path, tmp_path: Path) -> None:
    compose.open_workspace(folder).registry.register(lora(tmp_path / "three", 3.0), manifest())
    assert "v2  stays: kept until 20" in told(folder, "models", "gc")
    assert "v2  would go" in told(folder, "models", "gc", "--older-than", "0", "--dry-run")
    found = json.loads(told(folder, "models", "gc", "--older-than", "0", "--json"))
    assert (found["gone"], found["kept"]) == (["v2"], {"v1": "live", "v3": "candidate"})
    done = llm_twin(folder, "models", "show", "v2")
    assert done.returncode == 1
    assert "v2 is gone since 20" in done.stderr
