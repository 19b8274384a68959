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
from llm_twin.feature.notes import notes, topics
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


def test_most_paragraphs_are_asked_for_by_what_they_are_about(made: Any, author: list[Post]) -> None:
    found, splits, _ = made
    words = samples.vocabulary([p for p in author if p.id in splits["train"]])
    answers = [s for s in found if s.task == "answer"]
    asked = [s.messages[-1].content.rpartition("Answer from these posts: ")[2] for s in answers]
    named = [
        any(topic in question for topic in topics(s.completion, words))
        for s, question in zip(answers, asked, strict=True)
    ]
    assert 0.5 < sum(named) / len(named) < 1  # the others by a heading or the title


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


def test_quotations_and_letters_are_no_target(post: Make, embedder: Any) -> None:
    letter = "Keeper. " + "What I do is I stop there and take off my hat, and the hen comes out to look. " * 3
    text = f'{post(1).markdown}\n\nA reader sent this:\n\n"{letter.strip()}"\n\n> {letter}'
    found, _, _ = make([post(1, text), *(post(n) for n in range(2, 12))], embedder)
    assert [s for s in found if s.post_id == post(1).id]
    assert not [s for s in found if "take off my hat" in s.completion]


def test_what_stands_in_a_post_held_out_for_later_is_not_learnt(post: Make, embedder: Any) -> None:
    shared = post(50).markdown.split("\n\n")[0]
    posts = [post(n) for n in range(30)]
    for n in (2, 17, 29):  # one post of each split
        posts[n] = post(n, f"{posts[n].markdown}\n\n{shared}")
    found, splits, _ = make(posts, embedder)
    assert [name for n in (2, 17, 29) for name, ids in splits.items() if posts[n].id in ids] == list(splits)
    assert not [s for s in found if shared in s.completion]
    alone, _, _ = make([*posts[:17], post(17), *posts[18:29], post(29)], embedder)
    assert {s.task for s in alone if shared in s.completion} == {"write", "rewrite", "answer"}


def test_too_little_or_too_much_prose_is_no_post_to_write(post: Make, embedder: Any) -> None:
    code = "    x = 1\n" * 40
    posts = [post(1, f"See below.\n\n{code}"), post(2, "word " * 901), *(post(n) for n in range(3, 12))]
    found, _, _ = make(posts, embedder, ("write",))
    assert not [s for s in found if s.post_id in (posts[0].id, posts[1].id)]
    assert found


def test_no_more_samples_are_made_than_the_posts_give(made: Any, author: list[Post]) -> None:
    found, splits, _ = made
    possible = samples.most({p.id: p for p in author}, splits, TASKS)
    assert set(possible) == set(TASKS)
    for task in TASKS:
        number = sum(s.task == task and s.split == "train" for s in found)
        assert 0.9 * possible[task] <= number <= possible[task]


ALL = ("write", "outline", "continue", "rewrite", "answer")


def test_new_tasks_leave_the_samples_of_the_others_as_they_are(
    made: Any, author: list[Post], embedder: Any
) -> None:
    found, _, _ = make(author, embedder, ALL)
    assert {s.task for s in found} == set(ALL)
    assert len({s.id for s in found}) == len(found)
    others = [s for s in found if s.task in ("rewrite", "answer")]
    assert others == [s for s in made[0] if s.task in ("rewrite", "answer")]
    assert not any("source" in s.model_dump_json() for s in found), "as it was before there were drafts"


def test_with_write_and_outline_each_post_is_learnt_as_a_whole_once(
    made: Any, author: list[Post], embedder: Any
) -> None:
    found, splits, _ = make(author, embedder, ("write", "outline"))
    before = [s for s in made[0] if s.task == "write"]
    assert [(s.post_id, s.spans) for s in found] == [(s.post_id, s.spans) for s in before]
    number = sum(s.task == "outline" for s in found)
    assert 0.3 * len(found) < number < 0.7 * len(found)
    possible = samples.most({p.id: p for p in author}, splits, ("write", "outline"))
    assert possible == {
        task: sum(s.task == task and s.split == "train" for s in found) for task in ("write", "outline")
    }


