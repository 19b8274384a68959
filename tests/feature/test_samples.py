from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llm_twin.contracts import prompts
from llm_twin.contracts.prose import join, prose
from llm_twin.contracts.records import Chunk, Post, Sample
from llm_twin.feature import samples
from llm_twin.feature.chunk import chunk
from llm_twin.feature.split import split

Make = Callable[..., Post]
TASKS = ("write", "rewrite", "answer")


def make(
    posts: list[Post], embedder: Any, tasks: Any = TASKS
) -> tuple[list[Sample], dict[Any, Any], list[Chunk]]:
    splits, _ = split(posts, share=0.1, minimum=8)
    chunks = [c for p in posts for c in chunk(p, embedder, 100)]
    vectors = embedder.embed([c.indexed_text for c in chunks])
    return samples.build(posts, splits, chunks, vectors, "Nan Weir", tasks), splits, chunks


@pytest.fixture(scope="module")
def made(author: list[Post]) -> tuple[list[Sample], dict[Any, Any], list[Chunk]]:
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    spec = spec_from_file_location("doubles", Path(__file__).with_name("conftest.py"))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return make(author, module.HashEmbedder())


def test_every_completion_is_the_authors_text(made: Any, author: list[Post]) -> None:
    by_id = {p.id: p for p in author}
    assert {s.task for s in made[0]} == set(TASKS)
    for sample in made[0]:
        assert sample.completion == join(by_id[sample.post_id].markdown, sample.spans)
        assert sample.completion.strip()


def test_ids_are_unique_and_splits_those_of_the_posts_without_test(made: Any) -> None:
    found, splits, _ = made
    assert len({s.id for s in found}) == len(found)
    assert {s.split for s in found} == {"train", "validation"}
    assert all(s.post_id in splits[s.split] for s in found)


def test_write_gives_the_whole_prose_under_the_title_prompt(made: Any, author: list[Post]) -> None:
    by_id = {p.id: p for p in author}
    for sample in (s for s in made[0] if s.task == "write"):
        post = by_id[sample.post_id]
        assert sample.messages == prompts.write("Nan Weir", post.title)
        assert prose(post.markdown).startswith(sample.completion)


def test_a_long_post_is_cut_at_a_block_end_and_not_after_a_heading(post: Make, embedder: Any) -> None:
    text = "\n\n".join(["word " * 300, "more " * 300, "## Rest", "end " * 400])
    found, _, _ = make([post(1, text)], embedder, ("write",))
    assert found[0].completion == f"{'word ' * 299}word\n\n{'more ' * 299}more"


def test_answers_render_as_serving_does_with_real_passages_of_training_posts(
    made: Any, author: list[Post]
) -> None:
    found, splits, chunks = made
    by_id = {p.id: p for p in author}
    for sample in (s for s in found if s.task == "answer"):
        body = sample.messages[-1].content
        shown = [
            (body.index(passage), c)
            for c in chunks
            if (passage := f"{by_id[c.post_id].title} ({by_id[c.post_id].published_at})\n{c.text}\n\n")
            in body
        ]
        shown.sort(key=lambda pair: pair[0])
        passages = [
            prompts.Passage(by_id[c.post_id].title, by_id[c.post_id].published_at, c.text) for _, c in shown
        ]
        asked = body.rpartition("Answer from these posts: ")[2]
        assert sample.messages == prompts.answer("Nan Weir", asked, passages)
        assert 2 <= len(passages) <= 4
        own = [c for _, c in shown if c.post_id == sample.post_id]
        assert max(min(c.end, sample.spans[0][1]) - max(c.start, sample.spans[0][0]) for c in own) > 0
        others = {c.post_id for _, c in shown} - {sample.post_id}
        assert others <= set(splits["train"])


def test_distractors_are_the_nearest_of_other_posts(post: Make, embedder: Any) -> None:
    posts = [post(n) for n in range(30)]
    splits, _ = split(posts, share=0.1, minimum=8)
    chunks = [c for p in posts for c in chunk(p, embedder, 10_000)]
    number = {p.id: n for n, p in enumerate(posts)}
    angle = np.array([number[c.post_id] / 30 for c in chunks])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    found = samples.build(posts, splits, chunks, vectors, "N", ("answer",))
    middle = next(s for s in found if s.post_id == posts[5].id)
    titles = [line[4:] for line in middle.messages[-1].content.splitlines() if line.startswith("[")]
    near = {t.split(" (")[0] for t in titles}
    assert near <= {f"Lock number {n}" for n in (3, 4, 5, 6, 7)}
    assert f"Lock number {5}" in near


def test_only_the_tasks_asked_for(post: Make, embedder: Any) -> None:
    found, _, _ = make([post(n) for n in range(12)], embedder, ("rewrite",))
    assert {s.task for s in found} == {"rewrite"}
    assert all(
        s.messages == prompts.rewrite("Nan Weir", s.messages[-1].content.split("\n\n", 1)[1]) for s in found
    )


def test_code_without_a_fence_is_no_target(post: Make, embedder: Any) -> None:
    code = "int x[10] = {0}; " * 20
    found, _, _ = make([post(1, f"{code}\n\n{post(2).markdown}")], embedder, ("rewrite", "answer"))
    assert found
    assert not [s for s in found if "int x" in s.completion]
