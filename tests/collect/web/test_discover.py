from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.collect.web.discover import Crawl
from llm_twin.collect.web.fetch import Client
from llm_twin.collect.web.httpcache import HttpCache
from llm_twin.collect.web.traps import BARREN
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def walk(site, tmp_path: Path, local: Collect) -> Callable[..., tuple[list[str], Crawl, Lines]]:
    """Walks over the site with an empty cache; the paths of its pages, the crawl, and what was said."""

    def over(**changed: object) -> tuple[list[str], Crawl, Lines]:
        config, lines = local.model_copy(update=changed), Lines()
        site.log.clear()
        with HttpCache(tmp_path / str(time.monotonic())) as cache, Client(config, cache) as client:
            crawl = Crawl(client, config, f"{site.base}/")
            found = [url.removeprefix(site.base) for url in crawl.walk(lines)]
            in_flight = client.requests - len(site.log)
            assert 0 <= in_flight < config.concurrency
        return found, crawl, lines

    return over


def link(*paths: str) -> str:
    return "".join(f"<a href='{path}'>{path}</a>" for path in paths)


def web(site, answer, pages: int = 60) -> None:
    """A site in which every page leads to three others, and some links are dead, moved or elsewhere."""
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    site.html("/", link("/p/aa", "/p/ab", "/dead", "/moved", "/p/ac"))
    for n, word in enumerate(words[:pages]):
        led = [f"/p/{words[(n * 3 + i) % pages]}" for i in range(3)]
        site.html(f"/p/{word}", f"<p>It's {word}.</p>" + link(*led, f"/dead/{word}", "/moved"))
    site.pages["/moved"] = answer("", 302, {"Location": "/p/ba"})


def slowed(site) -> None:
    """Let answers overtake each other."""
    for n, (path, entry) in enumerate(list(site.pages.items())):
        site.pages[path] = lambda before, n=n, entry=entry: time.sleep(0.02 * (n % 4)) or entry


def test_the_walk_is_the_same_however_many_requests_are_in_flight(site, answer, walk) -> None:
    web(site, answer)
    one, first, _ = walk(concurrency=1)
    asked = Counter(path for path, _ in site.log)
    slowed(site)
    four, second, _ = walk(concurrency=4)
    assert four == one
    assert len(one) == 61
    assert second.refusals == first.refusals
    assert second.gone == first.gone
    assert Counter(path for path, _ in site.log) == asked
    assert max(asked.values()) == 1, "a page that something moved to is asked for once"


@pytest.mark.parametrize("most", [1, 7, 30])
def test_no_request_is_sent_beyond_the_bound_of_pages(site, answer, walk, most: int) -> None:
    web(site, answer)
    one, _, lines = walk(concurrency=1, max_pages=most)
    asked = len(site.log)
    assert "collect.max_pages" in lines.said[-1]
    four, _, _ = walk(concurrency=4, max_pages=most)
    assert four == one
    assert len(site.log) == asked


def test_addresses_that_give_no_page_are_bounded_too(site, walk) -> None:
    site.html("/", link(*(f"/dead/{n}" for n in range(100))))
    _, _, lines = walk(max_pages=5)
    assert sum(path.startswith("/dead") for path, _ in site.log) <= 20
    assert "more were known" in lines.said[-1]


def test_what_is_known_is_bounded(site, answer, walk) -> None:
    def more(n: int) -> object:
        return lambda before: answer("<p>x" + link(*(f"/{n}/{i}-{before}" for i in range(300))))

    site.pages.update({"/": more(0)(0)})
    site.pages.update({f"/0/{i}-0": more(i)(0) for i in range(300)})
    _, crawl, _ = walk(max_pages=10)
    assert len(crawl._seen) <= 20 * 10
    assert len(crawl._linked) <= 20 * 10


def test_an_archive_is_followed_to_its_end_and_posts_only_so_deep(site, walk) -> None:
    site.html("/", link("/page/2/", "/n/a/"))
    for n in range(2, 31):
        name = "x" * n
        site.html(f"/page/{n}/", f"<p>Posts.</p>{link(f'/page/{n + 1}/', f'/posts/{name}/')}")
        site.html(f"/posts/{name}/", f"<p>It's {name}.</p>")
    for n in range(97, 120):
        site.html(f"/n/{chr(n)}/", f"<p>It's {chr(n)}.</p>{link(f'/n/{chr(n + 1)}/')}")
    found, _, _ = walk(max_depth=5)
    assert sum(path.startswith("/posts/") for path in found) == 29
    assert sum(path.startswith("/n/") for path in found) == 5


def test_a_trap_is_left_and_what_the_site_lists_is_asked_all_the_same(site, answer, walk) -> None:
    for n in range(400):
        site.html(
            f"/cal/{n}/", f"<p>Nothing happens on day {n}.</p>{link(f'/cal/{n + 1}/', f'/cal/{n + 2}/')}"
        )
    site.html("/posts/tea/", "<p>It's about tea.</p>")
    site.html("/", link("/cal/0/", "/posts/tea/"))
    site.pages["/sitemap.xml"] = answer(
        f"<urlset><url><loc>{site.base}/cal/399/</loc></url></urlset>", headers={"Content-Type": "text/xml"}
    )
    found, crawl, lines = walk(max_depth=300)
    assert {"/posts/tea/", "/cal/399/"} <= set(found)
    assert BARREN <= sum(path.startswith("/cal/") for path in found) <= BARREN + 2
    assert Counter(r.reason for r in crawl.refusals)["nothing new at addresses like it"] >= 1
    assert lines.said == [
        f"{BARREN} addresses like {site.base}/cal/{BARREN - 1}/ gave nothing new; no more were asked."
    ]


def test_relative_links_gone_wrong_are_refused(site, walk) -> None:
    for n in range(8):
        site.html("/" + "blog/" * n, f"<p>{n}</p><a href='blog/'>blog</a>")
    found, crawl, _ = walk()
    assert found == ["/", "/blog/", "/blog/blog/", "/blog/blog/blog/"]
    assert [r.reason for r in crawl.refusals] == ["endless address"]


def test_an_interrupted_walk_ends_at_once(site, answer, tmp_path: Path) -> None:
    """Ctrl-C while four answers are slow to come."""
    let_go = threading.Event()

    def slow(before: int) -> object:
        let_go.wait(30)
        return answer("<p>x")

    site.html("/", link(*(f"/slow/{n}" for n in range(20))))
    site.pages.update({f"/slow/{n}": slow for n in range(20)})
    interrupt = threading.Timer(0.5, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    started = time.monotonic()

    def walk() -> None:
        config = Collect(allow_private=True, timeout_s=60)
        with HttpCache(tmp_path) as cache, Client(config, cache) as client:
            for _ in Crawl(client, config, f"{site.base}/").walk(Silent()):
                interrupt.start()

    with pytest.raises(KeyboardInterrupt):
        walk()
    assert time.monotonic() - started < 20
    let_go.set()
    assert not [t for t in threading.enumerate() if t.name.startswith("collect")]
