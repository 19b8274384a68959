"""`posts ...` at the front door."""

from __future__ import annotations

import json
from pathlib import Path

from tests.front_door import llm_twin, told

POST = "---\nurl: https://ann.example/tea/\ntitle: {title}\n---\nOn tea.\u2028Still the line.\n\n{text}\n"


def collected(folder: Path, title: str, text: str) -> None:
    (folder / "posts").mkdir(exist_ok=True)
    (folder / "posts" / "tea.md").write_text(POST.format(title=title, text=text), encoding="utf-8")
    told(folder, "collect", "posts")


def test_what_was_edited_is_shown_be_it_the_title_alone(tmp_path: Path) -> None:
    told(tmp_path, "init", ".")
    collected(tmp_path, "Tea", "Hot.")
    post = "https://ann.example/tea/"
    assert json.loads(told(tmp_path, "posts", "diff", post, "--json")) == {"revisions": 1, "diff": []}
    collected(tmp_path, "On tea", "Hot.")
    found = json.loads(told(tmp_path, "posts", "diff", post, "--json"))
    assert found["revisions"] == 2
    assert found["diff"][3:] == ["-# Tea", "+# On tea", " ", " On tea.\u2028Still the line.", " "]
    collected(tmp_path, "On tea", "Cold.")
    found = json.loads(told(tmp_path, "posts", "diff", post, "--json"))
    assert found["diff"][-2:] == ["-Hot.", "+Cold."]


def test_a_post_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    told(tmp_path, "init", ".")
    for command in ("show", "diff"):
        done = llm_twin(tmp_path, "posts", command, "nowhere")
        assert done.returncode == 1
        assert "No post in library.db for 'nowhere'" in done.stderr
        assert "llm-twin posts list" in done.stderr
