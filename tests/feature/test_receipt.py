from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config, load
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.feature import receipt, run
from llm_twin.workspace import Workspace

Make = Callable[..., Post]


class Listens(Silent):
    def __init__(self) -> None:
        self.stages: list[str] = []
        self.lines: list[str] = []

    def start(self, stage: str, total: int | None = None) -> None:
        self.stages.append(stage)

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_build_of_the_same_inputs_is_recalled(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    space, posts = Workspace(tmp_path), [*(post(n) for n in range(4)), post(40, "Too short.")]
    first, again = Listens(), Listens()
    built = run(posts, Config(), embedder, store, space, first)
    recalled = run(posts[::-1], Config(), embedder, store, space, again)
    assert again.stages == []
    assert again.lines == first.lines == list(built.remarks)
    assert recalled == replace(
        built, created=False, embedded=0, reused=built.chunks, seconds=recalled.seconds
    )


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"inputs": 1, "content_id": 2, "report": 3}', None])
def test_without_a_receipt_the_build_is_done_and_finds_nothing_changed(
    tmp_path: Path, post: Make, embedder: Any, store: Any, damage: str | None
) -> None:
    space, posts = Workspace(tmp_path), [post(n) for n in range(4)]
    run(posts, Config(), embedder, store, space, Silent())
    path = space.cache / receipt.RECEIPT
    path.unlink() if damage is None else path.write_text(damage)
    listens = Listens()
    report = run(posts, Config(), embedder, store, space, listens)
    assert (report.version, report.created, report.embedded) == ("F0001", False, 0)
    assert listens.stages[0] == "select"
    assert store.builds == 1
    assert path.read_text() != damage


def test_a_receipt_of_another_release_is_not_read(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    space, posts = Workspace(tmp_path), [post(n) for n in range(4)]
    built = run(posts, Config(), embedder, store, space, Silent())
    path = space.cache / receipt.RECEIPT
    path.write_text(path.read_text().replace('"remarks"', '"notes"'))
    assert run(posts, Config(), embedder, store, space, Silent()).posts == built.posts


def test_whatever_decides_the_content_is_in_the_inputs(post: Make, embedder: Any) -> None:
    posts = [post(n) for n in range(4)]
    same = receipt.inputs(posts, Config(), embedder)
    assert receipt.inputs(posts[::-1], Config(), embedder) == same
    assert receipt.inputs(posts, load(overrides=["training.rank=4"]), embedder) == same
    tagged = posts[0].model_copy(update={"tags": ("locks",)})
    assert receipt.inputs([tagged, *posts[1:]], Config(), embedder) != same
    assert receipt.inputs(posts, load(overrides=["author.name=Nan"]), embedder) != same
    assert receipt.inputs(posts, load(overrides=["features.min_words=31"]), embedder) != same
    embedder.id = "hash-2"
    assert receipt.inputs(posts, Config(), embedder) != same
