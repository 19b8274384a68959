"""Where a post is continued: whole runs of the author's own blocks, and one place a post."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_twin.contracts.prose import join
from llm_twin.contracts.records import Post
from llm_twin.feature.targets import Cut, Source, continued, overlong, sources, spans, written

Make = Callable[..., Post]


def words(name: str, number: int) -> str:
    return " ".join(f"{name}{chr(97 + n // 26)}{chr(97 + n % 26)} and" for n in range(number // 2))


def source(post: Post) -> Source:
    (found,) = [s for _, s in sources({post.id: post}, {"train": [post.id], "validation": [], "test": []})]
    return found


def cut(post: Post) -> tuple[str, str]:
    """The text before the cut, and the target."""
    found = continued(source(post))
    assert isinstance(found, Cut)
    return found.before, join(post.markdown, found.after)


def test_two_paragraphs_are_cut_between_them(post: Make) -> None:
    first, second = words("a", 40), words("b", 40)
    assert cut(post(1, f"{first}\n\n{second}")) == (first, second)


def test_a_short_beginning_or_end_is_no_place_to_cut(post: Make) -> None:
    first, second, third = words("a", 20), words("b", 20), words("c", 40)
    assert cut(post(1, f"{first}\n\n{second}\n\n{third}")) == (f"{first}\n\n{second}", third)
    assert continued(source(post(1, f"{first}\n\n{third}"))) is None
    assert continued(source(post(1, f"{third}\n\n{first}"))) is None
    assert continued(source(post(1, third))) is None
    assert continued(source(post(1, f"{third}\n\n{third}", title=""))) is None


def test_code_and_quotations_part_what_is_continued(post: Make) -> None:
    first, second, third, fourth = (words(name, 40) for name in "abcd")
    for between in (
        "```\nx = 1\n```",
        "> Shut the gate.",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "[^1]: A footnote.",
    ):
        assert continued(source(post(1, f"{first}\n\n{between}\n\n{second}"))) is None
        text = f"{first}\n\n{between}\n\n{second}\n\n{third}\n\n{between}\n\n{fourth}"
        assert cut(post(1, text)) == (second, third)


def test_a_target_is_whole_blocks_of_a_bounded_length_and_ends_in_no_heading(post: Make) -> None:
    first, second, third = words("a", 40), words("b", 200), words("c", 200)
    text = f"{first}\n\n{second}\n\n## Next\n\n{third}"
    places = {cut(post(n, text)) for n in range(20)}
    assert (first, second) in places
    assert all(target in (second, f"## Next\n\n{third}", third) for _, target in places)
    assert len(places) > 1, "the hash of the post chooses"


def test_what_a_sample_of_the_whole_post_cannot_hold_is_continued_first(post: Make) -> None:
    parts = [words(name, 150) for name in "abcdefgh"]  # 900 words: six of them
    for number in range(10):
        _, target = cut(post(number, "\n\n".join(parts)))
        assert target.startswith(("gaa", "haa"))


def test_code_in_a_list_is_no_target(post: Make) -> None:
    text = f"{words('a', 40)}\n\n1. Shut it:\n\n   ```sh\n   shut --now\n   ```\n\n2. {words('b', 40)}"
    found = source(post(1, text))
    assert [block.kind for block in written(found)] == ["paragraph", "list", "list"]
    assert join(text, spans(written(found))) == f"{words('a', 40)}\n\n1. Shut it:\n\n2. {words('b', 40)}"


@pytest.mark.parametrize(
    ("sentence", "paragraphs"),
    [
        ("我今天早上起得很早，因為天氣很好，我想去河邊走走。", 0),
        ("आज सुबह मैं बहुत जल्दी उठ गया क्योंकि मौसम बहुत अच्छा था।", 1),
        ("இன்று காலை நான் மிகவும் சீக்கிரமாக எழுந்தேன் ஏனென்றால் வானிலை நன்றாக இருந்தது.", 1),
        ("เช้านี้ฉันตื่นเช้ามากเพราะอากาศดี และอยากไปเดินเล่นริมแม่น้ำ ", 0),
    ],
    ids=["Chinese", "Hindi", "Tamil", "Thai"],
)
def test_every_script_is_learnt_from(post: Make, sentence: str, paragraphs: int) -> None:
    """Whole and in parts; paragraphs where blanks divide the words that notes are made of."""
    text = f"{sentence * 4}\n\n{sentence * 5}"
    found = source(post(1, text))
    assert len(written(found)) == 2
    assert continued(found)
    assert len(found.paragraphs) == 2 * paragraphs


def test_a_post_that_opens_with_more_than_a_sample_holds_is_named(post: Make) -> None:
    long, short = post(1, f"## Head\n\n{words('a', 950)}\n\n{words('b', 40)}"), post(2)
    assert written(source(long)) == []
    assert overlong([long, short]) == (
        f"1 posts open with a block of more than 900 words and are not learnt whole ({long.id}): "
        "divide it into paragraphs"
    )
    assert overlong([short, post(3, "## Nothing but a heading"), post(4, "")]) == ""


def test_one_post_is_always_cut_at_one_place(post: Make) -> None:
    text = "\n\n".join(words(name, 60) for name in "abcdef")
    assert cut(post(7, text)) == cut(post(7, text))
