from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.inference.words import content_words, matches, sentences, stem


@pytest.mark.parametrize(
    "together",
    [
        ("lock", "locks", "locked", "locking"),
        ("stop", "stopped", "stopping"),
        ("city", "cities"),
        ("bake", "baking", "baked"),
    ],
)
def test_forms_of_a_word_meet(together: tuple[str, ...]) -> None:
    assert len({stem(w) for w in together}) == 1


@pytest.mark.parametrize("apart", [("gauge", "gate"), ("bread", "breed"), ("glass", "gas"), ("1.82", "1.83")])
def test_other_words_stay_apart(apart: tuple[str, str]) -> None:
    assert stem(apart[0]) != stem(apart[1])


def test_function_words_and_questions_carry_no_subject() -> None:
    assert content_words("What did you say about it, and why?") == []
    assert content_words("What's the level at 1.82 m?") == ["level", "1.82"]


def test_sentences_are_split_at_ends_and_lines_but_not_inside_numbers() -> None:
    text = 'It read 1.82 m. "Falling," she said. Then\nnothing (for 3.5 hours). Good.'
    found = [text[a:b] for a, b in sentences(text)]
    assert found == ["It read 1.82 m.", '"Falling," she said.', "Then", "nothing (for 3.5 hours).", "Good."]


@given(st.text(alphabet=st.sampled_from('Ab .!?\n"(1')))
def test_sentences_hold_everything_but_white_space(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(a < b for a, b in spans)
    assert spans == sorted(spans)


def test_matches_are_the_querys_words_in_any_form_and_in_curly_text() -> None:
    text = "It’s the gauges: one Gauge fell, and engaged nobody."
    assert [text[a:b] for a, b in matches(text, "What's a gauge?")] == ["gauges", "Gauge"]
    assert matches(text, "what is it") == ()
