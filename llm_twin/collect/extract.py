"""One page to a draft of a post: its title, date and text, and whether it looks like the site's posts."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_twin.collect import dates
from llm_twin.collect.feeds import Entry
from llm_twin.collect.furniture import block_of, is_furniture, prune, remove, texts, words
from llm_twin.collect.layout import Layout, guess, signature
from llm_twin.collect.markdown import to_markdown
from llm_twin.collect.page import Meta, path_date

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_FEW_WORDS = 10  # below this a container was the wrong one, and a single-page extractor is asked
_HEADINGS = ("h1", "h2", "h3")
_NEAR = 8  # text nodes around a title in which a written-out date is its date
_BYLINE_WORDS = 14  # a block with a date in it is a byline up to this length, a sentence beyond
_DATED = re.compile(r"dt-published|published|entry-date|post-date|pubdate|date", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was read from a page, before it is judged.

    Attributes:
        fits: the page has the container that was learned from the site.
        words: words of the text.
        linked: share of the text's words that stand in links, 0 to 1.
        stacked: number of articles that the page shows one after another.
    """

    title: str
    published_at: str | None
    author: str | None
    tags: tuple[str, ...]
    markdown: str
    fits: bool
    words: int
    linked: float
    stacked: int


def extract(root: HtmlElement, url: str, meta: Meta, layout: Layout | None, entry: Entry | None) -> Draft:
    """Read a page with what was learned from its site and with its entry in the feed, where there are any."""
    container = layout.find(root) if layout else None
    fits = container is not None
    if container is None:
        container = guess(root)
    title = _title(root, meta, entry)
    published = meta.published_at or _marked_date(container) or (entry and entry.published_at)
    published = published or path_date(url) or _written_date(root, title)
    tags = meta.tags or (entry.tags if entry else ()) or _tags(root)
    markdown, count, linked = "", 0, 0.0
    if container is not None:
        body = _body(container, layout if fits else None, title)
        count = words(body)
        linked = sum(words(a) for a in body.iter("a")) / max(1, count)
        markdown = to_markdown(body)
    if count < _FEW_WORDS and not fits:
        markdown = _single_page(root) or markdown
        count = len(markdown.split())
    return Draft(
        title=title,
        published_at=published or None,
        author=meta.author or (entry.author if entry else None),
        tags=tuple(dict.fromkeys(tags)),
        markdown=markdown,
        fits=fits,
        words=count,
        linked=linked,
        stacked=_stacked(root),
    )


def _body(container: HtmlElement, layout: Layout | None, title: str) -> HtmlElement:
    """A copy of the container with the text alone in it."""
    copy = deepcopy(container)
    copy.tail = None
    if layout:
        _strip_ends(copy, layout)
    prune(copy, layout.keep if layout else frozenset(), layout.drop if layout else frozenset())
    if not (layout and layout.exact):
        for header in [e for e in copy.iter("header", "time") if _byline(e)]:
            remove(header)
    wanted = _plain(title)
    for heading in copy.iter(*_HEADINGS):
        if wanted and _plain("".join(heading.itertext())) == wanted:
            remove(heading)
            break
    return copy


def _strip_ends(copy: HtmlElement, layout: Layout) -> None:
    children = [c for c in copy if isinstance(c.tag, str)]
    for expected, child in zip(layout.head, children, strict=False):
        if signature(child) != expected:
            break
        remove(child)
    left = [c for c in copy if isinstance(c.tag, str)][::-1]
    for expected, child in zip(layout.tail, left, strict=False):
        if signature(child) != expected:
            break
        remove(child)


def _byline(element: HtmlElement) -> bool:
    return element.tag == "time" or words(element) < 60


def _title(root: HtmlElement, meta: Meta, entry: Entry | None) -> str:
    """The feed's title; else the longest heading that the page's own title contains; else that title.

    A page without a title of its own has its first heading's.
    """
    if entry and entry.title:
        return entry.title
    said = _plain(meta.title), _plain(root.findtext(".//title") or "")
    own = [h for h in root.iter(*_HEADINGS) if not _of_site(h)]
    headings = [" ".join("".join(h.itertext()).split()) for h in own]
    if not any(said):
        return next((h for h in headings if h), "")
    return max((h for h in headings if any(_plain(h) in s for s in said)), key=len, default="") or meta.title


def _of_site(heading: HtmlElement) -> bool:
    """Whether a heading names the site: it links to the front page or stands in the site's own header."""
    links = [a.get("href") for a in heading.iter("a")] + [a.get("href") for a in heading.iterancestors("a")]
    named = "site" in (heading.get("class") or "").lower()
    return named or any(re.fullmatch(r"(?:https?://[^/]+)?/?", link or "") for link in links)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def _marked_date(container: HtmlElement | None) -> str | None:
    """The first date marked up as one, in the container or in what is around it up to the article."""
    here, inside = container, container
    while here is not None and here.tag not in ("body", "html"):
        for element in here.iter():
            marked = element.tag == "time" or element.get("itemprop") == "datePublished"
            if marked and not _of_others(element, here):
                found = dates.iso(
                    element.get("datetime") or element.get("content") or "".join(element.itertext())
                )
                if found:
                    return found
        if inside is not None and here.tag in ("article", "main"):
            break
        here = here.getparent()
    return None


def _of_others(element: HtmlElement, top: HtmlElement) -> bool:
    """Whether a date stands in furniture that is not the post's own byline: a comment, a related post."""
    if _DATED.search((element.get("class") or "") + (element.get("itemprop") or "")):
        return False
    names = re.compile(r"comment|related|respond|sidebar|widget|recent|webmention|nav", re.IGNORECASE)
    for around in element.iterancestors():
        if around is top:
            break
        if names.search(f"{around.get('class') or ''} {around.get('id') or ''}") or around.tag in (
            "nav",
            "aside",
        ):
            return True
    return False


def _written_date(root: HtmlElement, title: str) -> str | None:
    """A date written out in a short block beside the title."""
    page = root.find("body")
    if page is None or not title:
        return None
    nodes = [(owner, text) for owner, text in texts(page) if text.strip()]
    wanted = _plain(title)
    at = next(
        (n for n, (o, t) in enumerate(nodes) if _plain(t) == wanted and block_of(o).tag in _HEADINGS), None
    )
    if at is None:
        return None
    for owner, text in nodes[at + 1 : at + 1 + _NEAR] + nodes[max(0, at - _NEAR // 2) : at]:
        if (found := dates.written(text)) and words(block_of(owner)) <= _BYLINE_WORDS:
            return found
    return None


def _tags(root: HtmlElement) -> tuple[str, ...]:
    found = [a for a in root.iter("a") if "tag" in (a.get("rel") or "").lower().split()]
    return tuple(text.lstrip("#") for a in found if (text := " ".join("".join(a.itertext()).split())))


def _stacked(root: HtmlElement) -> int:
    """How many articles stand side by side on the page, comments and related posts left out."""
    beside: dict[HtmlElement, int] = {}
    for article in root.iter("article"):
        holder = article.getparent()
        if holder is not None and not is_furniture(article) and not is_furniture(holder):
            beside[holder] = beside.get(holder, 0) + 1
    return max(beside.values(), default=0)


def _single_page(root: HtmlElement) -> str:
    import trafilatura

    found = trafilatura.extract(root, output_format="markdown", include_comments=False, favor_precision=True)
    return found or ""
