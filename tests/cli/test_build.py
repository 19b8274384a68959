"""`features build` at the front door: what is private is named, and is nowhere in what was made."""

from __future__ import annotations

import json
from pathlib import Path

from tests.front_door import told

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
