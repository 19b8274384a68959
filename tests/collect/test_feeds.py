from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from llm_twin.collect import dates, feeds, sitemaps

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>T</title><link>https://a.org/</link>
<item><title>On &amp; off</title><link>/on/?utm_source=rss</link>
<pubDate>Sat, 18 Apr 2020 07:40:00 +0000</pubDate>
<category>tea</category><description>Short</description>
<content:encoded><![CDATA[<p>The whole post, don't cut it.</p>]]></content:encoded></item>
<item><title>No link</title></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><link rel="alternate" href="https://a.org/"/>
<entry><title>B</title><link href="https://a.org/b"/><updated>2021-02-03T04:05:06Z</updated>
<author><name>Ann</name></author><content type="html">&lt;p&gt;Body b&lt;/p&gt;</content></entry></feed>"""
JSON = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "home_page_url": "https://a.org/",
        "items": [
            {
                "url": "https://a.org/c",
                "title": "C",
                "content_html": "<p>c</p>",
                "date_published": "2022-01-01",
            }
        ],
    }
).encode()


def test_rss_atom_and_json_feeds_give_their_entries() -> None:
    (rss,) = feeds.parse(RSS, "https://a.org/feed").entries
    assert (rss.url, rss.title, rss.published_at, rss.tags) == (
        "https://a.org/on/",
        "On & off",
        "2020-04-18T07:40:00+00:00",
        ("tea",),
    )
    assert rss.html == "<p>The whole post, don't cut it.</p>"
    (atom,) = feeds.parse(ATOM, "https://a.org/feed").entries
    assert (atom.url, atom.author, atom.html) == ("https://a.org/b", "Ann", "<p>Body b</p>")
    found = feeds.parse(JSON, "https://a.org/feed.json")
    assert (found.site, found.entries[0].url, found.entries[0].published_at) == (
        "https://a.org/",
        "https://a.org/c",
        "2022-01-01",
    )


def test_feeds_are_known_by_their_content() -> None:
    assert all(feeds.is_feed(f) for f in (RSS, ATOM, JSON, b"\xef\xbb\xbf  " + RSS))
    assert not any(feeds.is_feed(f) for f in (b"<html><body>feed", b"", b'{"a": 1}'))


@pytest.mark.parametrize(
    "broken", [b"", b"<rss", RSS[:150], b"{", b'{"version": "x", "items": 3}', b"\x00\xff" * 50]
)
def test_broken_feeds_give_nothing_and_do_not_crash(broken: bytes) -> None:
    assert feeds.parse(broken, "https://a.org/").entries == ()


def test_real_feeds_with_their_faults_are_read(test_data: Path) -> None:
    files = sorted((test_data / "feeds-feedparser").rglob("*.xml"))[::40]
    assert len(files) > 20
    for path in files:
        feeds.parse(path.read_bytes(), "https://a.org/feed")  # none may raise


SITEMAP = b"""<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc> https://a.org/x </loc></url><url><loc>https://a.org/y?utm_medium=z</loc></url>
<url><loc>not an address:</loc></url></urlset>"""
INDEX = b"""<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<sitemap><loc>https://a.org/posts.xml.gz</loc></sitemap></sitemapindex>"""


@pytest.mark.parametrize("body", [SITEMAP, gzip.compress(SITEMAP)])
def test_a_sitemap_gives_its_pages_zipped_or_not(body: bytes) -> None:
    found = sitemaps.parse(body, "https://a.org/sitemap.xml", 100_000)
    assert found.pages[:2] == ("https://a.org/x", "https://a.org/y")
    assert sitemaps.is_sitemap(body)


def test_an_index_gives_further_sitemaps_and_text_gives_lines() -> None:
    assert sitemaps.parse(INDEX, "https://a.org/", 9999).sitemaps == ("https://a.org/posts.xml.gz",)
    plain = sitemaps.parse(b"https://a.org/1\nhttps://a.org/2\njunk", "https://a.org/sitemap.txt", 9999)
    assert plain.pages == ("https://a.org/1", "https://a.org/2")


def test_a_sitemap_that_multiplies_itself_stays_small() -> None:
    laughs = b'<!DOCTYPE l [<!ENTITY a "https://a.org/">' + b"".join(
        b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(ord("a"), ord("k"))
    )
    found = sitemaps.parse(laughs + b"]><urlset><url><loc>&k;</loc></url></urlset>", "https://a.org/", 99_999)
    assert sum(len(p) for p in found.pages) < 1000


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2020-04-18", "2020-04-18"),
        ("2020-04-18T07:40:00Z", "2020-04-18T07:40:00+00:00"),
        ("Sat, 18 Apr 2020 07:40:00 GMT", "2020-04-18T07:40:00+00:00"),
        ("Posted on April 18th, 2020 by Ann", "2020-04-18"),
        ("18 April 2020", "2020-04-18"),
        ("2020/4/18", "2020-04-18"),
        ("2020-13-45", None),
        ("May I ask, 3000 times?", None),
        ("", None),
    ],
)
def test_dates_are_read_as_the_web_writes_them(text: str, iso: str | None) -> None:
    assert dates.iso(text) == iso
