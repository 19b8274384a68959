"""One page to a draft of a post: its title, date and text, and whether it looks like the site's posts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_twin.collect import dates, urls
from llm_twin.collect.pages.furniture import block_of, prune, remove, texts, words
from llm_twin.collect.pages.layout import guess
from llm_twin.collect.pages.markdown import is_permalink, to_markdown
from llm_twin.collect.pages.page import Meta, path_date
from llm_twin.collect.pages.repeats import is_own, squeeze
from llm_twin.collect.pages.selector import Layout, signature
from llm_twin.collect.plaintext import compared
from llm_twin.collect.web.feeds import Entry

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_FEW_WORDS = 10  # below this a container was the wrong one, and a single-page extractor is asked
_HEADINGS = ("h1", "h2", "h3")
_NEAR = 8  # text nodes around a title in which a written-out date is its date
_HEADER_WORDS = 60  # of a post's header: title, byline, perhaps a line below it; a longer one holds text
_DATE_WORDS = 6  # a text node of so few that has a date in it says nothing else
_BYLINE_WORDS = 14  # a block with a date in it is a byline up to this length, a sentence beyond
_LONG_BYLINE = 24  # the same where it does not end as a sentence does: author, tags, time to read
_SEPARATOR = re.compile(r"(?:\s+[-|–—·•:»«~]+|:)\s+")  # between the names of a site and of a post
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
    title = title_of(root, url, meta, entry, layout)
    published = meta.published_at or _marked_date(container) or (entry and entry.published_at)
    published = published or path_date(url) or written_date(root, title)
    tags = meta.tags or (entry.tags if entry else ()) or _tags(root)
    markdown, count, linked, stacked = "", 0, 0.0, 0
    if container is not None:
        body = _body(container, layout if fits else None, title)
        linked = sum(words(a) for a in body.iter("a")) / max(1, words(body))
        stacked = _stacked(body)
        if not (fits and layout and layout.exact):
            _trim(body, layout.template if layout else frozenset(), title, url)
        count = words(body)
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
        stacked=stacked,
    )


def _body(container: HtmlElement, layout: Layout | None, title: str) -> HtmlElement:
    """A copy of the container with the text alone in it."""
    copy = deepcopy(container)
    copy.tail = None
    if layout:
        _strip_ends(copy, layout)
    prune(copy, layout.keep if layout else frozenset(), layout.drop if layout else frozenset())
    if not (layout and layout.exact):
        for header in [e for e in copy.iter("header") if words(e) < _HEADER_WORDS]:
            remove(header)
    wanted = compared(title)
    for heading in copy.iter(*_HEADINGS):
        if wanted and compared(_heading_text(heading)) == wanted:
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


def _trim(copy: HtmlElement, template: frozenset[str], title: str, url: str) -> None:
    """Take away what stands before and after the text and says nothing: dates, tags, other posts."""

    def says_nothing(child: HtmlElement) -> bool:
        if child.tag in ("pre", "img", "picture", "figure"):
            return False
        return not any(
            is_own(owner, line, template) or (line not in template and _leads_out(owner, url))
            for owner, text in texts(child)
            if (line := squeeze(text)) and line != title
        )

    while len(copy) and not (copy.text or "").strip() and says_nothing(copy[0]):
        remove(copy[0])
    while len(copy) and not (copy[-1].tail or "").strip() and says_nothing(copy[-1]):
        remove(copy[-1])


def _upwards(element: HtmlElement) -> Iterator[HtmlElement]:
    yield element
    yield from element.iterancestors()


def _leads_out(owner: HtmlElement, url: str) -> bool:
    """Whether a text is a link to another site, which an author may well end with."""
    link = next((a for a in _upwards(owner) if a.tag == "a"), None)
    target = urls.clean(link.get("href") or "", url) if link is not None else None
    return target is not None and not urls.same_site(target, url)


def title_of(
    root: HtmlElement, url: str, meta: Meta, entry: Entry | None = None, layout: Layout | None = None
) -> str:
    """The feed's title; else the heading that is what the page calls itself, or is contained in that.

    Of several the highest and longest counts, and never one that names the site. A page without a title of
    its own has its first heading's.
    """
    if entry and entry.title:
        return entry.title
    said = [s for s in (compared(meta.title), compared(root.findtext(".//title") or "")) if s]
    template = layout.template if layout else frozenset()
    own = [h for h in root.iter(*_HEADINGS) if not _of_site(h, url)]
    named = [(h.tag, text) for h in own if (text := _heading_text(h)) and text not in template]
    if not said:
        return next((text for _, text in named), "")
    exact = [text for _, text in named if compared(text) == said[0]]
    within = [(tag, text) for tag, text in named if any(compared(text) in s for s in said)]
    best = max(within, key=lambda n: (-int(n[0][1]), len(n[1])), default=("", ""))[1]
    return next(iter(exact), "") or best or _part_on_page(root, meta.title) or meta.title


def _part_on_page(root: HtmlElement, said: str) -> str:
    """The longest part of "Site - Title" that stands on the page by itself, where there are no headings."""
    body, parts = root.find("body"), _SEPARATOR.split(said)
    if body is None or len(parts) < 2:
        return ""
    shown = {squeeze(t) for owner, t in texts(body) if not any(True for _ in owner.iterancestors("a"))}
    return max((part for part in parts if part in shown), key=len, default="")


def _heading_text(heading: HtmlElement) -> str:
    """A heading's text without the mark that links to it."""
    marks = {a for a in heading.iter("a") if is_permalink(a)}
    nodes = (t for owner, t in texts(heading) if not marks & {owner, *owner.iterancestors("a")})
    return " ".join("".join(nodes).split())


