"""Where a post is continued: whole runs of the author's own blocks, and one place a post."""

from __future__ import annotations

from collections.abc import Callable

from llm_twin.contracts.prose import join
from llm_twin.contracts.records import Post
from llm_twin.feature.targets import Cut, Source, continued, sources

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


def test_one_post_is_always_cut_at_one_place(post: Make) -> None:
    text = "\n\n".join(words(name, 60) for name in "abcdef")
    assert cut(post(7, text)) == cut(post(7, text))
