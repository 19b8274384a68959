"""A site into the library: walk over it, read its pages, see which of the known posts are gone or moved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from itertools import chain
from typing import TYPE_CHECKING

from llm_twin.collect import urls
from llm_twin.collect.item import Rejected
from llm_twin.collect.library import Library
from llm_twin.collect.pages import judge, page, reading
from llm_twin.collect.report import Tally
from llm_twin.collect.web.discover import Crawl
from llm_twin.collect.web.fetch import Client, Refused
from llm_twin.collect.web.httpcache import HttpCache
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress
from llm_twin.contracts.records import Post
from llm_twin.errors import NothingFound, SourceUnreachable

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_GONE = 410
_NAMED_AUTHORS = 5  # of a site with several, in the hint
_FEW = 3  # posts that may be replaced at once, or a third of the site's if that is more


def collect_site(
    start: str, client: Client, cache: HttpCache, config: Collect, tally: Tally, progress: Progress
) -> None:
    """Collect the site of an address. Raises SourceUnreachable or NothingFound."""
    known = {urls.canonical(u): u for u in tally.library.urls() if urls.clean(u)}
    crawl = Crawl(client, config, start, known.values())
    try:
        found = list(crawl.walk(progress))
    except Refused as refused:
        raise _unreachable(start, refused) from None

    def tree(url: str) -> HtmlElement | None:
        kept = cache.get(url)
        return page.parse(page.decode(kept.body, kept.content_type)) if kept else None

    public = [url for url in found if urls.canonical(url) not in crawl.closed]
    pages, refused_pages = reading.candidates(public, crawl.entries)
    tally.refuse_all([*crawl.refusals, *refused_pages])
    moves, before, authors = _moves(crawl, known), tally.posts, Counter[str]()
    progress.start("posts", len(pages))
    for each in chain(reading.read(pages, crawl.entries, tree), map(reading.without_page, crawl.loose)):
        if not isinstance(each, Rejected):
            authors.update([each.author] if each.author else [])
            if old := moves.get(each.id):
                tally.move(old, each.id)
        tally.add(each, f"site:{urls.site(crawl.site)}")
        progress.advance(1, note=f"{tally.posts - before} posts")
    present = tally.present()
    absent = {url for url in known if tally.library.identity(Post.id_of(url)) not in present}
    for identity in tally.withdrawn(crawl.refusals):
        tally.gone(identity, for_good=True)
    for url in absent & crawl.gone.keys():
        tally.gone(Post.id_of(url), for_good=crawl.gone[url] == _GONE)
    for url in absent & crawl.moved.keys():
        cache.forget(crawl.moved[url].asked)  # the next run is to see the redirect for itself
    if tally.posts == before:
        raise _nothing(start, len(found), tally)
    if not tally.dry_run:  # which moves no post
        of_site = sum(urls.same_site(url, crawl.site) for url in known)
        for url in _believed(absent & _replaced(crawl, present, tally.library), of_site, progress):
            tally.gone(Post.id_of(url), for_good=False)
    if not config.author and len(authors) > 1:
        _name_authors(authors, progress)


def _moves(crawl: Crawl, known: Container[str]) -> dict[str, str]:
    """Ids of posts by the id of the new address that each alone leads to: what is read there is that post."""
    led = Counter(move.target for move in crawl.moved.values())
    return {
        Post.id_of(move.target): Post.id_of(url)
        for url, move in crawl.moved.items()
        if led[move.target] == 1 and move.target not in known
    }


def _replaced(crawl: Crawl, present: set[str], library: Library) -> set[str]:
    """Canonical urls that lead for good to another post, the front page or a listing, as deleted posts do.

    Redirects for now are not counted: pages that ask for a login or for patience are reached by them. Nor is
    what leads to a page that may be the post, though it was not read as one: a listing is led to by several.
    """
    left = {url: move.target for url, move in crawl.moved.items() if move.for_good}
    led = Counter(left.values())

    def is_other(target: str) -> bool:
        reason = judge.why_not_address(target)
        listing = reason is not None and led[target] > 1
        return listing or reason == "front page" or library.identity(Post.id_of(target)) in present

    return {url for url, target in left.items() if is_other(target)}


def _believed(replaced: set[str], of_site: int, progress: Progress) -> set[str]:
    """What was replaced; nothing where it is so much of the site that its redirects may be at fault."""
    if len(replaced) <= max(_FEW, of_site // 3):
        return replaced
    progress.say(
        f"{len(replaced)} of {of_site} known posts lead to other pages now, which may be a fault of the "
        "site: none was removed. Take out what is gone: llm-twin forget POST"
    )
    return set()


def _name_authors(authors: Counter[str], progress: Progress) -> None:
    named = ", ".join(f"{name} ({n})" for name, n in authors.most_common(_NAMED_AUTHORS))
    progress.say(f"The site has {len(authors)} authors: {named}. Take one: --author NAME")


def _unreachable(start: str, refused: Refused) -> SourceUnreachable:
    detail = f" ({refused.detail})" if refused.detail else ""
    fix = "Check the address and the network, then run again"
    if refused.reason == "private address":
        fix = "If it is your own machine or network, add --allow-private"
    elif refused.reason.startswith("robots"):
        fix = "Ask its owner, or collect from an export file"
    return SourceUnreachable(f"{start} cannot be collected: {refused.reason}{detail}", fix)


def _nothing(start: str, pages: int, tally: Tally) -> NothingFound:
    refused = ", ".join(f"{reason} {n}" for reason, n in tally.report(0).refused.items())
    return NothingFound(
        f"No post was found at {start} ({pages} pages read" + (f"; refused: {refused})" if refused else ")"),
        "Give the address of the blog, its feed or its sitemap",
    )
