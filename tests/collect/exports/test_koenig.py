from __future__ import annotations

import json
from typing import Any

import pytest

from llm_twin.collect.exports.koenig import Broken, lexical, mobiledoc

Node = dict[str, Any]


def text(words: str, form: int = 0) -> Node:
    return {"type": "extended-text", "text": words, "format": form, "mode": "normal", "version": 1}


def block(kind: str, *children: Node, **more: Any) -> Node:
    return {"type": kind, "children": list(children), "direction": "ltr", "indent": 0, "version": 1, **more}


def lex(*nodes: Node) -> str:
    return lexical(json.dumps({"root": block("root", *nodes)}))


def mob(*sections: Any, **more: Any) -> str:
    return mobiledoc(
        json.dumps({"version": "0.3.1", "atoms": [], "cards": [], "markups": [], "sections": sections} | more)
    )


def test_lexical_paragraphs_headings_and_formats() -> None:
    formats = [text("It's "), text("very", 2), text(" very", 3), text(" bold", 1), text(" & <plain>.")]
    line_break = {"type": "linebreak", "version": 1}
    lines = [text("Run "), text("a_b", 16), text(", "), text("gone", 4), line_break, text("next")]
    assert lex(
        block("extended-heading", text("A Head"), tag="h2"),
        block("paragraph", *formats),
        block("paragraph", *lines),
        block("paragraph"),
        block("extended-quote", text("They said.")),
    ) == (
        "## A Head\n\nIt's *very **very*** **bold** & <plain>.\n\nRun `a_b`, ~~gone~~  \nnext\n\n> They said."
    )


def test_lexical_links_keep_their_text_and_go_on_in_a_format() -> None:
    link = block("link", text("here", 2), url="https://a.org")
    assert lex(block("paragraph", text("See ", 2), link, text(" now", 2), text("."))) == "*See here now*."


def test_lexical_lists_nest() -> None:
    inner = block("list", block("listitem", text("deep")), listType="bullet")
    items = (block("listitem", text("one")), block("listitem", inner), block("listitem", text("two")))
    outer = block("list", *items, listType="number", start=3)
    assert lex(outer) == "3. one\n   - deep\n4. two"


CARDS: list[tuple[str, Node, str]] = [
    ("codeblock", {"code": "if a < b:\n    x()", "language": "c"}, "```c\nif a < b:\n    x()\n```"),
    ("markdown", {"markdown": "It's *mine* — [a link](https://a.org)\n\n- x"}, "It's *mine* — a link\n\n- x"),
    ("html", {"html": "<p>Mine <b>too</b></p><script>x()</script>"}, "Mine **too**"),
    ("callout", {"calloutText": "<p>Note <em>this</em></p>", "calloutEmoji": "💡"}, "Note *this*"),
    ("toggle", {"heading": "More", "content": "<p>Inside</p>"}, "#### More\n\nInside"),
    ("header", {"header": "Big", "subheader": "small"}, "## Big\n\nsmall"),
    ("image", {"caption": "A picture", "alt": "x"}, ""),
    ("bookmark", {"metadata": {"title": "Theirs", "description": "Their words"}}, ""),
    ("embed", {"html": "<blockquote class='twitter-tweet'>Their words</blockquote>"}, ""),
    ("signup", {"header": "Sign up"}, ""),
    ("email-cta", {"html": "<p>Subscribers only</p>"}, ""),
    ("paywall", {}, ""),
    ("something new", {"text": "?"}, ""),
]


@pytest.mark.parametrize(("kind", "card", "expected"), CARDS)
def test_cards_count_where_the_author_wrote_them(kind: str, card: Node, expected: str) -> None:
    around = [block("paragraph", text("Before")), {"type": kind, **card}, block("paragraph", text("After"))]
    assert lex(*around) == "\n\n".join(part for part in ("Before", expected, "After") if part)
    assert mob([10, 0], cards=[[kind, card]]) == expected


def test_a_divider_stands_between_what_it_divides() -> None:
    rule = {"type": "horizontalrule"}
    assert (
        lex(rule, block("paragraph", text("a")), rule, block("paragraph", text("b")), rule) == "a\n\n---\n\nb"
    )


def test_mobiledoc_sections_and_markups() -> None:
    assert mob(
        [1, "H2", [[0, [], 0, "A Head"]]],
        [1, "p", [[0, [], 0, "It's "], [0, [0], 0, "very "], [0, [1], 2, "bold"], [0, [], 0, " & <plain> "],
                  [0, [2], 1, "link"], [1, [], 0, 0], [0, [3], 1, "b"]]],
        [3, "ol", [[[0, [], 0, "one"]], [[0, [0], 1, "two"]]]],
        [1, "blockquote", [[0, [], 0, "They said."]]],
        [1, "aside", [[0, [], 0, "Aside."]]],
        [2, "https://a.org/x.png"],
        [1, "p", []],
        markups=[["em"], ["strong"], ["a", ["href", "https://a.org"]], ["code"]],
        atoms=[["soft-return", "", {}]],
    ) == (
        "## A Head\n\nIt's *very **bold*** & <plain> link  \n`b`\n\n1. one\n2. *two*\n\n"
        "> They said.\n\n> Aside."
    )  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{",
        "[]",
        "null",
        '{"root": 1}',
        '{"root": {"children": [1]}}',
        '{"root": {"children": [{}]}}',
        '{"root": {"children": [{"type": "list", "children": [{}]}]}}',
        "[" * 100_000,
    ],
)
def test_a_broken_lexical_document_says_so(document: str) -> None:
    with pytest.raises(Broken):
        lexical(document)


@pytest.mark.parametrize(
    "document",
    ['{"sections": [[10, 5]], "cards": []}', '{"sections": [[1, "p", [[0, [9], 0, "x"]]]], "markups": []}',
     '{"sections": [[1, "p", [[0, [], 3, "x"]]]], "markups": []}', '{"sections": [[]]}'],
)  # fmt: skip
def test_a_broken_mobiledoc_says_so(document: str) -> None:
    with pytest.raises(Broken):
        mobiledoc(document)


def test_deep_nesting_is_read_or_refused() -> None:
    nested = block("listitem", text("deep"))
    for _ in range(30):
        nested = block("listitem", block("list", nested))
    assert lex(block("list", nested)).endswith("- deep")
    bottomless = '{"type":"list","children":[{"children":[' * 400 + "]}]}" * 400
    with pytest.raises(Broken):
        lexical(f'{{"root":{{"children":[{bottomless}]}}}}')
