from __future__ import annotations

import pytest

from llm_twin.feature.questions import about, question

KEYS = [f"k{n}" for n in range(30)]


@pytest.mark.parametrize(
    ("title", "forms"),
    [
        ("Awk and the mud", {"Tell me about Awk and the mud.", "What do you say about Awk and the mud?"}),
        ("The lost key", {"What have you written about the lost key?", "Tell me about the lost key."}),
        ("On sluices", {"What do you think about sluices?"}),
        ("How to read a gauge", {"Can you explain how to read a gauge?", "Tell me how to read a gauge."}),
        ("The Pask comes back", {'What is "The Pask comes back" about?'}),
        ("Make Flet Great Again", {'What do you say in "Make Flet Great Again"?'}),
        ("Against the account", {'Tell me what you wrote in "Against the account".'}),
        ("Why does it stick?", {"Why does it stick?"}),
    ],
)
def test_forms_of_a_title(title: str, forms: set[str]) -> None:
    asked = {question(title, "", key, frozenset({"lost"})) for key in KEYS}
    assert forms <= asked


def test_a_common_first_word_loses_its_capital_and_a_name_keeps_it() -> None:
    common = question("Frost on the beam", "", "k", frozenset({"frost"}))
    assert "frost on the beam" in common
    assert "Hesper Lunt" in question("Hesper Lunt", "", "k", frozenset({"lunt"}))
    assert "Form 40" in question("Form 40", "", "k", frozenset({"form"}))


def test_a_section_is_asked_within_its_post() -> None:
    asked = {question("The Ostrey runs", "What was in it", key) for key in KEYS}
    assert asked == {
        'In "The Ostrey runs", can you explain what was in it?',
        'About "The Ostrey runs": tell me what was in it.',
    }


def test_forms_vary_with_the_key_and_with_nothing_else() -> None:
    asked = [question("Locks", "", key) for key in KEYS]
    assert len(set(asked)) >= 4
    assert asked == [question("Locks", "", key) for key in KEYS]


def test_a_paragraph_is_asked_for_by_one_topic_of_it_or_by_two() -> None:
    topics = ["Tobit Crale", "wet ledger", "oat straw"]
    asked = {about(topics, key) for key in KEYS}
    assert "What about oat straw and Tobit Crale?" in asked
    named = [[topic for topic in topics if topic in text] for text in asked]
    assert {len(those) for those in named} == {1, 2}
    assert {topic for those in named for topic in those} == set(topics)
    assert about(["frost"], "k") == "What about frost?"


def test_there_is_no_question_about_nothing() -> None:
    with pytest.raises(ValueError, match="something to ask about"):
        about([], "k")
