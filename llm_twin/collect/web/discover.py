"""Finds the pages of a site from any of its addresses: feeds, APIs, sitemaps, then links, nearest first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin, urlsplit

from llm_twin.collect import urls
from llm_twin.collect.item import Rejected
from llm_twin.collect.pages import judge, page
from llm_twin.collect.web import apis, feeds, sitemaps, traps
from llm_twin.collect.web.feeds import Entry
from llm_twin.collect.web.fetch import Client, Fetched, Refused
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress

# Where engines put their feed when no page names it: WordPress and Ghost, Jekyll, Hugo, Pelican, Blogger.
_FEED_PLACES = ("feed/", "feed.xml", "atom.xml", "index.xml", "rss.xml")
_SITEMAP_PLACES = ("sitemap.xml",)
_MAX_SITEMAPS = 50
_MAX_FEEDS = 4
_MAX_PARTS = 1000  # of a feed or an API that is given in parts; 100,000 posts
_API_PAGES = 3  # pages that are looked at for a public API: engines leave their marks on all of them
# For each page that may be read: addresses that are kept, and that are asked (many give no page).
_KNOWN = 20
_ASKED = 4


@dataclass(frozen=True, slots=True)
class Move:
    """The address that was asked, the canonical url that it led to, and whether it does so for good."""

    asked: str
    target: str
    for_good: bool


class Crawl:
    """One walk over a site.

    Attributes:
        site: the address that says which site this is.
        entries: what the feeds and APIs say about a page, by canonical url.
        loose: entries of feeds that have no page.
        closed: reason by canonical url of posts that are not public, though a part of their page may be.
        refusals: addresses that gave no page.
        gone: status by canonical url of what answered 404 or 410.
        moved: where a known page leads on to, by a redirect or as a stub, by its canonical url.
    """

    def __init__(self, client: Client, config: Collect, start: str, known: Iterable[str] = ()) -> None:
        self._client = client
        self._config = config
        self.site = start
        self.entries: dict[str, Entry] = {}
        self.loose: list[Entry] = []
        self.closed: dict[str, str] = {}
        self.refusals: list[Rejected] = []
        self.gone: dict[str, int] = {}
        self.moved: dict[str, Move] = {}
        self._known = {urls.canonical(url): url for url in known}
        self._seen: set[str] = set()
        self._read: set[str] = set()
        self._linked: set[str] = set()
        self._listed: set[str] = set()
        self._queue: deque[tuple[str, int]] = deque()
        self._begun: deque[Future[Fetched] | None] = deque()
        self._feeds: set[str] = set()
        self._looked = 0
        self._traps = traps.Traps()

    def walk(self, progress: Progress) -> Iterator[str]:
        """Addresses of the site's HTML pages, each once, as they are read; their bodies lie in the cache.

        The next addresses are asked for while a page is read, but they are read in order: what is found does
        not depend on how fast the answers come. Raises Refused where the first address gives nothing.
        """
        progress.start("pages")
        first = self._client.get(self.site)
        self._seen |= {urls.canonical(first.asked), urls.canonical(first.url)}
        yield from self._open(first)
        pages, asked, most = 0, 0, self._config.max_pages
        while self._queue and pages < most and asked < _ASKED * most:
            self._look_ahead(min(most - pages, _ASKED * most - asked))
            url, depth = self._queue.popleft()
            begun = self._begun.popleft()
            if begun is None or self._is_trap(url):
                self.refusals.append(Rejected(url, "nothing new at addresses like it"))
                continue
            asked += 1
            fetched = self._answer(url, begun.result)
            if fetched is None or not self._new(fetched):
                continue
            found = self._page(fetched, depth)
            if found:
                pages += 1
                progress.advance(1, note=f"{len(self._queue)} known and not yet asked")
                yield found
        for example in self._traps.found:
            progress.say(f"{traps.BARREN} addresses like {example} gave nothing new; no more were asked.")
        if self._queue:
            progress.say(
                f"Stopped after {pages} pages (collect.max_pages); {len(self._queue)} more were known."
            )

    def _look_ahead(self, left: int) -> None:
        """Have the first addresses of the queue asked for: as many as the host takes at once, at most `left`.

        The queue grows at its end alone, so those that are begun stay its first.
        """
        wanted = min(self._client.at_once(self._queue[0][0]), left, len(self._queue))
        while len(self._begun) < wanted:
            url = self._queue[len(self._begun)][0]
            self._begun.append(None if self._is_trap(url) else self._client.begin(url))

    def _is_trap(self, url: str) -> bool:
        """Whether an address need not be asked; what the site lists as its own always is."""
        return self._traps.is_one(url) and urls.canonical(url) not in self._listed

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
        known = (url for url in self._known.values() if urls.same_site(url, start))
        self._add([home, *known], 0, listed=True)
        self._find_feeds(named, home)
        self._find_sitemaps(home)
        self._queue.extend(later)

    def _find_feeds(self, named: list[str], home: str) -> None:
        for url in named[:_MAX_FEEDS]:
            self._ask_feed(url, self._client.get)
        if not self.entries:
            for place in _FEED_PLACES:
                self._ask_feed(urljoin(home, place), self._client.guess)
                if self.entries:
                    return

    def _ask_feed(self, url: str, ask: Callable[[str], Fetched]) -> None:
        if url in self._feeds:
            return
        fetched = self._answer(url, partial(ask, url), expected=False)
        if fetched and feeds.is_feed(fetched.body):
            self._feed(fetched)

    def _feed(self, fetched: Fetched) -> str | None:
        """Take the entries of a feed, with its further parts; the address of its site."""
        site: str | None = None
        part: Fetched | None = fetched
        while part and part.url not in self._feeds and len(self._feeds) < _MAX_PARTS:
            self._feeds |= {part.asked, part.url}
            feed = feeds.parse(part.body, part.url, part.content_type)
            site = site or feed.site or (feed.entries[0].url if feed.entries else None)
            self._take([e for e in feed.entries if urls.same_site(e.url, site or fetched.url)])
            self.loose += feed.loose
            self.refusals += [Rejected(url, "a reader's comment") for url in feed.comments]
            following = feed.next
            part = (
                self._answer(following, partial(self._client.get, following), expected=False)
                if following
                else None
            )
        return site

    def _ask_api(self, api: apis.Api) -> None:
        """Take the entries that a public API gives, part by part, until one has nothing new."""
        url: str | None = api.first
        for _ in range(_MAX_PARTS):
            if url is None or not (answered := self._answer(url, partial(self._client.get, url), False)):
                return
            answer = apis.parse(api, answered.body, answered.url)
            self.refusals += answer.rejected
            closed = {r.where: r.reason for r in answer.rejected if r.where != answered.url}
            self.closed |= {urls.canonical(where): reason for where, reason in closed.items()}
            if not self._take(answer.entries) and not closed:
                return
            url = answer.next

    def _take(self, entries: Iterable[Entry]) -> bool:
        """Keep what is said of pages, the longest body for each; whether any of it is new."""
        new = False
        for entry in entries:
            known = self.entries.get(urls.canonical(entry.url))
            if known is None or len(known.html) < len(entry.html):
                self.entries[urls.canonical(entry.url)] = entry
                new = True
            self._add([entry.url], 1, listed=True, pages_only=False)
        return new

    def _find_sitemaps(self, home: str) -> None:
        try:
            named = [s for s in (urls.clean(s, home) for s in self._client.sitemaps(home)) if s]
        except Refused:
            return  # the site lies on another host than its feed, and nothing of it may be asked
        waiting = deque(named or [urljoin(home, place) for place in _SITEMAP_PLACES])
        asked: set[str] = set()
        while waiting and len(asked) < _MAX_SITEMAPS:
            url = waiting.popleft()
            if url in asked:
                continue
            asked.add(url)
            ask = self._client.get if named else self._client.guess
            if fetched := self._answer(url, partial(ask, url), expected=url in named):
                waiting.extend(self._sitemap(fetched))

    def _sitemap(self, fetched: Fetched) -> list[str]:
        found = sitemaps.parse(fetched.body, fetched.url, self._config.max_bytes)
        self._add((u for u in found.pages if urls.same_site(u, fetched.url)), 1, listed=True)
        return list(found.sitemaps)

    def _page(self, fetched: Fetched, depth: int) -> str | None:
        """Queue the links of a page; its address, or None where the answer is no page."""
        if not page.is_html(fetched.body, fetched.content_type):
            self.refusals.append(Rejected(fetched.url, "not a page"))
            return None
        try:
            root = page.tree_of(page.decode(fetched.body, fetched.content_type))
        except page.Unreadable as error:
            self.refusals.append(Rejected(fetched.url, str(error)))
            return None
        self._read.add(urls.canonical(fetched.url))
        if urls.canonical(fetched.url) in self._known:
            self._see_through(fetched.url, page.read_meta(root, fetched.url))
        self._looked += 1
        if self._looked <= _API_PAGES and (api := apis.find(root, fetched.url)):
            self._looked = _API_PAGES
            self._ask_api(api)
        leads_on = self._follow(page.links(root, fetched.url), fetched.url, depth)
        self._traps.read(fetched.url, root, leads_on)
        return fetched.url

    def _follow(self, links: Iterable[str], url: str, depth: int) -> bool:
        """Queue the links of a page; whether one of another shape, that is no trap, was on no page before.

        An archive's next page is no deeper than the archive, so that an old blog is followed to its end.
        """
        shape, leads_on = traps.shape(url), False
        archive = judge.why_not_address(url) == "listing"
        for link in links:
            if link in self._linked or not urls.same_site(link, url) or not urls.may_be_page(link):
                continue
            if len(self._linked) < _KNOWN * self._config.max_pages:
                self._linked.add(link)
            alike = traps.shape(link) == shape
            leads_on = leads_on or not (alike or self._traps.is_one(link))
            further = depth if alike and archive else depth + 1
            if further <= self._config.max_depth:
                self._add([link], further)
        return leads_on

    def _see_through(self, url: str, meta: page.Meta) -> None:
        """Note where a known page is but a stub: it sends its reader on to what it calls its own address."""
        if not meta.refresh or not meta.canonical or not urls.same_site(meta.canonical, url):
            return
        identity, target = urls.canonical(url), urls.canonical(meta.canonical)
        if identity != target == urls.canonical(meta.refresh):
            self.moved[identity] = Move(url, target, for_good=True)

    def _new(self, fetched: Fetched) -> bool:
        """Whether an answer is of this site and was not read under another address."""
        final = urls.canonical(fetched.url)
        if not urls.same_site(fetched.url, self.site):
            self.refusals.append(Rejected(fetched.asked, "leads to another site"))
            return False
        self._seen.add(final)
        asked = urls.canonical(fetched.asked)
        if asked != final and asked in self._known:
            self.moved[asked] = Move(fetched.asked, final, fetched.for_good)
        return final not in self._read

    def _answer(self, url: str, ask: Callable[[], Fetched], expected: bool = True) -> Fetched | None:
        try:
            return ask()
        except Refused as refused:
            if refused.status in (404, 410):
                self.gone[urls.canonical(url)] = refused.status
            if expected:
                self.refusals.append(Rejected(url, refused.reason))
            return None

    def _add(self, found: Iterable[str], depth: int, listed: bool = False, pages_only: bool = True) -> None:
        for url in found:
            identity = urls.canonical(url[: traps.LONGEST_ADDRESS])
            if listed:
                self._listed.add(identity)
            if identity in self._seen or (pages_only and not urls.may_be_page(url)):
                continue
            if len(self._seen) >= _KNOWN * self._config.max_pages:
                return
            self._seen.add(identity)
            if traps.is_endless(url):
                self.refusals.append(Rejected(url[: traps.LONGEST_ADDRESS], "endless address"))
            else:
                self._queue.append((url, depth))
