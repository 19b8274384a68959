from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from llm_twin.collect import Library, run
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.errors import NothingFound, SourceUnreachable

NAMES = ("tea", "bees", "locks", "rain", "bread", "oars")


def text(name: str) -> str:
    return (
        f"<p>It's about {name}, and I'd say so — twice. There is {name} here and {name} there.</p>"
        f"<p>The second paragraph of {name} isn’t long. It has words enough to be told from template.</p>"
    )


def build(site, feed: bool = True, sitemap: bool = True) -> None:
    menu = '<nav><a href="/">Home</a> <a href="/about/">About</a> <a href="/tags/x/">x</a></nav>'
    listed = "".join(f'<li><a href="/posts/{n}/?utm_source=home">On {n}</a></li>' for n in NAMES[:4])
    older = '<a rel="next" href="/page/2/">Older</a>'
    head = '<link rel="alternate" type="application/rss+xml" href="/my-feed">' if feed else ""
    site.html("/", f"{menu}<h1>Blog</h1><ul>{listed}</ul>{older}<a href='/picture.jpg'>p</a>", head)
    rest = "".join(f'<li><a href="/posts/{n}/">On {n}</a></li>' for n in NAMES[4:])
    site.html("/page/2/", f"{menu}<ul>{rest}</ul><a href='/posts/lost/'>lost</a>")
    site.html("/tags/x/", f"{menu}<ul>{listed}</ul>")
    site.html("/about/", f"{menu}<article><h1>About</h1>{text('me')}</article>")
    for day, name in enumerate(NAMES, start=1):
        time = f"<time datetime='2020-01-0{day}'></time>"
        post = f"<article><h1>On {name}</h1>{time}<div class=b>{text(name)}</div>"
        site.html(f"/posts/{name}/", f"{menu}{post}</article><footer>The end of every page.</footer>")
    items = "".join(
        f"<item><title>On {n}</title><link>{site.base}/posts/{n}/</link>"
        f"<description><![CDATA[{text(n)}]]></description></item>"
        for n in NAMES[:3]
    )
    if feed:
        site.pages["/my-feed"] = (
            f"<rss version='2.0'><channel><link>{site.base}/</link>{items}</channel></rss>"
        )
    if sitemap:
        site.pages["/robots.txt"] = f"User-agent: *\nDisallow: /tags/\nSitemap: {site.base}/map.xml\n"
        urls = "".join(f"<url><loc>{site.base}/posts/{n}/</loc></url>" for n in (*NAMES, "hidden"))
        site.pages["/map.xml"] = f"<urlset>{urls}</urlset>"
        page = "<article><h1>On hiding</h1><time datetime='2021-01-01'></time>"
        page += f"<div class=b>{text('hiding')}</div>"
        site.html("/posts/hidden/", page)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library.db")


@pytest.mark.parametrize("feed", [True, False])
@pytest.mark.parametrize("sitemap", [True, False])
def test_every_post_of_a_site_is_found_and_nothing_else(
    site, library: Library, local: Collect, feed: bool, sitemap: bool
) -> None:
    build(site, feed, sitemap)
    with library:
        report = run([site.base], local, library, Silent())
        posts = library.posts()
    wanted = [*NAMES, "hiding"] if sitemap else list(NAMES)
    assert [p.title for p in posts] == [f"On {n}" for n in wanted]
    assert [p.published_at for p in posts][:2] == ["2020-01-01", "2020-01-02"]
    for post, name in zip(posts, wanted, strict=True):
        first, second = (p.removesuffix("</p>") for p in text(name).split("<p>")[1:])
        assert post.markdown == f"{first}\n\n{second}"
    assert report.posts_new == len(wanted)
    assert report.requests == len(site.log)
    assert report.refused["standing page"] == 1
    assert report.refused["not found (404)"] == 1
    assert sum(report.refused.values()) == len(report.refusals)
    assert site.asked("/tags/x/") == (0 if sitemap else 1), "robots.txt forbids it"
    assert site.asked("/picture.jpg") == 0
    assert max(site.asked(f"/posts/{n}/") for n in NAMES) == 1


