"""What of a Markdown text is the author's prose, and how it reads when it is unwrapped."""

from __future__ import annotations

import re
import time

import pytest

from llm_twin.contracts.prose import blocks, ending, join, prose, prose_spans, word_count

STEPS = """\
Steps:

1. Install it:

   ```sh
   pip install foo
   foo --init
   ```

2. Then run what Anna
   wrote:

   > Never trust a lock.

   It took me a day,
   and no more.

   | a | b |
   |---|---|
   | 1 | 2 |

3. Done."""


def kinds(markdown: str) -> list[tuple[str, str]]:
    return [(b.kind, markdown[b.start : b.end]) for b in blocks(markdown)]


def test_code_quotations_and_tables_inside_lists_are_no_prose() -> None:
    assert prose(STEPS).split("\n\n") == [
        "Steps:",
        "1. Install it:",
        "2. Then run what Anna wrote:",
        "It took me a day, and no more.",
        "3. Done.",
    ]
    assert [kind for kind, _ in kinds(STEPS)] == [
        *("paragraph", "list", "code", "list", "quote", "list", "table", "list")
    ]
    assert ("quote", "   > Never trust a lock.") in kinds(STEPS)


def test_a_list_of_items_alone_is_one_block() -> None:
    text = "- one\n- two\n  - nested and\n    wrapped\n\n- three\n\n* another"
    assert [kind for kind, _ in kinds(text)] == ["list", "list"]
    assert prose(text) == "- one\n- two\n  - nested and wrapped\n- three\n\n* another"


def test_what_is_nested_in_a_quotation_stays_in_it() -> None:
    text = "> - a\n>\n>   ```\n>   b\n>   ```\n>\n> c\n\n- > d\n  >\n  > - e\n- f"
    assert [kind for kind, _ in kinds(text)] == ["quote", "quote", "list"]
    assert prose(text) == "- f"


def test_paragraphs_of_an_item_stay_apart() -> None:
    assert prose("- one\n\n  and more\n  of it\n\n- two") == "- one\n\n  and more of it\n- two"


def test_a_text_of_one_paragraph_is_unwrapped_in_time() -> None:
    """A book without a blank line."""
    line = "some words that go on and on with a few blanks until the line is at its end"
    started = time.perf_counter()
    assert prose("\n".join([line] * 5000)) == " ".join([line] * 5000)
    assert time.perf_counter() - started < 5


def test_any_spans_of_blocks_can_be_joined() -> None:
    last = prose_spans(STEPS)[-2:]
    assert join(STEPS, last) == "It took me a day, and no more.\n\n3. Done."
    assert all(join(STEPS, [span]) for span in prose_spans(STEPS))


@pytest.mark.parametrize("mark", ["  ", "   ", "\\"])
def test_the_authors_line_breaks_stay(mark: str) -> None:
    poem = f"The lock is shut,{mark}\n the rain\nis in,{mark}\nI count the boats"
    assert prose(poem) == "The lock is shut,\nthe rain is in,\nI count the boats"
    assert prose(f"- one{mark}\n  and more\n- two") == "- one\nand more\n- two"


def test_a_backslash_that_is_escaped_ends_a_paragraph_or_follows_a_blank_is_no_line_break() -> None:
    assert prose("It ends in \\\\\nand goes on\\") == "It ends in \\\\ and goes on\\"
    assert prose("gpg --s2k-mode 3 \\\n    --edit-key") == "gpg --s2k-mode 3 \\ --edit-key"


def test_lines_of_scripts_without_blanks_are_joined_without_one() -> None:
    assert prose("我今天起得很早，\n因為天氣很好。\n我們去了河邊\nin the rain.") == (
        "我今天起得很早，因為天氣很好。我們去了河邊 in the rain."
    )
    assert prose("오늘 아침\n나는") == "오늘 아침 나는"


def test_every_line_end_that_the_parser_knows() -> None:
    assert [text for _, text in kinds("a\rb\r\rc\r\n\r\nd\ne")] == ["a\rb", "c", "d\ne"]


def test_words_are_what_blanks_divide_and_characters_where_there_are_none() -> None:
    text = "It's well-known -- 1.8 m\n(now)"
    assert word_count(text) == len(text.split())
    assert word_count("水位は1.8 mです。") == len(["水", "位", "は", "1.8", "m", "で", "す", "。"])
    assert word_count("") == 0


def test_an_ending_holds_so_many_words_of_any_script() -> None:
    assert ending("一二三四五\n\n六七八九十", 7) == "六七八九十"


@pytest.mark.parametrize(
    "typed", ["1986. What a year", "1) One", "# of it", "- a thought", "<script> is slow"]
)
def test_a_backslash_that_keeps_a_paragraph_one_is_no_word_of_its_author(typed: str) -> None:
    escaped = re.sub(r"[.)#<-]", r"\\\g<0>", typed, count=1)
    assert prose(f"{escaped}\n\n- {escaped}\n\nRest") == f"{typed}\n\n- {typed}\n\nRest"
    assert prose("\\(x\\) \\- and \\word") == "\\(x\\) \\- and \\word"
