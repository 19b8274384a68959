"""The rendered sample blog: complete, the same every time, and as noisy as a real one."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import feedparser
import pytest
from bs4 import BeautifulSoup

from llm_twin.sample import SamplePost, posts
from llm_twin.sample.entries import comments
from llm_twin.sample.markup import excerpt, feed_html, headings, highlight, page_html, paragraphs
from llm_twin.sample.site import FEED_SIZE, SiteReport, render

BASE = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Site:
    report: SiteReport
    folder: Path
    parsed: dict[str, BeautifulSoup] = field(default_factory=dict)

    def page(self, path: str) -> BeautifulSoup:
        if path not in self.parsed:
            self.parsed[path] = BeautifulSoup(self.text(path), "lxml")
        return self.parsed[path]

    def text(self, path: str) -> str:
        return (self.folder / _file(path)).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    return Site(render(folder, BASE), folder)


def _file(path: str) -> str:
    return path.lstrip("/") + ("index.html" if path.endswith("/") else "")


def _html(site: Site) -> list[str]:
    return [file for file in site.report.files if file.endswith(".html")]


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def test_the_same_input_gives_the_same_bytes(site: Site, tmp_path: Path) -> None:
    again = render(tmp_path, BASE + "/")
    assert again.files == site.report.files
    for file in again.files:
        assert (tmp_path / file).read_bytes() == (site.folder / file).read_bytes(), file


def test_the_report_names_exactly_what_was_written(site: Site) -> None:
    written = [str(path.relative_to(site.folder)) for path in site.folder.rglob("*") if path.is_file()]
    assert sorted(written) == list(site.report.files)
    assert site.report.posts == len(posts())


def test_every_internal_link_leads_to_a_file(site: Site) -> None:
    for file in _html(site):
        soup = site.page("/" + file.removesuffix("index.html"))
        for tag in soup.select("[href], [action]"):
            _check_link(site, soup, str(tag.get("href") or tag.get("action")), file)


def _check_link(site: Site, soup: BeautifulSoup, link: str, file: str) -> None:
    parts = urlsplit(link)
    if link.startswith("#"):
        assert soup.find(id=parts.fragment), (file, link)
    elif link.startswith("/") or link.startswith(BASE):
        assert _file(parts.path) in site.report.files, (file, link)
        if parts.fragment:
            assert site.page(parts.path).find(id=parts.fragment), (file, link)
    else:
        host = parts.hostname or ""
        assert parts.scheme in {"https", "mailto"}, (file, link)
        assert not host.startswith("127."), (file, link)


def test_every_post_says_who_and_when_to_machines(site: Site) -> None:
    for post in posts():
        soup = site.page(post.path)
        data = json.loads(soup.select_one('script[type="application/ld+json"]').string)  # type: ignore[union-attr,arg-type]
        assert data["headline"] == post.title
        assert data["datePublished"].startswith(post.date.isoformat())
        assert data["author"]["name"] == "Maud Orrick"
        assert _attribute(soup, 'link[rel="canonical"]', "href") == BASE + post.path
        assert _attribute(soup, 'meta[property="og:url"]', "content") == BASE + post.path
        assert _attribute(soup, 'link[type="application/rss+xml"]', "href") == BASE + "/feed.xml"


def _attribute(soup: BeautifulSoup, selector: str, name: str) -> str:
    (tag,) = soup.select(selector)
    return str(tag[name])


def test_the_author_s_words_and_code_reach_the_page_unchanged(site: Site) -> None:
    for post in posts():
        (body,) = site.page(post.path).select(".post-content")
        fences = re.findall(r"^```[^\n]*\n(.*?)^```", post.markdown, re.M | re.S)
        assert [code.get_text() for code in body.select("pre > code")] == fences, post.slug
        text = _squeeze(body.get_text())
        for paragraph in paragraphs(post.markdown):
            assert _squeeze(paragraph) in text, post.slug


@pytest.mark.parametrize(
    "noise",
    [
        ".main-navigation .menu-item",
        ".cookie-banner",
        ".byline .reading-time",
        '.byline a[rel="tag"]',
        ".share-buttons li",
        ".subscribe-cta",
        ".author-box",
        ".related-post .related-excerpt",
        ".post-navigation a",
        ".comment-form",
        ".widget-about",
        ".widget-search form",
        ".widget-recent li",
        ".widget-tags a",
        ".widget-archive li",
        ".widget-newsletter form",
        '.site-footer a[rel="license"]',
    ],
)
def test_every_post_page_carries_the_noise_of_a_real_blog(site: Site, noise: str) -> None:
    for post in posts():
        assert site.page(post.path).select(noise), post.slug


def test_related_posts_and_listings_leak_other_posts_words(site: Site) -> None:
    by_title = {post.title: post for post in posts()}
    for block in site.page(posts()[0].path).select(".related-post"):
        other = by_title[block.select_one("h3").get_text()]  # type: ignore[union-attr]
        teaser = block.select_one(".related-excerpt").get_text()  # type: ignore[union-attr]
        assert excerpt(other.markdown).startswith(teaser.rstrip("…"))


def test_comments_stand_under_their_posts(site: Site) -> None:
    said = comments()
    for post in posts():
        shown = site.page(post.path).select(".comment")
        assert [comment.select_one("cite").get_text() for comment in shown] == [  # type: ignore[union-attr]
            comment.name for comment in said.get(post.slug, ())
        ]


def test_the_home_pages_show_every_post_once_newest_first(site: Site) -> None:
    pages = ["/"] + [f"/page/{number}/" for number in range(2, -(-len(posts()) // 10) + 1)]
    links = [str(a["href"]) for page in pages for a in site.page(page).select(".post-card-title a")]
    assert links == [post.path for post in reversed(posts())]
    assert not site.page(pages[-1]).select(".older-posts")


def test_tag_year_and_archive_pages_list_their_posts(site: Site) -> None:
    for tag in {tag for post in posts() for tag in post.tags}:
        expected = [post.path for post in reversed(posts()) if tag in post.tags]
        assert [str(a["href"]) for a in site.page(f"/tags/{tag}/").select(".post-card-title a")] == expected
    assert _archived(site, "/archive/") == [post.path for post in reversed(posts())]
    assert _archived(site, "/2021/") == [post.path for post in reversed(posts()) if post.date.year == 2021]


def _archived(site: Site, path: str) -> list[str]:
    return [str(a["href"]) for a in site.page(path).select(".archive-list a")]


def test_the_feed_carries_the_newest_ten_in_full(site: Site) -> None:
    feed: Any = feedparser.parse(site.text("/feed.xml"))
    newest = posts()[::-1][:FEED_SIZE]
    assert not feed.bozo
    assert [entry.link for entry in feed.entries] == [BASE + post.path for post in newest]
    for entry, post in zip(feed.entries, newest, strict=True):
        _check_item(entry, post)


def _check_item(entry: Any, post: SamplePost) -> None:
    content = entry.content[0].value
    last = paragraphs(post.markdown)[-1]
    assert last in _squeeze(BeautifulSoup(content, "lxml").get_text())
    assert entry.title == post.title
    assert tuple(entry.published_parsed[:3]) == (post.date.year, post.date.month, post.date.day)
    assert entry.summary == excerpt(post.markdown)
    assert 'href="/' not in content


def test_the_sitemap_lists_posts_pages_and_tags_only(site: Site) -> None:
    space = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9"}
    root = ElementTree.fromstring(site.text("/sitemap.xml"))
    places = [str(url.findtext("s:loc", namespaces=space)) for url in root.findall("s:url", space)]
    assert {BASE + post.path for post in posts()} <= set(places)
    assert {BASE + "/", BASE + "/about/", BASE + "/tags/lock/"} <= set(places)
    assert not any(word in place for place in places for word in ("/drafts/", "/search/", "404"))
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\d", str(day.text)) for day in root.iterfind("s:url/s:lastmod", space)
    )


def test_robots_closes_search_and_drafts(site: Site) -> None:
    lines = site.text("/robots.txt").splitlines()
    assert {"Disallow: /search/", "Disallow: /drafts/", f"Sitemap: {BASE}/sitemap.xml"} <= set(lines)


def test_the_two_oldest_posts_left_a_stub_at_their_old_address(site: Site) -> None:
    for post in posts()[:2]:
        stub = site.page(f"/{post.date:%Y/%m/%d}/{post.slug}.html")
        assert _attribute(stub, 'meta[http-equiv="refresh"]', "content") == f"0; url={BASE}{post.path}"


def test_the_address_is_the_only_thing_that_differs_between_ports(site: Site, tmp_path: Path) -> None:
    other = "http://127.0.0.1:9000"
    render(tmp_path, other)
    moved = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert moved.replace(other, BASE) == site.text("/")


def test_markup_is_escaped_where_it_could_be_taken_for_the_page_s_own() -> None:
    markdown = "# One <b>\n\n## Two & two\n\n## Two & two\n\n```python\nx = '<b>'\n```\n\n<script>\n"
    html = page_html(markdown)
    assert "<script>" not in html
    assert "<b>" not in html
    assert [heading.anchor for heading in headings(markdown)] == ["two-two", "two-two-2"]
    assert BeautifulSoup(html, "lxml").select_one("code").get_text() == "x = '<b>'\n"  # type: ignore[union-attr]
    assert "copy-code" in html
    assert "copy-code" not in feed_html(markdown)


def test_highlighting_colours_without_changing_the_text() -> None:
    code = 'if x > 1:  # "no"\n    return "# yes"\n'
    html = highlight(code, "python")
    assert BeautifulSoup(f"<pre>{html}</pre>", "lxml").get_text() == code
    assert '<span class="c1"># "no"</span>' in html
    assert highlight("a < b", "") == "a &lt; b"
