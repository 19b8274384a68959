"""Finds the pages of a site from any one of its addresses: feeds, sitemaps, then links, nearest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import urljoin, urlsplit

from llm_twin.collect import feeds, page, sitemaps, urls
from llm_twin.collect.feeds import Entry
from llm_twin.collect.fetch import Client, Fetched, Refused
from llm_twin.collect.report import Refusal
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress

# Where engines put their feed when no page names it: WordPress and Ghost, Jekyll, Hugo, Pelican, Blogger.
_FEED_PLACES = ("feed/", "feed.xml", "atom.xml", "index.xml", "rss.xml")
_SITEMAP_PLACES = ("sitemap.xml",)
_MAX_SITEMAPS = 50
_MAX_FEEDS = 4


class Crawl:
    """One walk over a site.

    Attributes:
        site: the address that says which site this is.
        entries: what the feeds say about a page, by canonical url.
        refusals: addresses that gave no page.
        gone: canonical urls that answered 404 or 410.
    """

    def __init__(self, client: Client, config: Collect, start: str, known: Iterable[str] = ()) -> None:
        self._client = client
        self._config = config
        self.site = start
        self.entries: dict[str, Entry] = {}
        self.refusals: list[Refusal] = []
        self.gone: set[str] = set()
        self._known = list(known)
        self._seen: set[str] = set()
        self._read: set[str] = set()
        self._queue: deque[tuple[str, int]] = deque()
        self._feeds: set[str] = set()

    def walk(self, progress: Progress) -> Iterator[str]:
        """Addresses of the site's HTML pages, each once, as they are read; their bodies lie in the cache.

        Raises Refused where the first address gives nothing.
        """
        progress.start("pages")
        first = self._client.get(self.site)
        self._seen |= {urls.canonical(first.asked), urls.canonical(first.url)}
        yield from self._open(first)
        pages = 0
        while self._queue and pages < self._config.max_pages:
            url, depth = self._queue.popleft()
            fetched = self._fetch(url)
            if fetched is None or not self._new(fetched):
                continue
            found = self._page(fetched, depth)
            if found:
                pages += 1
                progress.advance(1, note=f"{len(self._queue)} known and not yet asked")
                yield found
        if self._queue:
            progress.say(
                f"Stopped after {pages} pages (collect.max_pages); {len(self._queue)} more were known."
            )

    def _open(self, first: Fetched) -> Iterator[str]:
        """Read the first address, whatever it is, and queue all that the site says of itself."""
        named: list[str] = []
        start = first.url
        if feeds.is_feed(first.body):
            start = self._feed(first) or urljoin(first.url, "/")
        elif sitemaps.is_sitemap(first.body):
            self._sitemap(first)
            start = urljoin(first.url, "/")
        elif found := self._page(first, 0):
            root = page.parse(page.decode(first.body, first.content_type))
            named = page.feed_links(root, first.url) if root is not None else []
            yield found
        self.site = start
        later, self._queue = self._queue, deque()
        home = urljoin(start, f"/{urlsplit(start).path.split('/')[1]}/" if "/~" in start else "/")
        self._add([home, *(u for u in self._known if urls.same_site(u, start))], 0)
        self._find_feeds(named, home)
        self._find_sitemaps(home)
        self._queue.extend(later)

    def _find_feeds(self, named: list[str], home: str) -> None:
        for url in named[:_MAX_FEEDS]:
            self._ask_feed(url)
        if not self.entries:
            for place in _FEED_PLACES:
                self._ask_feed(urljoin(home, place))
                if self.entries:
                    return

    def _ask_feed(self, url: str) -> None:
        if url in self._feeds:
            return
        fetched = self._fetch(url, expected=False)
        if fetched and feeds.is_feed(fetched.body):
            self._feed(fetched)

    def _feed(self, fetched: Fetched) -> str | None:
        """Take the entries of a feed; the address of its site."""
        self._feeds |= {fetched.asked, fetched.url}
        feed = feeds.parse(fetched.body, fetched.url)
        site = feed.site or (feed.entries[0].url if feed.entries else None)
        own = [e for e in feed.entries if urls.same_site(e.url, site or fetched.url)]
        for entry in own:
            self.entries.setdefault(urls.canonical(entry.url), entry)
        self._add([e.url for e in own], 1, pages_only=False)
        return site

    def _find_sitemaps(self, home: str) -> None:
        named = [s for s in (urls.clean(s, home) for s in self._client.sitemaps(home)) if s]
        waiting = deque(named or [urljoin(home, place) for place in _SITEMAP_PLACES])
        asked: set[str] = set()
        while waiting and len(asked) < _MAX_SITEMAPS:
            url = waiting.popleft()
            if url in asked:
                continue
            asked.add(url)
            if fetched := self._fetch(url, expected=url in named):
                waiting.extend(self._sitemap(fetched))

    def _sitemap(self, fetched: Fetched) -> list[str]:
        found = sitemaps.parse(fetched.body, fetched.url, self._config.max_bytes)
        self._add((u for u in found.pages if urls.same_site(u, fetched.url)), 1)
        return list(found.sitemaps)

    def _page(self, fetched: Fetched, depth: int) -> str | None:
        """Queue the links of a page; its address, or None where the answer is no page."""
        if not page.is_html(fetched.body, fetched.content_type):
            self.refusals.append(Refusal(fetched.url, "not a page"))
            return None
        root = page.parse(page.decode(fetched.body, fetched.content_type))
        if root is None:
            self.refusals.append(Refusal(fetched.url, "empty page"))
            return None
        self._read.add(urls.canonical(fetched.url))
        if depth < self._config.max_depth:
            self._add((u for u in page.links(root, fetched.url) if urls.same_site(u, fetched.url)), depth + 1)
        return fetched.url

    def _new(self, fetched: Fetched) -> bool:
        """Whether an answer is of this site and was not read under another address."""
        final = urls.canonical(fetched.url)
        if not urls.same_site(fetched.url, self.site):
            self.refusals.append(Refusal(fetched.asked, "leads to another site"))
            return False
        self._seen.add(final)
        return final not in self._read

    def _fetch(self, url: str, expected: bool = True) -> Fetched | None:
        try:
            return self._client.get(url)
        except Refused as refused:
            if refused.status in (404, 410):
                self.gone.add(urls.canonical(url))
            if expected:
                self.refusals.append(Refusal(url, refused.reason))
            return None

    def _add(self, found: Iterable[str], depth: int, pages_only: bool = True) -> None:
        for url in found:
            identity = urls.canonical(url)
            if identity not in self._seen and (not pages_only or urls.may_be_page(url)):
                self._seen.add(identity)
                self._queue.append((url, depth))
