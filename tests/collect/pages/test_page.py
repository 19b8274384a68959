from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.collect.pages import page

URL = "https://a.org/p/"


def meta(head: str, body: str = "<p>x") -> page.Meta:
    root = page.parse(f"<html><head>{head}</head><body>{body}</body></html>")
    assert root is not None
    return page.read_meta(root, URL)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("don’t — “quote”".encode(), "text/html; charset=utf-8"),
        ("don’t — “quote”".encode(), ""),
        ("don’t — “quote”".encode("cp1252"), ""),
        ("don’t — “quote”".encode("cp1252"), "text/html; charset=ISO-8859-1"),
        (b"\xff\xfe" + "don’t — “quote”".encode("utf-16-le"), "text/html"),
        (b"<meta charset=windows-1252>" + "don’t — “quote”".encode("cp1252"), "text/html"),
        ("don’t — “quote”".encode(), "text/html; charset=no-such-thing"),
    ],
)
def test_pages_are_decoded_as_browsers_do(body: bytes, content_type: str) -> None:
    assert page.decode(body, content_type).endswith("don’t — “quote”")


def test_json_ld_names_title_date_and_author() -> None:
    found = meta(
        '<title>T – Blog</title><script type="application/ld+json">{"@graph": [{"@type": "WebSite"}, '
        '{"@type": ["BlogPosting"], "headline": "T", "datePublished": "2020-04-18T07:40:00+01:00", '
        '"author": [{"name": "Ann"}, "Bo"]}]}'
        '</script><meta property="article:tag" content="tea"><meta property="og:type" content="article">'
    )
    assert (found.title, found.published_at, found.author) == ("T", "2020-04-18T07:40:00+01:00", "Ann, Bo")
    assert found.tags == ("tea",)
    assert {"blogposting", "article"} <= found.kinds


def test_broken_json_ld_is_passed_over() -> None:
    found = meta('<title>T</title><script type="application/ld+json">{"@type": </script>')
    assert found.title == "T"


def test_stubs_unlisted_pages_and_canonical_addresses_are_seen() -> None:
    sent = {
        "0; url=/new": "https://a.org/new",
        "0.5;URL='/new'": "https://a.org/new",
        "1; url=mailto:a@b.c": URL,
    }
    for content, target in sent.items():
        assert meta(f'<meta http-equiv="refresh" content="{content}">').refresh == target
    assert not meta('<meta http-equiv="refresh" content="600">').refresh
    assert not meta(f'<meta http-equiv="refresh" content="{"9" * 5000}; url=/new">').refresh
    assert meta('<meta name="robots" content="noindex, follow">').unlisted
    assert meta('<link rel="canonical" href="/q/#x">').canonical == "https://a.org/q/"


def test_links_follow_the_base_and_leave_nofollow_out() -> None:
    root = page.parse(
        '<base href="/sub/"><a href="x">1</a><a href="x#again">2</a><a rel="nofollow" href="y">3</a>'
        '<a href="mailto:a@b.c">4</a><meta http-equiv="refresh" content="0; url=\'/new\'">'
    )
    assert root is not None
    assert page.links(root, URL) == ["https://a.org/sub/x", "https://a.org/new"]


def test_binary_is_no_page() -> None:
    assert not page.is_html(b"\x89PNG\x00\x00", "text/html")
    assert not page.is_html(b"%PDF", "application/pdf")
    assert page.is_html(b"<p>", "text/html; charset=utf-8")
    assert page.is_html(b"<p>", "")


@pytest.mark.parametrize("text", ["", "   ", "\x00\x00", "<!-- only a comment -->"])
def test_nothing_gives_no_tree_or_an_empty_one(text: str) -> None:
    root = page.parse(text)
    assert root is None or not "".join(root.itertext()).strip()


@given(st.text(alphabet="<>/abdivp ='\"&;!-\x00é", max_size=200))
@settings(deadline=None)  # machines are shared
def test_no_text_breaks_the_parser(text: str) -> None:
    root = page.parse(text)
    if root is not None:
        page.read_meta(root, URL)
        page.links(root, URL)
