"""A site into the library: walk over it, learn its layout, read every page with what was learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from llm_twin.collect import judge, page, urls
from llm_twin.collect.discover import Crawl
from llm_twin.collect.extract import extract
from llm_twin.collect.feeds import Entry
from llm_twin.collect.fetch import Client, Refused
from llm_twin.collect.httpcache import HttpCache
from llm_twin.collect.layout import Layout, learn
from llm_twin.collect.report import Tally
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress
from llm_twin.contracts.records import Post
from llm_twin.errors import NothingFound, SourceUnreachable

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_EXAMPLES = 30  # pages with their body in the feed that the layout is learned from
_SAMPLE = 60  # pages that it is learned from where no feed helps


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
    tally.refusals.extend(crawl.refusals)
    candidates = [url for url in found if _may_be_post(url, crawl, tally)]
    layout = _learn(candidates, crawl.entries, cache)
    before = len(tally.taken)
    _read_posts(candidates, crawl.entries, layout, cache, tally, progress)
    for identity in crawl.gone & known.keys():
        tally.gone(Post.id_of(identity))
    if len(tally.taken) == before:
        raise _nothing(start, len(found), tally)


def _may_be_post(url: str, crawl: Crawl, tally: Tally) -> bool:
    reason = None if urls.canonical(url) in crawl.entries else judge.why_not_address(url)
    if reason:
        tally.refuse(url, reason)
    return reason is None


def _learn(candidates: Sequence[str], entries: dict[str, Entry], cache: HttpCache) -> Layout | None:
    def examples() -> Iterator[tuple[HtmlElement, str]]:
        for url in candidates:
            entry = entries.get(urls.canonical(url))
            if entry and entry.html and (root := _tree(url, cache)) is not None:
                yield root, entry.html

    def alike() -> Iterator[HtmlElement]:
        step = max(1, len(candidates) // _SAMPLE)
        for url in candidates[::step]:
            root = _tree(url, cache)
            if root is not None and _seems_post(root, url):
                yield root

    return learn(islice(examples(), _EXAMPLES), alike())


def _seems_post(root: HtmlElement, url: str) -> bool:
    meta = page.read_meta(root, url)
    if judge.why_not_page(url, meta):
        return False
    marked = any(True for _ in root.iter("time")) or page.path_date(url) or meta.published_at
    return bool(marked or meta.kinds & page.ARTICLE_TYPES)


def _read_posts(
    candidates: Sequence[str],
    entries: dict[str, Entry],
    layout: Layout | None,
    cache: HttpCache,
    tally: Tally,
    progress: Progress,
) -> None:
    shapes = {s for e in entries.values() if (s := urls.shape(e.url)).count("/") > 1}
    texts: dict[str, str] = {}
    progress.start("posts", len(candidates))
    for url in candidates:
        post, reason = _read(url, entries.get(urls.canonical(url)), layout, cache, shapes)
        if post and texts.setdefault(post.markdown, post.id) != post.id:
            post, reason = None, "same text as another page"
        if post:
            tally.take(post)
        elif reason:
            tally.refuse(url, reason)
        progress.advance(1, note=f"{len(tally.taken)} posts")


def _read(
    url: str, entry: Entry | None, layout: Layout | None, cache: HttpCache, shapes: set[str]
) -> tuple[Post | None, str | None]:
    """The post of a page, or the reason why it is none."""
    root = _tree(url, cache)
    if root is None:
        return None, "empty page"
    meta = page.read_meta(root, url)
    if reason := judge.why_not_page(url, meta):
        return None, reason
    draft = extract(root, url, meta, layout, entry)
    if reason := judge.why_not_post(draft, meta, entry is not None, urls.shape(url) in shapes):
        return None, reason
    same = meta.canonical and urls.canonical(meta.canonical) == urls.canonical(url)
    address = meta.canonical if meta.canonical and same else url
    post = Post(
        id=Post.id_of(urls.canonical(address)),
        url=address,
        title=draft.title,
        published_at=draft.published_at,
        markdown=draft.markdown,
        revision=Post.revision_of(draft.title, draft.markdown),
        author=draft.author,
        tags=draft.tags,
    )
    return post, None


def _tree(url: str, cache: HttpCache) -> HtmlElement | None:
    kept = cache.get(url)
    return page.parse(page.decode(kept.body, kept.content_type)) if kept else None


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
