"""What holds for every address and every page, whatever is in it."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_twin.collect import urls
from llm_twin.collect.pages import judge, page
from llm_twin.collect.pages.charset import decode
from llm_twin.collect.pages.extract import extract
from llm_twin.collect.pages.furniture import texts
from llm_twin.collect.pages.layout import learn
from llm_twin.collect.pages.markdown import from_html
from llm_twin.collect.web import traps
from llm_twin.collect.web.feeds import Entry

HERE = "https://blog.example/posts/tea/"
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

PARTS = st.sampled_from(
    [
        *str.split(
            "http:// https:// ftp:// // / ? # @ : ; . .. ../ %2e %2F %zz % %00 & = [ ] [::1] "
            "[fe80::1%25eth0] 127.0.0.1 2130706433 0x7f.1 a.org www.a.org A.ORG. xn--80ak6aa92e "
            "ünïcode.org :80 :443 :8080 :99999 :x user:pw@ "
            "/~ann/ index.html utm_source=x a=1 b=2 \\ \\\\ ü 漢字 ．"
        ),
        *"\x00\t\n \u200b\ud800",
    ]
)
URLS = st.one_of(st.lists(PARTS, max_size=10).map("".join), st.text(max_size=80))
BASES = st.sampled_from(["", HERE, "http://a.org:8080/~ann/x?y=z"])


@given(URLS, BASES)
@MANY
def test_a_cleaned_address_is_clean_and_has_one_identity(text: str, base: str) -> None:
    url = urls.clean(text, base)
    if url is None:
        return
    assert url.isascii()
    assert url == "".join(url.split())
    split = urlsplit(url)
    assert split.scheme in ("http", "https")
    assert split.hostname
    assert split.username is None
    assert urls.clean(url) == url
    assert urls.clean(url, HERE) == url
    identity = urls.canonical(url)
    assert urls.canonical(identity) == identity
    assert urls.same_site(url, url)
    assert urls.same_site(url, identity)
    assert isinstance(urls.may_be_page(url), bool)
    assert traps.shape(url) == traps.shape(url)
    assert isinstance(traps.is_endless(url), bool)
    judge.why_not_address(url)


@given(URLS, URLS, BASES)
@MANY
def test_one_site_is_one_site_from_both_sides(one: str, other: str, base: str) -> None:
    a, b = urls.clean(one, base), urls.clean(other, base)
    if a and b:
        assert urls.same_site(a, b) == urls.same_site(b, a)


TAGS = tuple(
    str.split(
        "html head body title base meta link script style article main section div p span a b i em strong "
        "code pre ul ol li dl dt dd table tr td th thead tbody blockquote h1 h2 h3 h6 br hr img figure "
        "figcaption nav aside header footer form input button select option iframe svg math "
        "template noscript time details summary q sup sub kbd font center x-unknown"
    )
)
ATTRIBUTES = st.sampled_from(
    [
        "", "class='post-content'", "class='related comments'", "id='x1'", "href='/x'", "href='http://['",
        "href='javascript:x'", "hidden", "rel='canonical' href='//'", "rel='tag'", "datetime='2020-13-45'",
        "name='author' content='Ann'", "property='og:title' content=''", "aria-hidden=true", "='",
        "http-equiv='refresh' content='0;url=/a'", "type='application/ld+json'", "colspan='99999999999'",
        "colspan='x' rowspan='-1'", "start='99999999999999'", "start='x'", "data-lang='c'",
        "role='navigation'", "style='display:none'", "xml:lang='é' x:y='1'",
    ]
)  # fmt: skip
STARTS = st.builds(lambda tag, attributes: f"<{tag} {attributes}>", st.sampled_from(TAGS), ATTRIBUTES)
ENDS = st.sampled_from(TAGS).map(lambda tag: f"</{tag}>")
ODD = st.sampled_from(
    ["<!--", "-->", "<![CDATA[", "]]>", "<?x", "<!DOCTYPE html>", "<", ">", "</", "&amp;", "&#0;",
     "&#x110000;", "&nbsp;", "&bogus;", "\x00", "\x0c", "\ufeff", "\u200b", "\ud800", "```", "~~~~",
     "1. ", "# ", "|", "\\",
     '{"@type":"BlogPosting","headline":1,"author":[],"datePublished":{}}', "January 32, 2020", "word " * 30]
)  # fmt: skip
PAGES = st.lists(st.one_of(STARTS, STARTS, ENDS, ODD, st.text(max_size=15)), max_size=40).map("".join)


@given(PAGES)
@MANY
def test_no_page_breaks_what_reads_it(text: str) -> None:
    root = page.parse(text)
    if root is None:
        return
    assert root.find("body") is not None
    for link in page.links(root, HERE) + page.feed_links(root, HERE):
        assert urls.clean(link) == link
    meta = page.read_meta(root, HERE)
    judge.why_not_page(HERE, meta)
    draft = extract(root, HERE, meta, None, None)
    judge.why_not_post(draft, meta, False, False)
    assert not draft.markdown or draft.words >= 0
    assert "\x00" not in draft.markdown


@given(PAGES, PAGES)
@MANY
def test_no_feed_breaks_the_layout_that_is_learned_from_it(text: str, body: str) -> None:
    root = page.parse(text)
    if root is None:
        return
    layout = learn([(root, body)], [root, root, root])
    entry = Entry(HERE, "Tea", None, None, (), body)
    meta = page.read_meta(root, HERE)
    assert isinstance(extract(root, HERE, meta, layout, entry).markdown, str)


@given(PAGES)
@MANY
def test_no_body_breaks_its_markdown(text: str) -> None:
    assert isinstance(from_html(text), str)


@given(
    st.binary(max_size=400),
    st.sampled_from(["", "text/html; charset=", "text/html; charset=utf-16", "charset=gbk"]),
)
@MANY
def test_any_bytes_are_some_text(body: bytes, content_type: str) -> None:
    assert isinstance(decode(body, content_type), str)
    page.is_html(body, content_type)


@given(st.integers(1, 600), st.sampled_from(["div", "b", "blockquote", "table><tr><td", "span class=x"]))
@settings(max_examples=30, deadline=None)
def test_flattening_keeps_every_word_in_its_order(depth: int, tag: str) -> None:
    name = tag.split()[0].split(">")[0]
    text = "".join(f"<{tag}>w{n} " for n in range(depth))
    if ">" not in tag:
        text += "".join(f"</{name}>v{n} " for n in range(depth))
    root = page.parse(f"<body>{text}</body>")
    assert root is not None
    words = "".join(t for _, t in texts(root)).split()
    expected = [f"w{n}" for n in range(depth)] + ([f"v{n}" for n in range(depth)] if ">" not in tag else [])
    assert words == expected
