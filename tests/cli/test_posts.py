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


def test_the_list_is_the_same_for_people_and_for_machines(tmp_path: Path) -> None:
    told(tmp_path, "init", ".")
    collected(tmp_path, "Tea", "Hot.")
    (post,) = json.loads(told(tmp_path, "posts", "list", "--json"))["posts"]
    assert (post["title"], post["words"]) == ("Tea", 6)
    assert told(tmp_path, "posts", "list").split()[-2:] == ["6", "Tea"]


def test_an_export_takes_the_place_of_an_export(tmp_path: Path) -> None:
    told(tmp_path, "init", ".")
    told(tmp_path, "posts", "export", "posts.jsonl")
    assert (tmp_path / "posts.jsonl").read_bytes() == b""
    for text in ("Hot.", "Cold."):
        collected(tmp_path, "Tea", text)
        told(tmp_path, "posts", "export", "posts.jsonl")
        (line,) = (tmp_path / "posts.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
        post = json.loads(line)
        assert list(post) == ["id", "url", "title", "published_at", "markdown", "kind", "text"]
        assert post["markdown"].endswith(text)
    assert told(tmp_path, "posts", "export", "-") == f"{line}\n"
    assert not (tmp_path / "-").exists()
    assert llm_twin(tmp_path, "posts", "export", "-", "--json").returncode == 2


def test_an_export_takes_the_place_of_nothing_else(tmp_path: Path) -> None:
    told(tmp_path, "init", ".")
    collected(tmp_path, "Tea", "Hot.")
    (tmp_path / "questions.jsonl").write_text('{"ask": "Why?"}\n')
    (tmp_path / "[].json").write_text("[]\n")
    for name in ("library.db", "twin.yaml", "posts/tea.md", "questions.jsonl", "[].json"):
        before = (tmp_path / name).read_bytes()
        done = llm_twin(tmp_path, "posts", "export", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"llm-twin: {name} holds something that no export wrote. Name another file for the output.\n"
        )
        assert (tmp_path / name).read_bytes() == before
