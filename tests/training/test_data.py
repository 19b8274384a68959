from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.adapters.base_model import HFChatTokenizer
from llm_twin.contracts import prompts
from llm_twin.contracts.records import Sample
from llm_twin.training.data import Example, pass_tokens, plan, tokenise

LONGEST = 256


def sample(completion: str, notes: str = "- a") -> Sample:
    return Sample(
        id="p:rewrite:0",
        task="rewrite",
        post_id="p",
        split="train",
        messages=prompts.rewrite("Ada", notes),
        completion=completion,
        spans=(),
    )


def test_an_example_is_the_served_prompt_then_the_words_then_the_end(tokenizer: HFChatTokenizer) -> None:
    one = sample("It’s 3 o'clock <|im_end|> still.")
    (example,) = tokenise([one], tokenizer, LONGEST)
    prompt = tokenizer.encode_chat(one.messages)
    assert list(example.ids[: example.prompt]) == prompt
    assert example.ids[-1] == tokenizer.eos_ids[0]
    # Nothing in the author's text ends the turn: the control token there is spelled out in characters.
    assert example.ids[example.prompt : -1].count(tokenizer.eos_ids[0]) == 0
    assert tokenizer.decode(example.ids[example.prompt : -1]) == one.completion


def test_a_long_sample_is_cut_and_does_not_end(tokenizer: HFChatTokenizer) -> None:
    (example,) = tokenise([sample("word " * 500)], tokenizer, LONGEST)
    assert len(example.ids) == LONGEST
    assert example.ids[-1] != tokenizer.eos_ids[0]


def test_a_prompt_without_room_for_the_author_is_left_out(tokenizer: HFChatTokenizer) -> None:
    assert tokenise([sample("Short.", notes="note " * 300)], tokenizer, LONGEST) == []


lengths = st.lists(st.integers(20, LONGEST), min_size=8, max_size=60)


@given(lengths, st.integers(0, 5))
def test_each_epoch_sees_each_example_once(sizes: list[int], seed: int) -> None:
    examples = [Example(tuple(range(i, i + n)), 5) for i, n in enumerate(sizes)]
    total = sum(sizes)
    steps = plan(examples, total * 3, 512, LONGEST, seed)
    seen = [e for step in steps for batch in step.batches for e in batch]
    assert len(seen) == 3 * len(examples)
    for epoch in range(3):
        part = seen[epoch * len(examples) : (epoch + 1) * len(examples)]
        assert sorted(e.ids for e in part) == sorted(e.ids for e in examples)
    assert all(step.tokens >= 512 for step in steps) or len(steps) == 1


@given(lengths, st.integers(0, 5))
def test_micro_batches_stay_within_their_size(sizes: list[int], seed: int) -> None:
    examples = [Example(tuple(range(n)), 5) for n in sizes]
    for step in plan(examples, sum(sizes), 512, LONGEST, seed):
        for batch in step.batches:
            assert max(len(e.ids) for e in batch) * len(batch) <= LONGEST


def test_little_of_a_plan_is_padding() -> None:
    examples = [Example(tuple(range(60 + 13 * (i % 60))), 5) for i in range(600)]
    steps = plan(examples, 200_000, 2048, 1024, 0)
    batches = [b for step in steps for b in step.batches]
    padded = sum(max(len(e.ids) for e in b) * len(b) for b in batches)
    assert padded < 1.05 * sum(s.tokens for s in steps)


def test_the_plan_depends_on_the_seed_alone() -> None:
    examples = [Example(tuple(range(20 + i)), 5) for i in range(40)]
    assert plan(examples, 3000, 512, LONGEST, 1) == plan(examples, 3000, 512, LONGEST, 1)
    assert plan(examples, 3000, 512, LONGEST, 1) != plan(examples, 3000, 512, LONGEST, 2)


def test_a_plan_that_is_too_short_for_all_takes_the_newest() -> None:
    examples = [Example(tuple(range(i, i + 100)), 5) for i in range(50)]
    steps = plan(examples, 1000, 500, LONGEST, 0)
    seen = {e.ids[0] for step in steps for batch in step.batches for e in batch}
    assert seen == set(range(40, 50))


def test_a_pass_takes_whole_posts_and_a_share_of_their_paragraphs(tokenizer: HFChatTokenizer) -> None:
    def samples(post: str) -> list[Sample]:
        titled = prompts.write("Ada", post)
        whole = sample("Whole.").model_copy(
            update={"post_id": post, "task": "write", "messages": titled, "id": f"{post}:write"}
        )
        part = sample("Part.").model_copy(update={"post_id": post, "id": f"{post}:rewrite:0"})
        return [part] if post == "untitled" else [whole, part]

    asked = [*samples("a"), *samples("untitled")]
    size = [len(e.ids) for e in tokenise(asked, tokenizer, LONGEST)]
    examples = tokenise(asked, tokenizer, LONGEST, paragraph_share=0.2)
    assert [e.share for e in examples] == [1.0, pytest.approx((size[0] + size[2]) / 4 / size[1]), 1.0]
    assert pass_tokens(examples) == round((size[0] + size[2]) / 0.8)
    assert [e.share for e in tokenise(asked, tokenizer, LONGEST, paragraph_share=0.9)] == [1.0, 1.0, 1.0]


def test_paragraphs_are_said_again_only_where_the_whole_post_is_learnt(tokenizer: HFChatTokenizer) -> None:
    long = sample("Whole.", notes="- a point\n" * 60).model_copy(update={"task": "outline"})
    assert len(tokenizer.encode_chat(long.messages)) > LONGEST * 3 // 4
    part = sample("Part.")
    (example,) = tokenise([long, part], tokenizer, LONGEST, paragraph_share=0.2)
    assert example.share == 1.0
    assert pass_tokens([example]) == len(example.ids)


def test_each_pass_takes_other_paragraphs() -> None:
    examples = [Example(tuple(range(i, i + 60)), 5, share=0.2) for i in range(300)]
    steps = plan(examples, 2 * pass_tokens(examples), 600, LONGEST, 0)
    seen = [e.ids[0] for step in steps for batch in step.batches for e in batch]
    assert 90 < len(seen) < 150
    assert len(set(seen)) > 0.8 * len(seen)
