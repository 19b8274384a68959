"""The README is true: its commands run, its links resolve, its tree is the tree."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.story import Story, commands


def test_every_command_of_the_readme_runs(story: Story) -> None:
    failed = [(ran.typed, ran.code, ran.stderr[-600:]) for ran in story.ran if ran.code != 0]
    assert failed == []
    assert len(story.ran) >= 20


def test_the_table_names_every_command(root: Path) -> None:
    from llm_twin.cli.app import app

    named = set(re.findall(r"`llm-twin (\w+)", (root / "README.md").read_text(encoding="utf-8")))
    table = (root / "README.md").read_text(encoding="utf-8").split("| Command |")[1].split("\n\n")[0]
    there = {c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands}
    there |= {group.name or "" for group in app.registered_groups}
    for command in there - {"evaluate"}:
        assert f"`{command}" in table or f"llm-twin {command}" in table, command
    assert named - there - {"eval"} == set(), "the README names a command that does not exist"


def test_links_of_the_readme_resolve(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_the_tree_has_a_line_for_every_part(root: Path) -> None:
    tree = (root / "README.md").read_text(encoding="utf-8").split("## The tree")[1].split("```")[1]
    package = root / "llm_twin"
    parts = {p.relative_to(root).as_posix() for p in package.rglob("*.py") if p.name != "__init__.py"}
    named = modules_in(tree)
    assert parts - named == set()
    assert {path for path in named if not (root / path).is_file()} == set()


def modules_in(tree: str) -> set[str]:
    """The paths of the modules in a drawn tree: each lies in the folder that its line is under."""
    paths: set[str] = set()
    folders: list[str] = []
    for line in tree.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first = line.split()[0]
        folders[depth:] = [first] if first.endswith("/") else []
        paths |= {"".join(folders) + name for name in re.findall(r"\w+\.py\b", line)}
    return paths


def test_ctrl_d_ends_the_chat_politely(story: Story) -> None:
    chats = [ran for ran in story.ran if "llm-twin chat" in ran.typed]
    assert len(chats) == 2
    assert all("You are talking to the twin of" in ran.stdout for ran in chats)


def test_the_demo_ends_with_what_to_type_next(story: Story) -> None:
    demo = story.ran[0]
    assert demo.typed == "llm-twin demo"
    assert demo.stdout.rstrip().endswith("llm-twin chat --workspace llm-twin-demo")
    for word in ("base", "twin", "Bits per byte", "F0001", "v1"):
        assert word in demo.stdout


def test_batch_answers_have_their_sources(story: Story) -> None:
    lines = (story.workspace / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    answer = json.loads(lines[0])
    assert "error" not in answer, answer
    assert answer["refused"] or answer["citations"], answer


def test_the_exported_posts_are_all_there(story: Story) -> None:
    from llm_twin.sample import posts

    rows = [json.loads(line) for line in (story.workspace / "posts.jsonl").read_text().splitlines()]
    assert {row["title"] for row in rows} == {post.title for post in posts()}
    assert set(rows[0]) == {"id", "url", "title", "published_at", "kind", "markdown", "text"}


@pytest.mark.parametrize("word", ["doctor", "train", "eval"])
def test_the_readme_shows_the_main_commands(root: Path, word: str) -> None:
    assert any(f"llm-twin {word}" in line for line in commands(root / "README.md"))
