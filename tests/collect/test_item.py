"""What every post passes on its way into the library."""

from __future__ import annotations

import pytest

from llm_twin.collect import item, plaintext
from llm_twin.collect.item import Rejected, same_author, whole

FAMILY = "\U0001f469\u200d\U0001f467"  # two emoji and a joiner


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("It's *so* — “two”\n\n\tcode  \n", "It's *so* — “two”\n\n\tcode  \n"),
        ("\x1b[2Jgone\x1b]0;title\x07", "[2Jgone]0;title"),
        ("a\x00b\x08c\x7fd\x9de\x1cf", "abcdef"),
        ("one\r\ntwo\rthree\x0cfour\x0bfive", "one\ntwo\nthree\nfour\nfive"),
        ("don\x92t wait \x96 go\x85 \x93so\x94", "don’t wait – go… “so”"),
        ("a\u2028b\u2029c", "a\u2028b\u2029c"),
        ("user\u202egpj.exe\u2066\u2069\u202c", "usergpj.exe"),
        (
            f"{FAMILY} \u0645\u06cc\u200c\u062e \u200e\u200f",
            f"{FAMILY} \u0645\u06cc\u200c\u062e \u200e\u200f",
        ),
        ("\ud83d\ude00 \ud83d", "\U0001f600 \ufffd"),
    ],
)
def test_a_text_is_one_that_can_be_stored_and_shown(given: str, kept: str) -> None:
    assert whole(given) == kept
    assert whole(kept) == kept


def test_nothing_of_a_post_moves_a_terminal() -> None:
    bad = "x\x1b[31m\u202ey"
    post = item.post(f"file:{bad}", bad, bad, author=bad, tags=[bad, bad])
    for text in (post.url, post.title, post.markdown, post.author, *post.tags, Rejected(bad, "draft").where):
        assert text is not None
        assert text.endswith("x[31my")
    assert post == item.post("file:x[31my", "x[31my", "x[31my", author="x[31my", tags=["x[31my"])


@pytest.mark.parametrize("name", ["Ann", "Doe, Jane", "Rand and Sons", "A & B", "Doe; Jane"])
def test_an_author_is_one_of_those_who_are_named_together(name: str) -> None:
    for named in ([name], [name, "Bo"], ["Bo", name], ["Bo", name, "Cy"]):
        assert same_author(f" {name.upper()} ", plaintext.names(named) or "")
    assert not same_author(name, "Bo, Joanna, Randy")


def test_an_author_is_one_of_those_whom_a_sentence_joins() -> None:
    for named in ("Bo and Ann", "Bo & ann", "Bo; Ann ", "Bo\nAnn"):
        assert same_author("Ann", named)
    assert not same_author("An", "Bo and Ann")
