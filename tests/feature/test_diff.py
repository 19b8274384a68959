from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import load
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature import run
from llm_twin.feature.diff import Changes, diff
from llm_twin.workspace import Workspace

Make = Callable[..., Post]
Build = Callable[..., FeatureVersion]


@pytest.fixture
def build(tmp_path: Path, embedder: Any, store: Any) -> Build:
    def build(posts: Sequence[Post], *overrides: str) -> FeatureVersion:
        report = run(posts, load(overrides=overrides), embedder, store, Workspace(tmp_path), Silent())
        return FeatureVersion.open(tmp_path / "features" / report.version)

    return build


def test_posts_that_entered_left_and_changed(build: Build, post: Make) -> None:
    posts = [post(n) for n in range(30)]
    changed = post(1, posts[1].markdown + "\n\nOne more line.")
    old, new = build(posts), build([changed, *posts[2:], post(30)])
    found = diff(old, new)
    assert (found.old, found.new) == ("F0001", "F0002")
    assert found.posts == Changes((post(30).id,), (post(0).id,), (post(1).id,))
    assert diff(new, old).posts == Changes((post(0).id,), (post(30).id,), (post(1).id,))
    assert found.settings == {}


def test_a_version_differs_in_nothing_from_itself(build: Build, post: Make) -> None:
    version = build([post(n) for n in range(30)])
    assert not diff(version, version)


def test_a_post_that_goes_from_one_split_to_another(build: Build, post: Make) -> None:
    posts = [post(n) for n in range(30)]
    found = diff(build(posts), build([*posts, post(30)]))
    assert (post(22).id, "test", "validation") in found.moved
    assert (post(14).id, "validation", "train") in found.moved
    assert len(found.moved) == 2


def test_one_changed_paragraph_changes_its_sample_and_not_those_after_it(build: Build, post: Make) -> None:
    posts = [post(n) for n in range(30)]
    longer = posts[3].markdown.replace("so we drank tea", "so we drank a great deal of black tea", 1)
    tasks = "features.tasks=[rewrite]"
    old, new = build(posts, tasks), build([*posts[:3], post(3, longer), *posts[4:]], tasks)
    moved = {s.id for s in new.samples} - {s.id for s in old.samples}
    assert len(moved) == 3  # the later paragraphs stand at other places
    assert diff(old, new).samples == {"rewrite": Changes(changed=(f"{posts[3].id}:rewrite:0",))}


def test_samples_of_a_new_post_enter_under_their_tasks(build: Build, post: Make) -> None:
    posts = [post(n) for n in range(1, 30)]
    old, new = build(posts), build([post(0), *posts])  # the oldest: no other post changes its split
    found = diff(old, new).samples
    entered = [s for s in new.samples if s.post_id == post(0).id]
    for task in ("write", "rewrite", "answer"):
        assert found[task].entered == tuple(s.id for s in entered if s.task == task)
        assert found[task].entered
        assert found[task].left == ()


def test_settings_that_differ(build: Build, post: Make, embedder: Any) -> None:
    posts = [post(n) for n in range(30)]
    old = build(posts)
    embedder.id = "hash-2"
    new = build(posts, "features.chunk_tokens=90", "author.name=Nan Weir")
    assert diff(old, new).settings == {
        "chunk_tokens": (160, 90),
        "embedder": ("hash (hash-1)", "hash (hash-2)"),
        "author": ("the author", "Nan Weir"),
    }
