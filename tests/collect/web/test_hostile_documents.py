"""No document of a stranger raises, whatever is in it, and every address that comes out is a clean one."""

from __future__ import annotations

import gzip
import json
import random
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_twin.collect import dates, jsontext, plaintext, urls, xmltext
from llm_twin.collect.pages import page
from llm_twin.collect.web import apis, feeds, sitemaps
from llm_twin.collect.web.apis import Api, Engine

HERE = "https://a.org/feed"
MANY = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ENGINES: tuple[Engine, ...] = ("wordpress", "wordpress feed", "ghost", "substack", "blogger")

# Pieces that make a random text a document more often than chance would.
PIECES = st.sampled_from(
    str.split(
        "<rss> </rss> <channel> <item> </item> <feed> <entry> </entry> <title> </title> <link> </link> "
        "<guid> <id> <![CDATA[ ]]> <!-- --> <!DOCTYPE <!ENTITY [ ]> &a; &amp; &nbsp; &#0; &#xD800; "
        "&#x110000; &#99999999999999; <?xml ?> encoding='utf-16' encoding=\"idna\" <author> <category> "
        "<pubDate> <updated> 2020-02-30T25:61 <urlset> <url> <loc> <sitemapindex> <sitemap> "
        "https://a.org/x http://[ //: https://a.org:99999/ javascript:x <links <authors <tags "
        "<title_detail x='y'/> <published_parsed> rel='next' href='/x' xml:base='http://[' type='text' "
        "type='xhtml' mode='base64' <content <svg> <math> "
        '{"version":"https://jsonfeed.org/version/1"'
    )
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=20)), max_size=40).map(" ".join)
BODIES = st.one_of(
    st.binary(max_size=300),
    TEXTS.map(lambda text: text.encode("utf-8", "replace")),
    TEXTS.map(lambda text: text.encode("utf-16", "replace")),
    TEXTS.map(lambda text: gzip.compress(text.encode("utf-8", "replace"))),
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just("https://a.org/x")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                str.split(
                    "items posts meta pagination next url id link canonical_url title rendered content html "
                    "tags content_html content_text authors author name date_published date_gmt _embedded "
                    "visibility next_url home_page_url primary_author publishedBylines summary"
                )
            ),
            inner,
            max_size=6,
        ),
    ),
    max_leaves=20,
)


def look(body: bytes, content_type: str = "") -> None:
    """Read a document as everything that it may be, and check what comes out."""
    feeds.is_feed(body)
    feed = feeds.parse(body, HERE, content_type)
    entries = list(feed.entries)
    sitemap = sitemaps.parse(body, HERE, 100_000)
    sitemaps.is_sitemap(body)
    further = [u for u in (feed.site, feed.next) if u]
    for engine in ENGINES:
        answer = apis.parse(Api(engine, HERE, HERE), body, f"{HERE}?page=1&paged=1&offset=0&start-index=1")
        entries += answer.entries
        further += [answer.next] if answer.next else []
    for url in [e.url for e in entries] + [*sitemap.pages, *sitemap.sitemaps, *further]:
        assert url.startswith(("http://", "https://"))
        assert urls.clean(url) == url
    assert all(e.url.startswith("feed:a.org/") for e in feed.loose)
    for entry in (*entries, *feed.loose):
        for text in (entry.title, entry.html, entry.author or "", *entry.tags):
            assert text == xmltext.ILLEGAL.sub("", text)
            text.encode()
        assert "\n" not in entry.title
        assert entry.published_at is None or dates.iso(entry.published_at) == entry.published_at


@MANY
@given(
    BODIES,
    st.sampled_from(["", "text/xml; charset=utf-7", "application/xml; charset=idna", "charset=utf-16"]),
)
def test_no_bytes_raise(body: bytes, content_type: str) -> None:
    look(body, content_type)


@MANY
@given(JSON)
def test_no_json_raises(value: object) -> None:
    held = value if isinstance(value, dict) else {"items": value, "posts": value}
    for document in (value, held, {"version": "https://jsonfeed.org/version/1.1", **held}):
        look(json.dumps(document).encode())


@MANY
@given(st.one_of(TEXTS, st.text(max_size=300)))
def test_no_text_raises(text: str) -> None:
    plaintext.of_html(text)
    plaintext.to_html(text)
    found = dates.iso(text)
    assert found is None or dates.iso(found) == found
    xmltext.harmless(text.encode("utf-8", "replace")).decode()
    jsontext.load(text.encode("utf-8", "replace"))


@MANY
@given(TEXTS)
def test_no_page_raises_when_its_api_is_looked_for(text: str) -> None:
    marks = f'<link rel="https://api.w.org/" href="{text}"><script data-key="0123456789ab" data-api="{text}">'
    root = page.parse(marks + text)
    found = apis.find(root, HERE) if root is not None else None
    if found:
        assert urls.clean(found.first) == found.first


@cache
def some_fixtures(test_data: Path) -> list[bytes]:
    found = sorted((test_data / "feeds-feedparser").rglob("*.xml"))[::7]
    assert len(found) > 250
    return [path.read_bytes() for path in found]


@pytest.mark.parametrize("seed", range(4))
def test_no_real_feed_raises_when_bytes_of_it_change(test_data: Path, seed: int) -> None:
    chance = random.Random(seed)
    bodies = some_fixtures(test_data)
    for body in bodies:
        changed = bytearray(body)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(changed) + 1)
            other = chance.choice(bodies)
            start = chance.randrange(len(other) or 1)
            insert = chance.choice(
                [b"", bytes([chance.randrange(256)]), other[start : start + 40], b"<", b"]]>"]
            )
            changed[at : at + chance.choice([0, 1, 5, 60])] = insert
        look(bytes(changed))
