"""`features list|show|diff|gc` at the front door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_twin import compose
from llm_twin.registry import Pair
from tests.front_door import told

POST = """---
title: Gate {n}
date: 20{n:02d}-05-15
---
I didn't open gate {n} before breakfast, because Captain Yarrow had {n} boxes of walnuts aboard the barge and
she wouldn't wait for the frost to lift; so we drank tea in the hut until the river fell by {n} inches{more}.
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """F0001 of five posts; in F0002 one has entered and one has changed. F0001 is live."""
    folder = tmp_path_factory.mktemp("versions")
    write(folder, 1, 2, 3, 4, 5)
    told(folder, "init", ".")
    told(folder, "collect", "posts")
    told(folder, "features", "build")
    compose.open_workspace(folder).registry.switch(Pair("base", "F0001"), "a test", None)
    write(folder, 6)
    write(folder, 2, more=" and more")
    told(folder, "collect", "posts")
    told(folder, "features", "build", "--set", "features.chunk_tokens=90")
    return folder


def write(folder: Path, *numbers: int, more: str = "") -> None:
    for n in numbers:
        path = folder / "posts" / f"{n}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(POST.format(n=n, more=more), encoding="utf-8")


def test_list(folder: Path) -> None:
    found = json.loads(told(folder, "features", "list", "--json"))["features"]
    assert [(f["version"], f["parent"], f["counts"]["posts"], f["live"]) for f in found] == [
        ("F0001", None, 5, False),
        ("F0002", "F0001", 6, True),  # the build moved the pair
    ]
    assert [line.split()[-1] == "live" for line in told(folder, "features", "list").splitlines()] == [
        False,  # the headings
        False,
        True,
    ]


def test_show(folder: Path) -> None:
    lines = told(folder, "features", "show", "F0001").splitlines()
    assert lines[0].startswith("F0001  ")
    assert "written     2001-05-15 to 2005-05-15" in lines
    assert "  years       2001 1, 2002 1, 2003 1, 2004 1, 2005 1" in lines
    found = json.loads(told(folder, "features", "show", "F0001", "--json"))
    assert found["statistics"]["kinds"] == {"post": 5}
    assert len(found["posts"]) == 5
    assert found["parameters"]["chunk_tokens"] == 160


def test_diff(folder: Path) -> None:
    found = json.loads(told(folder, "features", "diff", "F0001", "F0002", "--json"))
    assert {what: len(ids) for what, ids in found["posts"].items()} == {"entered": 1, "left": 0, "changed": 1}
    assert found["settings"] == {"chunk_tokens": [160, 90]}
    assert len(found["samples"]["write"]["changed"]) == 1
    text = told(folder, "features", "diff", "F0001", "F0002")
    assert "posts       1 entered, 0 left, 1 changed" in text
    assert "Gate 6" in text
    assert "chunk_tokens      160 to 90" in text
    assert "The same content." in told(folder, "features", "diff", "F0002", "F0002")


def test_versions_are_collected_when_asked_and_by_a_build(folder: Path) -> None:
    found = json.loads(told(folder, "features", "gc", "--dry-run", "--json"))
    assert (found["gone"], found["dry_run"]) == ([], True)
    assert found["kept"] == {"F0001": "a rollback leads to it", "F0002": "live"}  # the build moved the pair
    write(folder, 7)
    told(folder, "collect", "posts")
    told(folder, "features", "build")
    assert "F0001  stays: kept until " in told(folder, "features", "gc")
    assert "F0001  would go" in told(folder, "features", "gc", "--older-than", "0", "--dry-run")
    write(folder, 8)
    told(folder, "collect", "posts")
    told(folder, "features", "build", "--set", "features.grace_days=0")
    found = json.loads(told(folder, "features", "list", "--json"))["features"]
    assert [f["version"] for f in found] == ["F0003", "F0004"]
    assert "Nothing to collect." in told(folder, "features", "gc", "--older-than", "0")
