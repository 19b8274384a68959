from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt

from llm_twin.collect.pages.markdown import escape_tags, to_markdown
from llm_twin.contracts.prose import prose


def markdown(body: str) -> str:
    return to_markdown(html.fragment_fromstring(body, create_parent="div"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>It's a dog's life — isn’t it? “Yes”…</p>", "It's a dog's life — isn’t it? “Yes”…"),
        ("<p>One\n  line  of\ttext</p>\n<p>Two</p>", "One line of text\n\nTwo"),
        ("<p>An <em>odd</em>, <b>bold</b> <i>thing</i></p>", "An *odd*, **bold** *thing*"),
        ("<p>snake_case * 2 [sic] <a href='/x'>a link</a></p>", "snake_case * 2 [sic] a link"),
        ("<h2 id='x'>A head<a href='#x'>#</a></h2><p>t</p>", "## A head\n\nt"),
        ("<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>", "- a\n- b\n  1. c"),
        ("<ol start='3'><li>c</li><li>d</li></ol>", "3. c\n4. d"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
        ("<p>a<br>b</p>", "a  \nb"),
        ("<p>Run <code>a `b` c</code> now</p>", "Run `` a `b` c `` now"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1|2</td><td>3</td></tr></table>",
         "| a | b |\n| --- | --- |\n| 1\\|2 | 3 |"),
        ("<table><caption>C</caption><tr><td>a</td></tr><tr><td>b</td></tr></table>",
         "C\n\n| a |\n| --- |\n| b |"),
        ("<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>b</td></tr></tbody><tfoot><tr><td>c</td></tr>"
         "</tfoot></table>", "| a |\n| --- |\n| b |\n| c |"),
        ("<table><tr><td colspan='2'>a</td></tr><tr><td>b</td><td>c</td></tr></table>",
         "| a | |\n| --- | --- |\n| b | c |"),
        ("<ol start='²'><li>a</li></ol><table><tr><td colspan='²'>b</td></tr></table>",
         "1. a\n\n| b |\n| --- |"),
        ("<p>before</p><img src='x.png' alt='a picture'><p>after</p>", "before\n\nafter"),
        ("<p>1986. What a year</p><p># of things</p><p>- not a list</p>",
         "1986\\. What a year\n\n\\# of things\n\n\\- not a list"),
        ("<p>&lt;script&gt; tags &lt;3 &lt;b&gt;</p><div>&lt;!-- x</div><ul><li>&lt;pre&gt;</li></ul>",
         "\\<script> tags <3 <b>\n\n\\<!-- x\n\n- \\<pre>"),
        ("<p><code>&lt;p&gt;</code></p><h2>&lt;p&gt;</h2><pre>&lt;p&gt;</pre>",
         "`<p>`\n\n## <p>\n\n```\n<p>\n```"),
        ("<p>a</p><p>* * *</p><p>b</p><p>---</p><p>* - *</p>", "a\n\n---\n\nb\n\n---\n\n\\* - *"),
        ("<p>see note<sup><a href='#fn1'>1</a></sup></p><p>the note <a href='#r'>↩︎</a></p>",
         "see note1\n\nthe note"),
        ("<p>non\xa0breaking and soft\xadhyphen</p>", "non breaking and softhyphen"),
        ("<p><q>hm</q> <del>no</del> <strong><b>x</b></strong></p>", "“hm” ~~no~~ **x**"),
    ],
)  # fmt: skip
def test_html_becomes_the_markdown_a_writer_would_type(body: str, expected: str) -> None:
    assert markdown(body) == expected


@pytest.mark.parametrize(
    "text",
    [
        "<script> is slow",
        "<!-- is long",
        "<pre>",
        "</p>",
        "<?php",
        "1986. What a year",
        "1) One",
        "# of it",
        "> x",
    ],
)
def test_what_is_escaped_is_read_as_the_author_typed_it(text: str) -> None:
    shown = text.replace("<", "&lt;")
    for body in (f"<p>{shown}</p>", f"<p>a<br>{shown}</p>", f"<ul><li><p>{shown}</p></li></ul>"):
        read = prose(markdown(f"{body}<p>Rest</p>"))
        assert (read.split("\n\n")[0].removeprefix("a\n").removeprefix("- "), read[-4:]) == (text, "Rest")
    if text.startswith("<"):
        assert prose(f"{escape_tags(text)}\n\nRest") == f"{text}\n\nRest"


@pytest.mark.parametrize(
    "text",
    [
        "See:\n\n```html\n<div class=x>\n</div>\n```",
        "~~~\n<p>\n~~~",
        "See:\n\n    <html>\n\n    </html>",
        "- one\n\n  ```\n  <p>\n  ```",
    ],
)
def test_code_in_plain_text_stays_as_the_author_typed_it(text: str) -> None:
    assert escape_tags(text) == text
    assert escape_tags(f"<!-- so\n\n{text}\n\n<pre>") == f"\\<!-- so\n\n{text}\n\n\\<pre>"


def test_tags_in_plain_text_of_any_length_are_escaped_in_good_time() -> None:
    started = time.perf_counter()
    for line in ("<script>\n\n", "<b\n", "- <p>\n", "> <p>\n", "1. <p>\n\n", "    <p>\n\n", "```\n<p>\n"):
        escape_tags(line * (200_000 // len(line)))
    for line in (" ", "> ", "- ", "1. ", "<"):
        escape_tags(f"<p>{line * (200_000 // len(line))}")
    assert time.perf_counter() - started < 20


CODE = "def f(a):\n    # it's `quoted` & <kept>\n\n\n    return a_b * 2  # 'x'\n\tTab"


def test_code_keeps_its_text_to_the_character_through_a_highlighter() -> None:
    escaped = CODE.replace("&", "&amp;").replace("<", "&lt;")
    coloured = re.sub(r"(def|return)", r'<span class="k nav">\1</span>', escaped)
    page = (
        '<div class="language-python highlighter-rouge"><div class="highlight"><pre class="highlight">'
        f"<code>{coloured}\n</code></pre></div></div>"
    )
    assert markdown(page) == f"```python\n{CODE}\n```"


def test_line_numbers_beside_code_go() -> None:
    page = (
        "<table class='highlighttable'><tr><td class='linenos'><pre>1\n2</pre></td>"
        "<td class='code'><pre><code class='language-c'>int a;\nint b;</code></pre></td></tr></table>"
    )
    assert markdown(page) == "```c\nint a;\nint b;\n```"


def test_code_with_a_fence_inside_gets_a_longer_fence() -> None:
    assert markdown("<pre>```\nx\n```</pre>") == "````\n```\nx\n```\n````"


def test_code_in_a_list_item_stays_in_it() -> None:
    found = markdown("<ol><li><p>Type:</p><pre><code>a\n\nb</code></pre></li><li><p>Wait</p></li></ol>")
    tokens = MarkdownIt().parse(found)
    assert [t.content for t in tokens if t.type == "fence"] == ["a\n\nb\n"]
    assert sum(t.type == "list_item_open" for t in tokens) == 2


words = st.lists(st.text(alphabet="abc'’—.é,", min_size=1, max_size=6), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=5))
@settings(deadline=None)  # machines are shared
def test_paragraphs_of_words_come_through_unchanged(paragraphs: list[list[str]]) -> None:
    expected = [" ".join(p) for p in paragraphs]
    found = markdown("".join(f"<p>{p}</p>" for p in expected))
    assert found == "\n\n".join(expected)
