from __future__ import annotations

import pytest
from doubles import post

from llm_twin.inference.about import Aboutness

ONCE = post("Harbour", "The lantern went out, and we walked home along the quay in the rain.")
OFTEN = post(
    "Lamps", "A lantern needs a wick. The lantern on the landing burns oil, as every lantern should."
)
OTHER = post("Bread", "Rye wants a slow rise and a hot stone.")
POSTS = {p.id: p for p in (ONCE, OFTEN, OTHER)}


def shares(query: str) -> dict[str, float]:
    return Aboutness(POSTS).shares(query, POSTS)


def test_a_post_that_comes_back_to_the_word_is_more_about_it() -> None:
    found = shares("lanterns")
    assert 1 > found[OFTEN.id] > found[ONCE.id] > found[OTHER.id] == 0


def test_the_share_is_of_what_the_query_could_reach_and_not_of_its_length() -> None:
    assert shares("lantern") == pytest.approx(shares("What about the lantern, and the lantern?"))
    assert shares("lantern rye")[OFTEN.id] < shares("lantern")[OFTEN.id]


@pytest.mark.parametrize("query", ["", "what is it", "zeppelin"])
def test_words_that_no_post_holds_say_nothing(query: str) -> None:
    assert set(shares(query).values()) == {0.0}


def test_an_empty_store_has_no_shares() -> None:
    assert Aboutness({}).shares("lantern", []) == {}


def test_words_of_the_title_count() -> None:
    assert shares("bread")[OTHER.id] > 0
