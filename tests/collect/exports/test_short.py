from __future__ import annotations

from llm_twin.collect.exports.short import (
    Short,
    threads,
    to_markdown,
    without_greeting,
    without_labels,
)
from llm_twin.collect.item import Rejected, Thread
from llm_twin.contracts.records import Kind, Post


def short(key: str, text: str, parent: str = "", kind: Kind = "note", rank: str = "") -> Short:
    return Short(key, parent, rank or key, f"test:{key}", None, kind, lambda: text)


def texts(*shorts: Short) -> dict[str, str]:
    return {p.url: p.markdown for p in threads(shorts) if isinstance(p, Post)}


def test_the_handles_in_front_go_and_those_in_a_sentence_stay() -> None:
    assert without_greeting("@ann @bob@social.example Yes, @cleo said so.") == "Yes, @cleo said so."
    assert without_greeting("@ann's idea is good") == "@ann's idea is good"
    assert without_greeting("@ann, you are right") == "@ann, you are right"
    assert without_greeting("@ann") == ""


def test_addresses_and_hashtags_at_the_end_go_and_those_in_a_sentence_stay() -> None:
    assert without_labels("Read https://a.example/b first. https://a.example/c") == (
        "Read https://a.example/b first."
    )
    assert without_labels("I like #tea and #cake\n\n#monday #lunch#noon\nhttps://a.example") == (
        "I like #tea and #cake"
    )
    assert without_labels("https://a.example #tea\n") == ""
    assert without_labels("Chapter\n# 1") == "Chapter\n# 1"


def test_the_end_of_a_hostile_text_is_found_in_linear_time() -> None:
    assert without_labels("#a" * 50_000 + "http://b" * 20_000 + " end").endswith("end")
    assert without_greeting("@a" * 50_000 + "!").endswith("!")


def test_lines_and_paragraphs_of_plain_text_survive_as_markdown() -> None:
    assert to_markdown("One \r\ntwo\n\n\n\nThree\n- a\n- b\n") == "One  \ntwo\n\nThree\n- a\n- b"


def test_a_tag_that_was_typed_begins_no_block_of_html() -> None:
    assert to_markdown("<script> is slow\n<b\n\nIt <is>") == "\\<script> is slow  \n\\<b\n\nIt <is>"


def test_a_row_of_dashes_makes_no_heading_of_the_line_above() -> None:
    assert to_markdown("Not a heading\n---\nText") == "Not a heading\n\n---  \nText"


def test_a_thread_is_one_text_in_the_order_of_writing() -> None:
    found = texts(short("3", "three", "2"), short("1", "one"), short("2", "two", "1"), short("9", "alone"))
    assert found == {"test:1": "one\n\ntwo\n\nthree", "test:9": "alone"}


def test_the_first_text_comes_first_whatever_its_clock_said() -> None:
    late = short("1", "one", rank="9")
    assert texts(late, short("3", "two", "1", rank="2"), short("2", "three", "3", rank="3")) == {
        "test:1": "one\n\ntwo\n\nthree"
    }


def test_a_thread_whose_first_text_is_missing_begins_with_the_next() -> None:
    assert texts(short("2", "two", "1"), short("3", "three", "2")) == {"test:2": "two\n\nthree"}


def test_a_thread_knows_the_ids_of_its_other_texts() -> None:
    [post] = threads([short("2", "two", "1"), short("1", "one"), short("3", "", "2")])
    assert isinstance(post, Thread)
    assert post.parts == (Post.id_of("test:2"), Post.id_of("test:3"))
    [alone] = threads([short("1", "one")])
    assert not isinstance(alone, Thread)


def test_a_thread_below_an_answer_is_an_answer() -> None:
    [post] = threads([short("1", "one", kind="reply"), short("2", "two", "1")])
    assert isinstance(post, Post)
    assert (post.kind, post.markdown) == ("reply", "one\n\ntwo")


def test_texts_that_answer_each_other_in_a_ring_lose_nothing() -> None:
    found = texts(short("1", "one", "2"), short("2", "two", "1"), short("3", "three", "3"))
    assert sorted("\n\n".join(found.values()).split("\n\n")) == ["one", "three", "two"]


def test_a_thread_of_ten_thousand_texts_is_joined() -> None:
    chain = [short(f"{n:05}", f"text {n}", f"{n - 1:05}" if n else "") for n in range(10_000)]
    [post] = threads(reversed(chain))
    assert isinstance(post, Post)
    assert post.markdown.split("\n\n") == [f"text {n}" for n in range(10_000)]


def test_a_picture_without_words_is_no_post_and_leaves_its_thread_alone() -> None:
    assert list(threads([short("1", "")])) == [Rejected("test:1", "no text")]
    assert texts(short("1", "one"), short("2", "", "1"), short("3", "three", "1")) == {
        "test:1": "one\n\nthree"
    }
