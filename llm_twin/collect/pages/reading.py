"""Pages into posts: learn the layout of their site from all of them, then read each with what was learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from llm_twin.collect import item, urls
from llm_twin.collect.item import Item, Rejected
from llm_twin.collect.pages import judge, page
from llm_twin.collect.pages.extract import extract, title_of, written_date
from llm_twin.collect.pages.layout import learn
from llm_twin.collect.pages.markdown import from_html
from llm_twin.collect.pages.selector import Layout
from llm_twin.collect.web.feeds import Entry

if TYPE_CHECKING:
    from lxml.html import HtmlElement

Tree = Callable[[str], "HtmlElement | None"]  # the page of an address, parsed anew each time

_EXAMPLES = 30  # pages with their body in the feed that the layout is learned from
_SAMPLE = 60  # pages that it is learned from where no feed helps


def candidates(pages: Sequence[str], entries: Mapping[str, Entry]) -> tuple[list[str], list[Rejected]]:
    """Of a site's pages, those that may be posts by their address, and the others with the reason.

    Args:
        entries: what the site's feeds say about a page, by canonical url; a feed's word counts.
    """
    # Some engines list every page in their feed; those that are no posts have no date there.
    dated = {address for address, entry in entries.items() if entry.published_at}
    judged = [(u, None if urls.canonical(u) in dated else judge.why_not_address(u)) for u in pages]
    return [u for u, why in judged if not why], [Rejected(u, why) for u, why in judged if why]


def read(
    pages: Sequence[str], entries: Mapping[str, Entry], tree: Tree, vouched: bool = False
) -> Iterator[Item]:
    """One item for each page, in order: its post, or why it is none.

    Args:
        vouched: somebody says that these pages are posts, so that one without a date is not refused.
    """
    layout = _learn(pages, entries, tree)
    shapes = {s for e in entries.values() if (s := urls.shape(e.url)).count("/") > 1}
    seen: dict[str, str] = {}
    for url in pages:
        found = _read(url, entries.get(urls.canonical(url)), layout, tree(url), shapes, vouched)
        if not isinstance(found, Rejected) and seen.setdefault(found.revision, found.id) != found.id:
            found = Rejected(url, "same text as another page")
        yield found


def without_page(entry: Entry) -> Item:
    """The post that a feed gives whole because it has no page."""
    markdown = from_html(entry.html)
    if not markdown:
        return Rejected(entry.url, "no text")
    return item.post(
        entry.url, entry.title, markdown, entry.published_at, author=entry.author, tags=entry.tags
    )


def _learn(pages: Sequence[str], entries: Mapping[str, Entry], tree: Tree) -> Layout | None:
    def examples() -> Iterator[tuple[HtmlElement, str]]:
        for url in pages:
            entry = entries.get(urls.canonical(url))
            if entry and entry.html and (root := tree(url)) is not None:
                yield root, entry.html

    def alike() -> Iterator[HtmlElement]:
        step = max(1, len(pages) // _SAMPLE)
        for url in pages[::step]:
            root = tree(url)
            if root is not None and _seems_post(root, url):
                yield root

    return learn(islice(examples(), _EXAMPLES), alike())


def _seems_post(root: HtmlElement, url: str) -> bool:
    meta = page.read_meta(root, url)
    if judge.why_not_page(url, meta):
        return False
    marked = any(True for _ in root.iter("time", "abbr")) or page.path_date(url) or meta.published_at
    return bool(marked or meta.kinds & page.ARTICLE_TYPES or written_date(root, title_of(root, url, meta)))


def _read(
    url: str,
    entry: Entry | None,
    layout: Layout | None,
    root: HtmlElement | None,
    shapes: set[str],
    vouched: bool,
) -> Item:
    if root is None:
        return Rejected(url, "empty page")
    meta = page.read_meta(root, url)
    if reason := judge.why_not_page(url, meta):
        return Rejected(url, reason)
    draft = extract(root, url, meta, layout, entry)
    reason = judge.why_not_post(draft, meta, vouched or entry is not None, urls.shape(url) in shapes)
    if reason == judge.NO_TEXT and entry and entry.html:
        return without_page(entry)  # a page that a browser's scripts would fill
    if reason:
        return Rejected(url, reason)
    same = meta.canonical and urls.canonical(meta.canonical) == urls.canonical(url)
    return item.post(
        meta.canonical if meta.canonical and same else url,
        draft.title,
        draft.markdown,
        draft.published_at,
        author=draft.author,
        tags=draft.tags,
    )
