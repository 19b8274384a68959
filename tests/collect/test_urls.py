from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.collect import urls

SAME = (
    "https://example.org/posts/tea",
    "http://example.org/posts/tea",
    "https://www.example.org/posts/tea/",
    "https://EXAMPLE.org:443/posts/tea/index.html",
    "http://example.org:80/posts/tea/#comments",
    "https://example.org/posts/tea?utm_source=feed&fbclid=abc",
    "https://example.org/posts/./x/../tea",
    "https://example.org/posts/%74ea",
)


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_page_are_no_twins(url: str) -> None:
    assert urls.canonical(url) == urls.canonical(SAME[0])


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/posts/coffee",
        "https://example.org/posts/Tea",
        "https://blog.example.org/posts/tea",
        "https://example.org:8080/posts/tea",
        "https://example.org/posts/tea?page=2",
    ],
)
def test_other_pages_stay_apart(other: str) -> None:
    assert urls.canonical(other) != urls.canonical(SAME[0])


def test_the_order_of_a_query_makes_no_twin() -> None:
    assert urls.canonical("http://a.org/?b=2&a=1") == urls.canonical("http://a.org/?a=1&b=2")


@pytest.mark.parametrize(
    "bad",
    ["mailto:me@a.org", "javascript:void(0)", "ftp://a.org/x", "file:///etc/passwd", "http://", "http://[::1",
     "http://a.org:port/", "http://a b.org/", "#top"],
)  # fmt: skip
def test_what_is_no_web_address_is_none(bad: str) -> None:
    assert urls.clean(bad) is None


def test_links_are_resolved_against_their_page() -> None:
    assert urls.clean("../b/?x=1#frag", "http://a.org/c/d/") == "http://a.org/c/b/?x=1"
    assert urls.clean(" /a b\n/ü ", "http://a.org/") == "http://a.org/ab/%C3%BC"
    assert urls.clean("//b.org/x", "https://a.org/") == "https://b.org/x"


def test_a_site_is_its_host_and_a_personal_area_is_a_site_of_its_own() -> None:
    assert urls.same_site("http://www.a.org/x", "https://a.org/")
    assert not urls.same_site("http://a.org/", "http://b.a.org/")
    assert not urls.same_site("http://uni.edu/~ann/x", "http://uni.edu/~bob/")
    assert urls.same_site("http://uni.edu/~ann/x", "http://uni.edu/~ann/")


def test_downloads_and_feeds_are_not_pages() -> None:
    assert not any(
        urls.may_be_page(f"http://a.org{p}") for p in ("/i.PNG", "/x.tar.gz", "/feed/", "/feed.xml")
    )
    assert all(
        urls.may_be_page(f"http://a.org{p}") for p in ("/", "/a.html", "/2020/01/node.js-tips/", "/a.php")
    )


def test_the_shape_of_an_address() -> None:
    assert urls.shape("http://a.org/blog/2020/01/02/") == "/blog/N/N/N"
    assert urls.shape("http://a.org/posts/my-cat") == urls.shape("http://a.org/posts/my-dog")
    assert urls.shape("http://a.org/posts/my-cat") != urls.shape("http://a.org/notes/my-cat")


paths = st.text(alphabet="abcXYZ019/.-_~%?=&ü #+:", max_size=30)


@given(paths, st.sampled_from(["a.org", "www.a.org", "a.org:8080", "127.0.0.1"]))
@settings(deadline=None)  # machines are shared
def test_cleaning_and_naming_settle_at_once(path: str, host: str) -> None:
    cleaned = urls.clean(f"http://{host}/{path}")
    assert cleaned is not None
    assert urls.clean(cleaned) == cleaned
    identity = urls.canonical(cleaned)
    assert urls.canonical(identity) == identity
    assert urls.canonical(cleaned + "#part") == identity


@given(st.text(max_size=60), st.sampled_from(["", "http://a.org/b/"]))
@settings(deadline=None)  # machines are shared
def test_no_text_breaks_cleaning(text: str, base: str) -> None:
    cleaned = urls.clean(text, base)
    assert cleaned is None or cleaned.startswith(("http://", "https://"))
