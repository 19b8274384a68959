from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_twin.contracts import prompts
from llm_twin.contracts.bits import MAX_TOKENS, measure
from llm_twin.contracts.records import Message, Post


class Bytes:
    """A tokenizer of one token a byte."""

    eos_ids: tuple[int, ...] = (0,)

    def __init__(self) -> None:
        self.chats: list[Sequence[Message]] = []

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        self.chats.append(messages)
        return [1, 2, 3]

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode()

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        return self.encode(text), list(range(1, len(text.encode()) + 1))


class Pairs(Bytes):
    """A tokenizer of one token for two bytes: half as many tokens for the same text."""

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        ids = self.encode(text)[::2]
        return ids, [min(2 * i + 2, len(text.encode())) for i in range(len(ids))]


class Uniform:
    """Gives every token the same probability, 2 ** -bits."""

    dtype = "fp32"
    context = 4096

    def __init__(self, bits: float) -> None:
        self._bits = bits
        self.seen: list[list[int]] = []

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
        assert list(prompt) == [1, 2, 3]
        self.seen.append(list(completion))
        return np.full(len(completion), -self._bits * math.log(2))


def post(markdown: str, number: int = 0) -> Post:
    url = f"https://ada.example/{number}"
    return Post(
        id=Post.id_of(url),
        url=url,
        title=f"T{number}",
        published_at=None,
        markdown=markdown,
        revision="r",
    )


def test_bits_are_counted_a_byte_and_not_a_token() -> None:
    posts = [post("Short one.", 1), post("It’s a café, and a longer one.", 2)]
    assert measure(Uniform(3), Bytes(), posts, "Ada").value == pytest.approx(3)
    # Two bytes a token at twice the bits a token is the same model of the same text.
    even = [post("Even.."), post("And longer..")]
    assert measure(Uniform(6), Pairs(), even, "Ada").value == pytest.approx(3)


def test_only_the_unwrapped_prose_is_measured_under_the_title_prompt() -> None:
    tokenizer, scorer = Bytes(), Uniform(1)
    markdown = "First line\nand second.\n\n```\ncode()\n```\n\n> quoted\n\nLast."
    measure(scorer, tokenizer, [post(markdown, 7)], "Ada")
    assert bytes(scorer.seen[0]).decode() == "First line and second.\n\nLast."
    assert tokenizer.chats == [prompts.write("Ada", "T7")]


def test_no_more_than_the_first_tokens_count() -> None:
    scorer = Uniform(2)
    found = measure(scorer, Bytes(), [post("x" * 2000)], "Ada")
    assert [len(seen) for seen in scorer.seen] == [MAX_TOKENS]
    assert found.posts[0].tokens == found.posts[0].bytes == MAX_TOKENS == 640
    assert found.value == pytest.approx(2)


def test_examples_are_shown_as_earlier_turns_and_cut_like_the_posts() -> None:
    tokenizer, long = Bytes(), post("y" * 2000, 2)
    measure(
        Uniform(1), tokenizer, [post("Held out.", 1)], "Ada", examples=lambda _: [post("Short.", 3), long]
    )
    shown = [(m.role, m.content) for m in tokenizer.chats[-1]]
    assert shown[1:] == [
        ("user", "Write a blog post titled: T3"),
        ("assistant", "Short."),
        ("user", "Write a blog post titled: T2"),
        ("assistant", "y" * MAX_TOKENS),
        ("user", "Write a blog post titled: T1"),
    ]


def test_examples_that_the_context_cannot_hold_are_left_out_the_likest_last() -> None:
    class Counted(Bytes):
        def encode_chat(self, messages: Sequence[Message]) -> list[int]:
            self.chats.append(messages)
            return [1, 2, 3] * len(messages)

    class Small(Uniform):
        context = 9 * 2 + 12

        def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
            assert len(prompt) + len(completion) <= self.context
            return super().token_logprobs([1, 2, 3], completion)

    tokenizer = Counted()
    examples = [post("One.", 2), post("Two.", 3)]
    measure(Small(1), tokenizer, [post("Held out post", 1)], "Ada", examples=lambda _: examples)
    assert [m.content for m in tokenizer.chats[-1] if m.role == "assistant"] == ["Two."]


def test_posts_count_by_their_length_and_those_without_prose_not_at_all() -> None:
    class ByLength(Uniform):
        def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
            return super().token_logprobs(prompt, completion) * (1 if len(completion) == 10 else 4)

    posts = [post("0123456789", 1), post("z" * 30, 2), post("```\ncode\n```", 3)]
    found = measure(ByLength(1), Bytes(), posts, "Ada")
    assert [p.bytes for p in found.posts] == [10, 30]
    assert [p.revision for p in found.posts] == [p.revision for p in posts[:2]]
    assert found.value == pytest.approx((10 * 1 + 30 * 4) / 40)
    assert 1 <= found.low <= found.value <= found.high <= 4


def test_the_same_posts_give_the_same_interval() -> None:
    posts = [post("word " * n, n) for n in range(1, 9)]
    first = measure(Uniform(1.5), Bytes(), posts, "Ada")
    assert first == measure(Uniform(1.5), Bytes(), posts, "Ada")
    assert first.dtype == "fp32"


def test_no_prose_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of the posts"):
        measure(Uniform(1), Bytes(), [post("> only a quote")], "Ada")