def _of_site(heading: HtmlElement, url: str) -> bool:
    """Whether a heading names the site: it links to the front page or stands in what is not the post's."""
    links = [a.get("href") for a in heading.iter("a")] + [a.get("href") for a in heading.iterancestors("a")]
    named = f"{heading.get('class') or ''} {heading.get('id') or ''}".lower()
    if re.search(r"\b(?:site|brand|logo|blog-?title)", named):
        return True
    if any(a.tag in ("nav", "aside") or (a.tag == "footer") for a in heading.iterancestors()):
        return True
    targets = (urls.clean(link, url) for link in links if link)
    return any(urlsplit(t).path in ("", "/") and urls.same_site(t, url) for t in targets if t)


def _marked_date(container: HtmlElement | None) -> str | None:
    """The first date marked up as one, in the container or in what is around it up to the article."""
    here, inside = container, container
    while here is not None and here.tag not in ("body", "html"):
        for element in here.iter():
            marked = element.tag in ("time", "abbr") or element.get("itemprop") == "datePublished"
            if marked and not _of_others(element, here):
                said = element.get("datetime") or element.get("content") or element.get("title")
                found = dates.iso(said or "".join(element.itertext()))
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


def written_date(root: HtmlElement, title: str) -> str | None:
    """A date written out in a short block beside the title."""
    page = root.find("body")
    if page is None or not title:
        return None
    nodes = [(owner, text) for owner, text in texts(page) if re.search(r"\w", text)]
    wanted = compared(title)
    same = [n for n, (_, text) in enumerate(nodes) if compared(text) == wanted]
    if not same:
        return None
    headings = (n for n in same if block_of(nodes[n][0]).tag in _HEADINGS)
    unlinked = (n for n in same if not any(a.tag == "a" for a in _upwards(nodes[n][0])))
    at = next(headings, next(unlinked, same[0]))  # a list of recent posts has the title too, as a link
    for owner, text in nodes[at + 1 : at + 1 + _NEAR] + nodes[max(0, at - _NEAR // 2) : at]:
        alone = len(text.split()) <= _DATE_WORDS
        if (found := dates.written(text)) and (alone or _is_byline(block_of(owner))):
            return found
    return None


def _is_byline(block: HtmlElement) -> bool:
    sentence = "".join(block.itertext()).rstrip().endswith((".", "!", "?"))
    return words(block) <= (_BYLINE_WORDS if sentence else _LONG_BYLINE)


def _tags(root: HtmlElement) -> tuple[str, ...]:
    found = [a for a in root.iter("a") if "tag" in (a.get("rel") or "").lower().split()]
    return tuple(text.lstrip("#") for a in found if (text := " ".join("".join(a.itertext()).split())))


def _stacked(body: HtmlElement) -> int:
    """How many articles stand side by side in the text."""
    beside: dict[HtmlElement, int] = {}
    for article in body.iter("article"):
        if (holder := article.getparent()) is not None:
            beside[holder] = beside.get(holder, 0) + 1
    return max(beside.values(), default=0)


def _single_page(root: HtmlElement) -> str:
    import trafilatura

    found = trafilatura.extract(root, output_format="markdown", include_comments=False, favor_precision=True)
    return found or ""
