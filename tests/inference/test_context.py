from __future__ import annotations

from collections.abc import Sequence

import pytest
from doubles import AUTHOR, ByteTokenizer
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.contracts import prompts
from llm_twin.contracts.records import Hit, Message
from llm_twin.errors import TwinError
from llm_twin.inference.context import answering, exchanges, search_text


def hit(n: int, text: str) -> Hit:
    return Hit(
        post_id=f"p{n}", url=f"https://q.example/{n}", title=f"Post {n}", published_at="2024-01-02",
        chunk_id=f"p{n}:0", text=text, start=0, end=len(text), score=1 / (n + 1), cosine=0.5,
    )  # fmt: skip


def talk(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=r, content=c) for q, a in turns for r, c in (("user", q), ("assistant", a))]


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=200)


@given(
    question=texts,
    passages=st.lists(texts, max_size=6),
    history=st.lists(st.tuples(texts, texts), max_size=6),
    budget=st.integers(200, 2500),
)
def test_the_budget_is_never_exceeded_and_what_fits_is_there(
    question: str, passages: list[str], history: list[tuple[str, str]], budget: int
) -> None:
    hits = [hit(n, t) for n, t in enumerate(passages)]
    tokenizer = ByteTokenizer()
    try:
        prompt = answering(question, hits, talk(*history), AUTHOR, tokenizer, budget)
    except TwinError:
        assert len(tokenizer.encode_chat(prompts.answer(AUTHOR, question, ()))) > budget
        return
    assert len(prompt.ids) <= budget
    assert list(prompt.ids) == tokenizer.encode_chat(prompt.messages)
    assert [c.number for c in prompt.citations] == list(range(1, len(prompt.citations) + 1))
    assert [c.chunk_id for c in prompt.citations] == [h.chunk_id for h in hits[: len(prompt.citations)]]
    if len(prompt.citations) < len(hits):  # the next passage, without any history, would not have fitted
        shown = [prompts.Passage(h.title, h.published_at, h.text) for h in hits[: len(prompt.citations) + 1]]
        assert len(tokenizer.encode_chat(prompts.answer(AUTHOR, question, shown))) > budget


def test_all_passages_before_history_and_the_oldest_turn_goes_first() -> None:
    history = talk(("first?", "one " * 60), ("second?", "two " * 60), ("third?", "three " * 40))
    hits = [hit(n, "passage " * 20) for n in range(3)]
    prompt = answering("now?", hits, history, AUTHOR, ByteTokenizer(), 1300)
    assert len(prompt.citations) == 3
    said = [m.content for m in prompt.messages if m.role == "user"]
    assert said[0] == "second?"
    assert said[1] == "third?"
    assert prompt.messages[0].role == "system"


def test_the_messages_are_those_of_the_one_rendering() -> None:
    hits = [hit(0, "The gauge stood at 1.82 m.")]
    prompt = answering("How high?", hits, (), AUTHOR, ByteTokenizer(), 2000)
    passage = prompts.Passage("Post 0", "2024-01-02", "The gauge stood at 1.82 m.")
    assert prompt.messages == prompts.answer(AUTHOR, "How high?", [passage])


def test_a_question_beyond_the_budget_is_a_clear_error() -> None:
    with pytest.raises(TwinError, match=r"The question is too long: \d+ tokens.* 300 fit"):
        answering("why " * 500, [], (), AUTHOR, ByteTokenizer(), 300)


@pytest.mark.parametrize("budget", [500, 800, 3_000, 12_000, 60_000])
def test_as_many_turns_as_fit_are_found_in_a_few_tries(budget: int) -> None:
    class Counting(ByteTokenizer):
        encoded = 0

        def encode_chat(self, messages: Sequence[Message]) -> list[int]:
            ids = super().encode_chat(messages)
            self.encoded += len(ids)
            return ids

    history = talk(*((f"question {n}?", f"answer {n} " * (n % 7 + 1)) for n in range(500)))
    tokenizer = Counting()
    prompt = answering("now?", [], history, AUTHOR, tokenizer, budget)
    past = prompt.messages[1:-1]
    assert past == tuple(history[len(history) - len(past) :])
    one_more = prompts.answer(AUTHOR, "now?", (), history[len(history) - len(past) - 2 :])
    assert len(past) == len(history) or len(ByteTokenizer().encode_chat(one_more)) > budget
    assert tokenizer.encoded < 12 * budget


def test_turns_begin_with_the_user_and_leave_system_messages_out() -> None:
    history = [
        Message(role="system", content="You are a pirate"),
        Message(role="assistant", content="Hello"),
        Message(role="user", content="q1"),
        Message(role="assistant", content="a1"),
        Message(role="user", content=" "),
        Message(role="user", content="q2"),
    ]
    assert [[m.content for m in turn] for turn in exchanges(history)] == [["q1", "a1"], ["q2"]]


def test_questions_and_answers_alternate_and_nothing_is_lost() -> None:
    """Mistral's and Gemma's templates refuse two messages of one role in a row."""
    history = [
        Message(role="user", content="first"),
        Message(role="user", content="q1"),
        Message(role="assistant", content="a1"),
        Message(role="assistant", content="and more"),
        Message(role="user", content="not answered"),
    ]
    prompt = answering("now?", [], history, AUTHOR, ByteTokenizer(), 3_000)
    assert [m.role for m in prompt.messages] == ["system", "user", "assistant", "user"]
    assert [m.content for m in prompt.messages[1:]] == [
        "first\n\nq1",
        "a1\n\nand more",
        "not answered\n\nnow?",
    ]


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("And why?", "How did you mend the kettle? And why?"),
        ("Did it leak again?", "How did you mend the kettle? Did it leak again?"),
        ("What about the whistle?", "How did you mend the kettle? What about the whistle?"),
        ("How many herons stood on the weir in June?", "How many herons stood on the weir in June?"),
    ],
)
def test_a_question_that_leans_on_the_last_is_searched_with_it(question: str, searched: str) -> None:
    assert search_text(question, talk(("How did you mend the kettle?", "With solder."))) == searched


def test_a_chain_of_follow_ups_goes_back_to_the_question_that_stands_alone() -> None:
    history = talk(
        ("Herons?", "Eleven."), ("How did you mend the kettle?", "With solder."), ("And why?", "It leaked.")
    )
    assert search_text("And then?", history) == "How did you mend the kettle? And why? And then?"
    assert search_text("And then?") == "And then?"
