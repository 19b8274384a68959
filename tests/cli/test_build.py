"""`features build` at the front door: what is private is named, and is nowhere in what was made."""

from __future__ import annotations

import json
from pathlib import Path

from tests.compose.tiny import OVERRIDES, make_base, make_workspace
from tests.front_door import llm_twin, told

POST = """---
title: Gate {n}
date: 2020-0{n}-15
---
I didn't open gate {n} before breakfast, because Captain Yarrow had {n} boxes of walnuts aboard the barge and
she wouldn't wait for the frost to lift. Mail ida{n}@lockmail.org if you've seen her, or ring (415) 555-2671.
"""


def test_what_is_private_is_named_and_masked(tmp_path: Path) -> None:
    (tmp_path / "posts").mkdir()
    for n in range(1, 5):
        (tmp_path / "posts" / f"{n}.md").write_text(POST.format(n=n), encoding="utf-8")
    told(tmp_path, "init", ".")
    told(tmp_path, "collect", "posts")
    report = json.loads(told(tmp_path, "features", "build", "--json"))
    assert report["private"] == {"e-mail address": 4, "phone number": 4}
    assert report["masked"] is True
    assert "Masked: 4 e-mail addresses and 4 phone numbers in 4 posts." in report["remarks"]
    made = (tmp_path / "features" / "F0001").rglob("*.jsonl")
    assert not [path for path in made if "lockmail" in path.read_text(encoding="utf-8")]
    bare = told(tmp_path, "features", "build", "--set", "features.mask=false")
    assert "samples, 4 e-mail addresses and 4 phone numbers not masked, " in bare


def test_a_version_that_the_gate_refuses_is_kept_and_told_by_the_exit_code(tmp_path: Path) -> None:
    folder = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"))
    idle = (*OVERRIDES, "training.max_tokens=300", "training.shots=0", "training.learning_rate=1e-30")
    done = llm_twin(folder, "train", *(word for setting in idle for word in ("--set", setting)))
    assert done.returncode == 3, done.stderr
    assert "Not live: " in done.stdout
    assert "v1" in told(folder, "models", "list")
    assert json.loads(told(folder, "models", "list", "--json"))["live"] is None
