from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.contracts.records import Chunk, Post
from llm_twin.feature.chunk import chunk, heading_text
from llm_twin.feature.clean import clean

Make = Callable[..., Post]
WORDS = st.text("abcde'’.!? -", min_size=1, max_size=60)
BLOCK = st.one_of(
    WORDS,
    WORDS.map(lambda w: f"## {w}"),
    WORDS.map(lambda w: f"{w}\n==="),
    WORDS.map(lambda w: f"> {w}\n> {w}"),
    WORDS.map(lambda w: f"- {w}\n- {w}\n  - {w}"),
    WORDS.map(lambda w: f"```c\n{w}\n\n{w}\n```"),
    WORDS.map(lambda w: f"    {w}"),
    WORDS.map(lambda w: f"[1]: https://x.example '{w}'"),
    WORDS.map(lambda w: f"| a | b |\n|---|---|\n| {w} | x |"),
    WORDS.map(lambda w: f"<div>\n{w}\n</div>"),
    st.text(max_size=80),
)
MARKDOWN = st.lists(BLOCK, max_size=12).map("\n\n".join)


def assert_nothing_lost(markdown: str, chunks: list[Chunk]) -> None:
    covered = [False] * len(markdown)
    last = 0
    for ordinal, c in enumerate(chunks):
        assert c.ordinal == ordinal
        assert c.text == markdown[c.start : c.end]
        assert last <= c.start < c.end
        covered[c.start : c.end] = [True] * (c.end - c.start)
        last = c.end
    lost = [markdown[i] for i, there in enumerate(covered) if not there and not markdown[i].isspace()]
    assert not lost


@given(MARKDOWN, st.integers(8, 60))
@settings(max_examples=150)
def test_no_text_is_lost_whatever_the_markdown(text: str, limit: int) -> None:
    text = clean(text)
    made = Post(id="p", url="u", title="T", published_at=None, markdown=text, revision="r")
    assert_nothing_lost(text, chunk(made, Characters(), limit))


class Characters:
    """A port's double in which every character that is not blank is a token: hardest for the bound."""

    name = id = "characters"
    dim = 1
    max_tokens = 400

    def embed(self, texts: Any, progress: Any = None) -> Any:
        raise AssertionError("the chunker embeds nothing")

    def count_tokens(self, text: str) -> int:
        return sum(not c.isspace() for c in text)


@given(MARKDOWN, st.integers(8, 60))
@settings(max_examples=100)
def test_no_chunk_is_longer_than_the_bound(text: str, limit: int) -> None:
    text = clean(text)
    made = Post(id="p", url="u", title="T", published_at=None, markdown=text, revision="r")
    counter = Characters()
    assert all(counter.count_tokens(c.text) <= limit for c in chunk(made, counter, limit))


def test_context_names_title_headings_and_date(post: Make, embedder: Any) -> None:
    text = "Intro.\n\n# Gates\n\nOne.\n\n## Upper gate\n\nTwo.\n\n# Locks #\n\nThree."
    made = chunk(post(1, text, title="On water", date="2021-04-18T09:00:00Z"), embedder, 6)
    assert [(c.text, c.context) for c in made] == [
        ("Intro.", "On water (2021-04-18)"),
        ("# Gates\n\nOne.", "On water > Gates (2021-04-18)"),
        ("## Upper gate\n\nTwo.", "On water > Gates > Upper gate (2021-04-18)"),
        ("# Locks #\n\nThree.", "On water > Locks (2021-04-18)"),
    ]
    assert chunk(post(1, "Text.", title="T", date=None), embedder, 20)[0].context == "T"


def test_paragraphs_are_packed_and_a_heading_goes_with_what_follows(post: Make, embedder: Any) -> None:
    text = "one two three\n\nfour five six\n\n## Seven\n\neight nine ten eleven"
    made = chunk(post(1, text), embedder, 10)
    assert [c.text for c in made] == ["one two three\n\nfour five six", "## Seven\n\neight nine ten eleven"]


def test_a_heading_left_at_the_end_moves_on(post: Make, embedder: Any) -> None:
    made = chunk(post(1, "a b\n\n# C\n\nd d d d d d d d d"), embedder, 12)
    assert [c.text for c in made] == ["a b", "# C\n\nd d d d d d d d d"]


def test_long_paragraph_is_cut_at_sentence_ends(post: Make, embedder: Any) -> None:
    text = 'The gate was shut. "Is it?" she said. Shut since noon! Nobody could say why… Then it rained.'
    made = chunk(post(1, text), embedder, 12)
    assert_nothing_lost(text, made)
    assert len(made) > 1
    assert all(c.text.rstrip('"”')[-1] in ".!?…" for c in made)


@pytest.mark.parametrize(
    "text",
    [
        "門はもう閉まっている。「本当に？」と彼女は言った。昼から閉まっている！！理由は誰も知らない。",
        "गेट बंद था। वह चली गई। फिर बारिश हुई।",
    ],
    ids=["Japanese", "Hindi"],
)
def test_sentence_ends_of_other_scripts(post: Make, text: str) -> None:
    made = chunk(post(1, text), Characters(), 18)
    assert_nothing_lost(text, made)
    assert len(made) > 1
    assert all(c.text.endswith(("。", "？」", "！！", "।")) for c in made)


def test_long_words_that_are_one_token_to_the_model_are_cut(post: Make, embedder: Any) -> None:
    text = "เช้านี้ฉันตื่นเช้ามากเพราะอากาศดี" * 90
    embedder.count_tokens = lambda piece: len(piece.split())
    made = chunk(post(1, text), embedder, 40)
    assert_nothing_lost(text, made)
    assert max(len(c.text) for c in made) < 410


def test_long_code_is_cut_at_lines(post: Make, embedder: Any) -> None:
    code = "```c\n" + "\n".join(f"int row_{n} = {n};" for n in range(40)) + "\n```"
    made = chunk(post(1, code), embedder, 40)
    assert_nothing_lost(code, made)
    assert all(c.text.startswith(("```c", "int row_", "```")) and c.text.endswith((";", "```")) for c in made)


def test_a_word_longer_than_a_chunk_is_halved(post: Make) -> None:
    made = chunk(post(1, "x" * 100), Characters(), 30)
    assert [len(c.text) for c in made] == [25, 25, 25, 25]


def test_a_giant_title_leaves_room_for_the_text(post: Make, embedder: Any) -> None:
    made = chunk(post(1, "word " * 300, title="title " * 200), embedder, 500)
    assert all(embedder.count_tokens(c.indexed_text) <= embedder.max_tokens for c in made)


def test_blank_post_has_no_chunk(post: Make, embedder: Any) -> None:
    assert chunk(post(1, " \n\n"), embedder, 50) == []


@pytest.mark.parametrize(
    ("block", "words"),
    [("## A  gate ##", "A gate"), ("Two\nlines\n---", "Two lines"), ("# C#", "C#"), ("###", "")],
)
def test_heading_text(block: str, words: str) -> None:
    assert heading_text(block) == words


def test_ids_and_real_posts(author: list[Post], embedder: Any) -> None:
    for written in author:
        made = chunk(written, embedder, 90)
        assert_nothing_lost(written.markdown, made)
        assert [c.id for c in made] == [f"{written.id}:{n}" for n in range(len(made))]
