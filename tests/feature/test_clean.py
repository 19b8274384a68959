from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from llm_twin.contracts.prose import blocks
from llm_twin.contracts.records import Post
from llm_twin.feature.boilerplate import remove
from llm_twin.feature.clean import clean, clean_post

VOICE = "'’‘\"“”—–-…*_!?;:,.()#>`"
LINES = st.text(st.sampled_from("abé Zñ\u0301 \t" + VOICE), max_size=30)
TEXTS = st.lists(LINES, max_size=12).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(lambda end: end.join(lines))
)


def paragraphs(text: str) -> int:
    return len([p for p in re.split(r"\n[ \t]*(?:\n[ \t]*)+", re.sub(r"\r\n?", "\n", text)) if p.strip()])


@given(TEXTS)
def test_voice_survives(text: str) -> None:
    cleaned = clean(text)
    same = unicodedata.normalize("NFC", text)
    assert re.sub(r"\s", "", cleaned) == re.sub(r"\s", "", same)  # every letter and mark, in order
    assert paragraphs(cleaned) == paragraphs(same)
    assert clean(cleaned) == cleaned
    assert "\r" not in cleaned


@given(st.text(max_size=60))
def test_any_text_is_cleaned_once_and_for_all(text: str) -> None:
    assert clean(clean(text)) == clean(text)


@given(st.lists(st.tuples(TEXTS, st.booleans()), min_size=3, max_size=8))
def test_voice_survives_the_removal_of_notes(texts: list[tuple[str, bool]]) -> None:
    """What is left without the notes is letter for letter what the author wrote, in as many paragraphs."""
    note = "Licensed under CC0, [like all here](https://lock.example/licence)."
    posts = []
    for number, (text, noted) in enumerate(texts):
        body = f"Gate {chr(97 + number)} stays open\n\n{clean(text)}\n\nSo it stays".replace("(", " ")
        url = f"https://lock.example/{number}"
        whole = f"{body}\n\n{note}" if noted else body
        posts.append(Post(id=url, url=url, title="", published_at=None, markdown=whole, revision=""))
    for post, left in zip(posts, remove(posts)[0], strict=True):
        body = post.markdown.removesuffix(f"\n\n{note}")
        assert left.markdown in (post.markdown, body)
        assert paragraphs(left.markdown) >= paragraphs(body)


def test_line_ends_and_trailing_blanks() -> None:
    assert clean("one \t\r\ntwo\r\n\r\n \r\nthree\n\n") == "one\ntwo\n\n\nthree"


def test_hard_break_stays() -> None:
    assert clean("roses are red   \nviolets are blue  \n\nend") == "roses are red  \nviolets are blue\n\nend"


def test_indented_code_at_the_start_stays_code() -> None:
    assert [b.kind for b in blocks(clean("\n\n    x = 1\n\ntext"))] == ["code", "paragraph"]


def test_post_keeps_its_revision(post: Callable[..., Post]) -> None:
    rough = post(1, "Cafe\u0301 \r\n", title=" A  cafe\u0301 ")
    cleaned = clean_post(rough)
    assert (cleaned.title, cleaned.markdown) == ("A café", "Café")
    assert cleaned.revision == rough.revision
