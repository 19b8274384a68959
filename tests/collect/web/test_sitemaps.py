from __future__ import annotations

import gzip
import time

import pytest

from llm_twin.collect.web import sitemaps

SITEMAP = b"""<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc> https://a.org/x </loc></url><url><loc>https://a.org/y?utm_medium=z</loc></url>
<url><loc>not an address:</loc></url></urlset>"""
INDEX = b"""<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<sitemap><loc>https://a.org/posts.xml.gz</loc></sitemap></sitemapindex>"""
HERE = "https://a.org/sitemap.xml"


@pytest.mark.parametrize(
    "body",
    [
        SITEMAP,
        gzip.compress(SITEMAP, mtime=0),  # a case's name must not depend on the clock
        b"\xef\xbb\xbf" + SITEMAP,
        b"\n\n" + SITEMAP,
        SITEMAP.decode().encode("utf-16"),
        SITEMAP.replace(b"www.sitemaps.org/schemas/sitemap/0.9", b"www.google.com/schemas/sitemap/0.84"),
        SITEMAP.replace(b' xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"', b""),
        SITEMAP.replace(b"urlset xmlns", b"s:urlset xmlns:s").replace(b"</urlset", b"</s:urlset"),
    ],
)
def test_a_sitemap_gives_its_pages_zipped_or_not(body: bytes) -> None:
    found = sitemaps.parse(body, HERE, 100_000)
    assert found.pages[:2] == ("https://a.org/x", "https://a.org/y")
    assert sitemaps.is_sitemap(body)


def test_an_index_gives_further_sitemaps_and_text_gives_lines() -> None:
    assert sitemaps.parse(INDEX, "https://a.org/", 9999).sitemaps == ("https://a.org/posts.xml.gz",)
    plain = sitemaps.parse(
        b"\xef\xbb\xbfhttps://a.org/1\r\nhttps://a.org/2\njunk\nhttps://a.org/3 is no line",
        "https://a.org/sitemap.txt",
        9999,
    )
    assert plain.pages == ("https://a.org/1", "https://a.org/2")


def test_a_feed_may_stand_for_a_sitemap() -> None:
    rss = b"<rss><channel><item><link>https://a.org/1</link></item><item><title>t</title></item></channel></rss>"
    atom = b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="/2"/></entry></feed>'
    assert sitemaps.parse(rss, HERE, 9999) == sitemaps.Sitemap(("https://a.org/1",))
    assert sitemaps.parse(gzip.compress(atom), HERE, 9999) == sitemaps.Sitemap(("https://a.org/2",))


def test_images_videos_and_other_languages_are_no_pages() -> None:
    body = SITEMAP.replace(
        b"<loc> https://a.org/x </loc>",
        b'<image:image xmlns:image="i"><image:loc>https://a.org/i.jpg</image:loc></image:image>'
        b'<video:video xmlns:video="v"><video:player_loc>https://a.org/v</video:player_loc></video:video>'
        b'<xhtml:link xmlns:xhtml="h" rel="alternate" href="https://a.org/de"/><loc>https://a.org/x</loc>'
        b"<lastmod>2020-04-18</lastmod>",
    )
    assert sitemaps.parse(body, HERE, 9999).pages[:2] == ("https://a.org/x", "https://a.org/y")
    assert len(sitemaps.parse(body, HERE, 9999).pages) == len(sitemaps.parse(SITEMAP, HERE, 9999).pages)


def test_a_page_in_place_of_a_sitemap_gives_nothing() -> None:
    page = b"<!DOCTYPE html><html><body><script>\nhttps://tracker.example/1\n</script></body></html>"
    assert sitemaps.parse(page, HERE, 9999) == sitemaps.Sitemap()
    assert not sitemaps.is_sitemap(page)


def many(number: int) -> bytes:
    urls = "".join(f"<url><loc>https://a.org/posts/{n}/</loc></url>" for n in range(number))
    return f"<urlset>{urls}</urlset>".encode()


def test_a_sitemap_that_breaks_off_gives_what_stands_before_the_break() -> None:
    whole = many(1000)
    assert len(sitemaps.parse(whole[: len(whole) // 2], HERE, 10**7).pages) > 490
    zipped = gzip.compress(whole)
    assert len(sitemaps.parse(zipped[: len(zipped) * 3 // 4], HERE, 10**7).pages) > 300
    assert len(sitemaps.parse(zipped[:-8], HERE, 10**7).pages) == 1000
    broken = bytearray(gzip.compress(many(50_000)))
    broken[-2000:-1000] = bytes(1000)
    assert len(sitemaps.parse(bytes(broken), HERE, 10**7).pages) > 40_000
    assert sitemaps.parse(b"\x1f\x8bnot gzip at all", HERE, 9999) == sitemaps.Sitemap()


def test_a_gzip_bomb_is_read_up_to_the_bound() -> None:
    bomb = gzip.compress(many(10) + b" " * 50_000_000)
    started = time.perf_counter()
    assert len(sitemaps.parse(bomb, HERE, 100_000).pages) == 10
    assert time.perf_counter() - started < 2


def test_fifty_thousand_addresses_take_seconds() -> None:
    started = time.perf_counter()
    assert len(sitemaps.parse(many(50_000), HERE, 10**7).pages) == 50_000
    assert time.perf_counter() - started < 20


def test_a_sitemap_that_multiplies_itself_stays_small() -> None:
    laughs = b'<!DOCTYPE l [<!ENTITY a "https://a.org/">' + b"".join(
        b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 10) for c in range(ord("a"), ord("k"))
    )
    found = sitemaps.parse(laughs + b"]><urlset><url><loc>&k;</loc></url></urlset>", "https://a.org/", 99_999)
    assert sum(len(p) for p in found.pages) < 1000


def test_a_sitemap_reads_no_other_file() -> None:
    body = b'<!DOCTYPE u [<!ENTITY f SYSTEM "file:///etc/hostname">]><urlset><url><loc>https://a.org/&f;</loc></url>'
    assert sitemaps.parse(body, HERE, 9999).pages in ((), ("https://a.org/",))