@pytest.mark.parametrize("start", ["/posts/rain/", "/my-feed", "/map.xml", "/about/"])
def test_any_address_of_a_site_finds_all_of_it(site, library: Library, local: Collect, start: str) -> None:
    build(site)
    with library:
        assert run([site.base + start], local, library, Silent()).posts_new == len(NAMES) + 1


def test_a_second_run_changes_nothing_and_asks_conditionally(site, library: Library, local: Collect) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        before = len(site.log)
        second = run([f"{site.base}/"], local, library, Silent())
    assert (second.posts_new, second.posts_changed, second.posts_removed) == (0, 0, 0)
    assert second.posts_unchanged == len(NAMES) + 1
    assert {s for p, s in site.log[before:] if p != "/posts/lost/"} == {304}


def test_edits_are_revisions_and_posts_that_are_gone_are_marked(
    site, answer, library: Library, local: Collect
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        tea = site.pages["/posts/tea/"]
        tea.body = tea.body.replace("twice", "thrice")
        site.pages["/posts/rain/"] = answer("", 410)
        site.pages["/map.xml"] = site.pages["/map.xml"].replace("rain", "bees")
        report = run([site.base], local, library, Silent())
        assert (report.posts_changed, report.posts_removed) == (1, 1)
        assert "On rain" not in [p.title for p in library.posts()]
        changed = library.get(f"{site.base}/posts/tea/")
        assert [("thrice" in r.markdown) for r in library.history(changed.id)] == [False, True]


def test_a_post_that_answers_404_is_removed_the_second_time(site, library: Library, local: Collect) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        page = site.pages.pop("/posts/rain/")
        removed = [run([site.base], local, library, Silent()).posts_removed for _ in range(2)]
        assert removed == [0, 1]
        site.pages["/posts/rain/"] = page
        assert run([site.base], local, library, Silent()).posts_changed == 1, "it is back"
        assert "On rain" in [p.title for p in library.posts()]


def test_a_post_that_moved_keeps_its_history(site, answer, library: Library, local: Collect) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        before = library.get(f"{site.base}/posts/tea/")
        page = site.pages["/posts/tea/"]
        page.body = page.body.replace("twice", "thrice")
        site.pages["/essays/on-tea/"] = page
        site.pages["/posts/tea/"] = answer("", 301, {"Location": "/essays/on-tea/"})
        for number in range(2):
            report = run([site.base], local, library, Silent())
            assert (report.posts_new, report.posts_changed, report.posts_removed) == (0, 1 - number, 0)
        after = library.get(f"{site.base}/essays/on-tea/")
        assert (after.id, after.url) == (before.id, f"{site.base}/essays/on-tea/")
        assert len(library.history(after.id)) == 2
        assert len(library.posts()) == len(NAMES) + 1


def removals(site, library: Library, local: Collect, runs: int = 1) -> list[int]:
    return [run([site.base], local, library, Silent()).posts_removed for _ in range(runs)]


@pytest.mark.parametrize("status", [301, 308, 302, 307])
def test_a_post_whose_address_leads_to_the_front_page_for_good_is_removed_the_second_time(
    site, answer, library: Library, local: Collect, status: int
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        for name in ("rain", "tea"):  # as many systems answer for what is deleted
            site.pages[f"/posts/{name}/"] = answer("", status, {"Location": "/"})
        wanted = [0, 2, 0] if status in (301, 308) else [0, 0, 0]
        assert removals(site, library, local, runs=3) == wanted


@pytest.mark.parametrize("elsewhere", ["/", "/wait/"])
def test_a_site_that_sends_its_readers_elsewhere_for_one_run_loses_no_post(
    site, answer, library: Library, local: Collect, elsewhere: str
) -> None:
    build(site)
    site.html("/wait/", "<p>Are you human?</p>")
    pages = dict(site.pages)
    with library:
        run([site.base], local, library, Silent())
        for _ in range(3):
            for name in NAMES[1:]:
                site.pages[f"/posts/{name}/"] = answer("", 301, {"Location": elsewhere})
            assert removals(site, library, local) == [0]
            site.pages |= pages
            assert removals(site, library, local) == [0]
        for path in pages:
            if path.startswith("/posts/"):
                site.pages[path] = answer("", 301, {"Location": elsewhere})
        for _ in range(3):
            with pytest.raises(NothingFound):
                run([site.base], local, library, Silent())
        assert len(library.posts()) == len(NAMES) + 1, "where nothing at all is found, none is missed"
        site.pages |= pages
        assert run([site.base], local, library, Silent()).posts_unchanged == len(NAMES) + 1


def test_redirects_of_most_posts_are_taken_for_a_fault_and_told(
    site, answer, library: Library, local: Collect
) -> None:
    said: list[str] = []

    class Hearing(Silent):
        def say(self, line: str) -> None:
            said.append(line)

    build(site)
    pages = dict(site.pages)
    with library:
        run([site.base], local, library, Silent())
        for name in NAMES[1:]:
            site.pages[f"/posts/{name}/"] = answer("", 301, {"Location": "/"})
        for _ in range(3):
            assert run([site.base], local, library, Hearing()).posts_removed == 0
        assert said == [
            "5 of 7 known posts lead to other pages now, which may be a fault of the site: none was removed. "
            "Take out what is gone: llm-twin forget POST"
        ] * len(said)
        assert len(said) == 3
        site.pages |= pages
        assert run([site.base], local, library, Silent()).posts_unchanged == len(NAMES) + 1


def test_a_redirect_over_several_addresses_is_seen_anew(
    site, answer, library: Library, local: Collect
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        site.pages["/essays/on-tea/"] = site.pages["/posts/tea/"]
        site.pages["/posts/tea/"] = answer("", 301, {"Location": "/p/tea"})
        site.pages["/p/tea"] = answer("", 301, {"Location": "/"})
        assert removals(site, library, local) == [0]
        site.pages["/p/tea"] = answer("", 301, {"Location": "/essays/on-tea/"})
        assert removals(site, library, local) == [0]
        assert f"{site.base}/essays/on-tea/" in library.urls()


@pytest.mark.parametrize("place", ["/archives/{}", "/topics/food/{}/", "/category/food/{}/"])
def test_a_site_that_moved_to_addresses_like_those_of_listings_loses_no_post(
    site, answer, library: Library, local: Collect, place: str
) -> None:
    build(site, feed=False)
    with library:
        run([site.base], local, library, Silent())
        for number, name in enumerate(NAMES[:2], start=1):
            site.pages[place.format(number)] = site.pages[f"/posts/{name}/"]
            site.pages[f"/posts/{name}/"] = answer("", 301, {"Location": place.format(number)})
        assert removals(site, library, local, runs=3) == [0, 0, 0]
        assert len(library.posts()) == len(NAMES) + 1


def test_posts_that_lead_to_one_listing_are_removed_the_second_time(
    site, answer, library: Library, local: Collect
) -> None:
    build(site)
    site.html("/archives/", "<p>All that there is.</p>")
    with library:
        run([site.base], local, library, Silent())
        for name in NAMES[:2]:
            site.pages[f"/posts/{name}/"] = answer("", 301, {"Location": "/archives/"})
        assert removals(site, library, local, runs=3) == [0, 2, 0]


@pytest.mark.parametrize("status", [301, 302])
def test_a_new_post_that_several_old_ones_lead_to_is_none_of_them(
    site, answer, library: Library, local: Collect, status: int
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        site.pages["/posts/fog/"] = site.pages["/posts/hidden/"]
        site.html("/posts/hidden/", f"<article><h1>Hidden</h1><time datetime='2021-01-01'></time>{text('x')}")
        site.pages["/posts/fog/"].body = site.pages["/posts/fog/"].body.replace("hiding", "fog")
        for name in ("tea", "rain"):
            site.pages[f"/posts/{name}/"] = answer("", status, {"Location": "/posts/fog/"})
        assert run([site.base], local, library, Silent()).posts_new == 1
        assert library.get(f"{site.base}/posts/tea/").title == "On tea"
        assert library.get(f"{site.base}/posts/rain/").title == "On rain"


def test_a_post_that_moved_to_a_page_that_cannot_be_read_as_one_stays(
    site, answer, library: Library, local: Collect
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        site.html("/essays/on-tea/", text("tea and more"))
        site.pages["/posts/tea/"] = answer("", 301, {"Location": "/essays/on-tea/"})
        site.html("/essays/on-rain/", text("rain and more"))
        site.html("/posts/rain/", "", stub("/essays/on-rain/"))
        assert removals(site, library, local, runs=3) == [0, 0, 0]


def stub(target: str) -> str:
    """The head of a page that Jekyll and Hugo leave where a post was."""
    return f"<link rel='canonical' href='{target}'><meta http-equiv='refresh' content='0; url={target}'>"


@pytest.mark.parametrize("more", ["", "<link rel='next' href='/posts/bees/'><nav><a href='/'>Home</a></nav>"])
def test_a_post_that_left_a_stub_keeps_its_history(site, library: Library, local: Collect, more: str) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        before = library.get(f"{site.base}/posts/tea/")
        page = site.pages["/posts/tea/"]
        page.body = page.body.replace("twice. There is tea here", "thrice. There is tea")
        site.pages["/essays/on-tea/"] = page
        site.html("/posts/tea/", "", stub("/essays/on-tea/") + more)
        for number in range(3):
            report = run([site.base], local, library, Silent())
            assert (report.posts_new, report.posts_changed, report.posts_removed) == (0, number == 0, 0)
        after = library.get(f"{site.base}/essays/on-tea/")
        assert (after.id, after.url) == (before.id, f"{site.base}/essays/on-tea/")
        assert [("thrice" in r.markdown) for r in library.history(after.id)] == [False, True]
        assert len(library.posts()) == len(NAMES) + 1


@pytest.mark.parametrize("target", ["/posts/bees/", "/"])
def test_a_stub_that_leads_to_a_known_page_is_removed_the_second_time(
    site, library: Library, local: Collect, target: str
) -> None:
    build(site)
    with library:
        run([site.base], local, library, Silent())
        page = site.pages["/posts/tea/"]
        left = f"<h1>Redirecting…</h1><a href='{target}'>Click here if you are not redirected.</a>"
        site.html("/posts/tea/", left, stub(target))
        assert removals(site, library, local) == [0]
        site.pages["/posts/tea/"] = page
        assert removals(site, library, local) == [0]
        site.html("/posts/tea/", left, stub(target))
        assert removals(site, library, local, runs=3) == [0, 1, 0]
        assert library.get(f"{site.base}/posts/bees/")


@pytest.mark.parametrize("posts", [NAMES, ("tea",)])
@pytest.mark.parametrize("named", ["/posts/bees/", "/posts/newest/"])
@pytest.mark.parametrize("sends_on", ["", "<meta http-equiv='refresh' content='5; url=/'>"])
def test_pages_that_name_another_s_address_as_theirs_lose_no_post(
    site, answer, library: Library, local: Collect, posts: tuple[str, ...], named: str, sends_on: str
) -> None:
    """Of a theme at fault, or of translations."""
    build(site)
    with library:
        run([site.base], local, library, Silent())
        site.pages["/posts/newest/"] = answer(site.pages["/posts/bees/"].body.replace("bees", "the newest"))
        site.pages["/map.xml"] = site.pages["/map.xml"].replace("hidden", "newest")
        for name in posts:
            page = site.pages[f"/posts/{name}/"]
            head = f"<head><link rel='canonical' href='{named}'>{sends_on}"
            page.body = page.body.replace("<head>", head)
        reports = [run([site.base], local, library, Silent()) for _ in range(3)]
        assert [(r.posts_new, r.posts_removed) for r in reports] == [(1, 0), (0, 0), (0, 0)]
        titles = {p.title for p in library.posts()}
        assert titles == {f"On {n}" for n in (*NAMES, "hiding", "the newest")}


def test_a_post_found_elsewhere_stays_though_its_old_address_is_gone(
    site, answer, library: Library, local: Collect
) -> None:
    build(site, feed=False, sitemap=False)
    with library:
        run([site.base], local, library, Silent())
        site.pages["/essays/on-rain/"] = site.pages["/posts/rain/"]
        site.pages["/posts/rain/"] = answer("", 410)
        front = site.pages["/"]
        front.body = front.body.replace("/posts/rain/", "/essays/on-rain/")
        assert removals(site, library, local, runs=3) == [0, 0, 0]
        assert len(library.posts()) == len(NAMES)


def test_what_a_feed_alone_has_is_collected_part_by_part(site, library: Library, local: Collect) -> None:
    build(site, feed=False, sitemap=False)
    item = "<item><guid isPermaLink='false'>{0}</guid><title>{0}</title><description>{1}</description></item>"
    later = "<atom:link xmlns:atom='http://www.w3.org/2005/Atom' rel='next' href='{}/feed.xml?page=2'/>"
    loose = [item.format(n, f"Only the feed has {n}, and it is short.") for n in ("moss", "rope", "")]
    loose[2] = "<item><guid isPermaLink='false'>none</guid><title>Nothing</title></item>"
    comment = (
        f"<item><link>{site.base}/posts/tea/#comment-7</link><description>I disagree.</description></item>"
    )
    start = "<rss version='2.0'><channel><title>Blog</title>"
    site.pages["/feed.xml"] = f"{start}{later.format(site.base)}{loose[0]}{comment}</channel></rss>"
    site.pages["/feed.xml?page=2"] = f"{start}{loose[1]}{loose[2]}</channel></rss>"
    with library:
        report = run([site.base], local, library, Silent())
        assert report.posts_new == len(NAMES) + 2
        moss = next(p for p in library.posts() if p.title == "moss")
        assert moss.markdown == "Only the feed has moss, and it is short."
        assert moss.url.startswith("feed:127.0.0.1")
        assert report.refused["a reader's comment"] == report.refused["no text"] == 1
        assert run([site.base], local, library, Silent()).posts_unchanged == len(NAMES) + 2


def test_a_public_api_names_every_post_and_what_is_closed_stays_out(
    site, answer, library: Library, local: Collect
) -> None:
    """WordPress: the front page lists four posts, the API all of them; one is protected."""
    build(site, feed=False, sitemap=False)
    page = site.pages["/"]
    page.body = page.body.replace("<head>", "<head><link rel='https://api.w.org/' href='/wp-json/'>")
    site.html("/page/2/", "no posts here")
    posts = [
        {
            "link": f"{site.base}/posts/{n}/",
            "title": {"rendered": f"On {n}"},
            "date_gmt": f"2020-01-0{day}T10:00:00",
            "content": {"rendered": text(n), "protected": n == "rain"},
        }
        for day, n in enumerate(NAMES, start=1)
    ]
    body = json.dumps(posts)
    site.pages["/wp-json/wp/v2/posts?per_page=100&page=1&_embed=author"] = answer(
        body, headers={"Content-Type": "application/json"}
    )
    with library:
        report = run([site.base], local, library, Silent())
        assert {p.title for p in library.posts()} == {f"On {n}" for n in NAMES if n != "rain"}
        assert report.refused["protected by a password"] == 1
        assert library.get(f"{site.base}/posts/oars/").published_at == "2020-01-06"
        api = site.pages["/wp-json/wp/v2/posts?per_page=100&page=1&_embed=author"]
        posts[0]["content"]["protected"] = True
        api.body = json.dumps(posts)
        assert removals(site, library, local, runs=2) == [1, 0]
        assert {p.title for p in library.posts()} == {f"On {n}" for n in NAMES if n not in ("tea", "rain")}
        posts[0]["content"]["protected"] = False
        api.body = json.dumps(posts)
        run([site.base], local, library, Silent())
        assert "On tea" in {p.title for p in library.posts()}, "it is public again"


def test_a_page_that_scripts_would_fill_is_read_from_the_feed(site, library: Library, local: Collect) -> None:
    build(site)
    site.html("/posts/tea/", "<div id='app'></div><script src='/app.js'></script>")
    with library:
        run([site.base], local, library, Silent())
        assert "It's about tea" in library.get(f"{site.base}/posts/tea/").markdown


def test_an_author_filter_takes_one_author_of_several(site, library: Library, local: Collect) -> None:
    class Hearing(Silent):
        lines: ClassVar[list[str]] = []

        def say(self, line: str) -> None:
            self.lines.append(line)

    build(site)
    for name, author in {"tea": "Ann Lee", "bees": "Ben Ode", "locks": "Ben Ode and ann lee"}.items():
        page = site.pages[f"/posts/{name}/"]
        page.body = page.body.replace("<head>", f"<head><meta name='author' content='{author}'>")
    with library:
        report = run([site.base], local.model_copy(update={"author": "Ann Lee"}), library, Hearing())
        assert report.refused["by another author"] == 1
        assert report.posts == len(NAMES), "those that name no author are taken"
        assert Hearing.lines == []
        assert run([site.base], local, library, Hearing()).posts_new == 1
    (line,) = Hearing.lines
    assert line.startswith("The site has 3 authors: ")
    assert line.endswith("Take one: --author NAME")


def test_an_author_filter_removes_the_strangers_whom_an_earlier_run_took(
    site, library: Library, local: Collect
) -> None:
    build(site)
    for name, author in {"tea": "Ann Lee", "bees": "Ben Ode"}.items():
        page = site.pages[f"/posts/{name}/"]
        page.body = page.body.replace("<head>", f"<head><meta name='author' content='{author}'>")
    of_ann = local.model_copy(update={"author": "Ann Lee"})
    with library:
        run([site.base], local, library, Silent())
        stranger = library.get(f"{site.base}/posts/bees/")
        before = len(site.log)
        dry, report, again = (
            run([site.base], of_ann, library, Silent(), dry_run=dry) for dry in (True, False, False)
        )
        assert (dry.posts_removed, report.posts_removed, again.posts_removed) == (1, 1, 0)
        assert dict(site.log[before:])["/posts/bees/"] == 304, "the page itself had not changed"
        assert "On bees" not in [p.title for p in library.posts()]
        assert len(library.history(stranger.id)) == 1
        assert run([site.base], local, library, Silent()).posts_changed == 1, "it is back without the filter"


@pytest.mark.parametrize("own", ["author: Ann Lee\n", ""], ids=["named", "unnamed"])
def test_what_is_stored_as_the_author_s_own_stays_whatever_another_source_says(
    library: Library, local: Collect, tmp_path: Path, own: str
) -> None:
    for folder, author in {"own": own, "magazine": "author: Staff\n"}.items():
        (tmp_path / folder).mkdir()
        front = f"---\nurl: https://ann.example/tea/\n{author}---\n"
        (tmp_path / folder / "tea.md").write_text(f"{front}# On tea\n\nTea it is.\n")
        (tmp_path / folder / "rain.md").write_text(f"---\nauthor: Ann Lee\n---\nRain in {folder}.\n")
    with library:
        run([str(tmp_path / "own")], local, library, Silent())
        of_ann = local.model_copy(update={"author": "Ann Lee"})
        report = run([str(tmp_path / "magazine")], of_ann, library, Silent())
        assert (report.refused, report.posts_removed) == ({"by another author": 1}, 0)


def test_a_file_that_left_a_folder_is_a_post_removed(
    library: Library, local: Collect, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.md").write_text(f"# On {name}\n\n{name} it is.\n")
    with library:
        run([str(folder)], local, library, Silent())
        (folder / "tea.md").unlink()
        (folder / "bees.md").rename(folder / "of-bees.md")
        dry = run([str(folder)], local, library, Silent(), dry_run=True)
        report = run([str(folder)], local, library, Silent())
        assert (dry.posts_new, dry.posts_removed) == (report.posts_new, report.posts_removed) == (0, 1)
        assert "On tea" not in [p.title for p in library.posts()]
        single = run([str(folder / "rain.md")], local, library, Silent())
        assert single.posts_removed == 0, "one file says nothing of the others"


def test_a_dry_run_says_what_would_be_taken_and_writes_nothing(site, local: Collect, tmp_path: Path) -> None:
    build(site)
    with Library(tmp_path / "twin" / "library.db") as library:
        report = run([site.base], local, library, Silent(), dry_run=True)
    assert report.dry_run
    assert report.posts_new == len(report.taken) == len(NAMES) + 1
    assert list(tmp_path.iterdir()) == []


def test_pages_are_bounded(site, library: Library, local: Collect) -> None:
    site.pages["/"] = "<a href='/n/1/'>go</a>"
    for n in range(1, 60):
        site.html(
            f"/n/{n}/",
            f"<article><h1>N</h1><time>2020-01-01</time>{text(str(n))}<a href='/n/{n + 1}/'>on</a>",
        )
    with library:
        report = run([site.base], local.model_copy(update={"max_pages": 10}), library, Silent())
        assert report.posts == 10
    with Library(library.path.with_name("other.db")) as other:
        deep = run([site.base], local.model_copy(update={"max_depth": 20}), other, Silent())
        assert deep.posts == 20


def test_an_interrupted_run_keeps_what_it_had_and_the_next_goes_on(
    site, library: Library, local: Collect
) -> None:
    class Interrupting(Silent):
        """Ctrl-C once, while the third post is being read."""

        left = 3
        stage = ""

        def start(self, stage: str, total: int | None = None) -> None:
            self.stage = stage

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.left -= self.stage == "posts"
            if self.left == 0:
                raise KeyboardInterrupt

    build(site)
    with library:
        with pytest.raises(KeyboardInterrupt):
            run([site.base], local, library, Interrupting())
        assert len(library.posts()) == 3
        before = len(site.log)
        report = run([site.base], local, library, Silent())
        assert (report.posts_new, report.posts_unchanged) == (len(NAMES) - 2, 3)
    assert {s for p, s in site.log[before:] if p.startswith("/posts/") and p != "/posts/lost/"} == {304}


def test_an_unreachable_site_is_one_line_with_its_address(library: Library, local: Collect, site) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with library:
        with pytest.raises(
            SourceUnreachable, match=rf"http://127\.0\.0\.1:{port}/ cannot be collected: unreachable"
        ):
            run([f"http://127.0.0.1:{port}/"], local, library, Silent())
        with pytest.raises(SourceUnreachable, match=r"loopback.*--allow-private"):
            run([site.base], Collect(), library, Silent())
        with pytest.raises(SourceUnreachable, match="not a valid address"):
            run(["http://[::1"], local, library, Silent())
    assert site.log == []
    assert not library.path.exists()


def test_half_a_character_in_what_a_page_says_of_itself_does_no_harm(
    site, library: Library, local: Collect
) -> None:
    build(site, feed=False)
    said = '{"@type": "BlogPosting", "headline": "Cut \\ud83d", "author": {"name": "Ann \\ud83d"}}'
    page = site.pages["/posts/tea/"]
    page.body = page.body.replace("<h1>On tea</h1>", "").replace(
        "<head>", f"<head><script type='application/ld+json'>{said}</script>"
    )
    with library:
        run([site.base], local, library, Silent())
        post = library.get(f"{site.base}/posts/tea/")
        assert (post.title, post.author) == ("Cut \ufffd", "Ann \ufffd")


def test_a_page_without_posts_is_one_line_that_says_what_was_there(
    site, library: Library, local: Collect
) -> None:
    site.html("/", "<p>Nothing here.</p>")
    with (
        library,
        pytest.raises(NothingFound, match=r"No post was found at .* \(1 pages read; refused: front page 1\)"),
    ):
        run([site.base], local, library, Silent())


def test_the_same_text_under_two_addresses_is_one_post(site, library: Library, local: Collect) -> None:
    build(site)
    site.pages["/posts/copy/"] = site.pages["/posts/tea/"]
    site.html("/page/2/", "<a href='/posts/copy/'>copy</a>")
    with library:
        report = run([site.base], local, library, Silent())
    assert report.refused["same text as another page"] == 1


def test_importing_the_room_loads_nothing_heavy() -> None:
    heavy = {"httpx", "lxml", "trafilatura", "bs4", "feedparser", "markdownify"}
    code = f"import sys, llm_twin.collect; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