def test_outline_alone_gives_one_to_every_post_that_has_one(author: list[Post], embedder: Any) -> None:
    found, _, _ = make(author, embedder, ("outline",))
    by_id = {p.id: p for p in author}
    assert len(found) > 0.9 * sum(1 for p in author) - 8
    for sample in found:
        head, _, shown = sample.messages[-1].content.partition("\n\nFollow this outline:\n")
        points = [line.removeprefix("- ") for line in shown.splitlines()]
        assert sample.messages == prompts.outlined("Nan Weir", by_id[sample.post_id].title, points)
        assert head.endswith(by_id[sample.post_id].title)
        assert len(points) >= 2


def test_a_post_without_an_outline_is_written_from_its_title(post: Make, embedder: Any) -> None:
    short = [post(n, f"I shut gate {n} and went home to bed before the rain came down.") for n in range(30)]
    found, _, _ = make(short, embedder, ("write", "outline"))
    assert {s.task for s in found} == {"write"}
    assert make(short, embedder, ("outline",))[0] == []


def test_a_continuation_follows_the_text_before_it(author: list[Post], embedder: Any) -> None:
    found, splits, _ = make(author, embedder, ("continue",))
    by_id = {p.id: p for p in author}
    assert len({s.post_id for s in found}) == len(found) > 20
    for sample in found:
        post = by_id[sample.post_id]
        shown = sample.messages[-1].content.partition("\n\n")[2]
        assert f"{shown}\n\n{sample.completion}" in prose(post.markdown)
        assert len(shown.split()) >= 30
        assert sample.messages == prompts.continued("Nan Weir", post.title, shown)
    possible = samples.most(by_id, splits, ("continue",))
    assert possible == {"continue": sum(s.split == "train" for s in found)}


def test_a_draft_makes_one_more_sample_of_a_training_paragraph(post: Make, embedder: Any) -> None:
    posts = [post(n) for n in range(30)]
    splits, _ = split(posts, share=0.1, minimum=8)
    chunks = [c for p in posts for c in chunk(p, embedder, 100)]
    vectors = embedder.embed([c.indexed_text for c in chunks])
    learnt, later = (
        join(p.markdown, [(0, p.markdown.index("\n\n"))])
        for p in (posts[0], next(p for p in posts if p.id in splits["validation"]))
    )
    drafts = {learnt: "A plain one.", later: "Of a post that is held out."}
    plain = samples.build(posts, splits, chunks, vectors, "N", ("rewrite",))
    found = samples.build(posts, splits, chunks, vectors, "N", ("rewrite",), drafts)
    (added,) = [s for s in found if s not in plain]
    assert [s for s in found if s in plain] == plain
    assert (added.source, added.task, added.completion) == ("draft", "rewrite", learnt)
    assert added.messages == prompts.rewrite("N", "A plain one.")
    assert added.id == f"{posts[0].id}:rewrite:0:draft"
    assert Sample.model_validate_json(added.model_dump_json()) == added


def test_paragraphs_that_notes_say_too_little_of_are_drafted_first(post: Make) -> None:
    vague = (
        "so it was what it was and then it was not what it had been before, as it so often is with all of it"
    )
    vague = f"{vague}, and {vague} again"
    posts = [post(n, f"{post(n).markdown}\n\n{vague}" if n == 3 else None) for n in range(30)]
    splits, _ = split(posts, share=0.1, minimum=8)
    learnt = [p for p in posts if p.id in splits["train"]]
    words = samples.vocabulary(learnt)
    found = samples.to_draft(posts, splits, words)
    assert found[0] == vague
    assert len(found) == 4 * len(learnt) + 1
    assert samples.to_draft(posts[::-1], splits, words) == found
    assert found != sorted(found)


def test_words_of_every_script_that_stand_in_lower_case_are_no_names(post: Make) -> None:
    text = "Потом пришёл Иван, и потом ушёл. Große Fässer und große Körbe; Älter und älter, naïve."
    words = samples.vocabulary([post(1, text)])
    assert {"потом", "пришёл", "grosse", "älter", "naïve"} <= words
    assert not {"иван", "fässer"} & words
    noted = notes("Große Fässer standen da. Потом пришёл Иван в дом. Älter war die Uhr.", words)
    assert noted
    assert "names: Große Fässer; Иван; Uhr" in noted
