"""An HTML page as a tree, read the way browsers read it, and what the page says about itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from llm_twin.collect import dates, plaintext, urls
from llm_twin.collect.pages import charset, maths
from llm_twin.collect.pages.charset import decode as decode  # decoding is how reading a page begins

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_REFRESH_TO = re.compile(r"^\s*(\d{1,9})(?:\.\d*)?\s*[;,]\s*url\s*=\s*[\"']?([^\"'\s]*)", re.IGNORECASE)
_SOON = 10  # seconds; a page that sends its reader on later is one to read
MAX_DEPTH = 128  # levels; browsers stop at 512, and Python at 1000 frames, a walk's and its caller's
_PARSER_DEPTH = 2048  # libxml2's bound
_MOST_TAGS = 200_000  # of a page; a long post has thousands, and each costs microseconds in every pass
_SNIFF = 1445  # bytes in which binary content is looked for (MIME Sniffing standard, 5.2)
_BINARY = re.compile(b"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")  # the standard's "binary data bytes"
_MOST_BINARY = 0.01  # of them, from broken text; compressed and compiled data have a tenth
_SIGNATURES = (b"%PDF-", b"%!PS")  # binary formats that begin with text
_HEAD = frozenset({"title", "meta", "link", "script", "style", "base", "noscript", "template"})
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
ARTICLE_TYPES = frozenset(
    {"article", "blogposting", "newsarticle", "techarticle", "socialmediaposting", "report"}
)
# One entry on a page: microformats2, and hAtom before it.
_ENTRIES = tuple(
    f"//*[contains(@class, '{name}') and contains(concat(' ', @class, ' '), ' {name} ')]"
    for name in ("h-entry", "hentry")
)
_ANY_ENTRY = "boolean(//@class[contains(., 'entry')])"  # most pages have none: one search for two
LISTING_TYPES = frozenset({"collectionpage", "searchresultspage", "profilepage", "aboutpage", "contactpage"})


class Unreadable(Exception):
    """A page of which there is no tree; the message is the reason for a `Rejected`."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What a page says of itself.

    Attributes:
        kinds: lower-case types of JSON-LD, microdata, og:type ("article") and microformats ("h-entry").
        published_at: from data meant for machines (JSON-LD, meta elements), ISO 8601.
        canonical: the address that the page calls its own, if any.
        refresh: where the page only sends its reader on to; its own address where that is none of the web.
        unlisted: the page asks not to be indexed.
    """

    title: str
    kinds: frozenset[str]
    published_at: str | None
    author: str | None
    tags: tuple[str, ...]
    canonical: str | None
    refresh: str | None
    unlisted: bool


def is_html(body: bytes, content_type: str) -> bool:
    """Whether an answer is a page: by its type where one is given, and never with binary content."""
    kind = content_type.split(";")[0].strip().lower()
    if kind and kind not in ("text/html", "application/xhtml+xml"):
        return False
    if charset.is_utf16(body, content_type):
        return True
    start = body[:_SNIFF]
    return not start.startswith(_SIGNATURES) and len(_BINARY.findall(start)) <= _MOST_BINARY * len(start)


def parse(text: str) -> HtmlElement | None:
    """The tree of a page, as `tree_of` gives it; None where that gives none."""
    try:
        return tree_of(text)
    except Unreadable:
        return None


def tree_of(text: str) -> HtmlElement:
    """The tree of a page.

    What is nested more than `MAX_DEPTH` deep becomes siblings, as in browsers, so that all that walks over a
    tree may recurse. Raises Unreadable where nothing is in it, where it has too many elements, and where it
    is nested so deeply that the parser gives up and would leave out its end.
    """
    from lxml import etree, html

    cleaned = _NOT_TEXT.sub("", text)
    if cleaned.count("<") > _MOST_TAGS:
        raise Unreadable("too many elements")
    # huge_tree: libxml2 would else give up at 256 levels, which old pages with unclosed <font>s reach.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    # lxml.html would call Python for each element that is met, to give forms and labels their own classes.
    parser.set_element_class_lookup(etree.ElementDefaultClassLookup(element=html.HtmlElement))
    try:
        root = html.document_fromstring(cleaned.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        raise Unreadable("empty page") from None
    _flatten(root)
    _open_body(root)
    for embed in list(root.iter("embed")):
        embed.drop_tag()  # it has no end; the parser puts all that follows into it
    maths.restore(root)
    return root


def _flatten(root: HtmlElement) -> None:
    from lxml import etree

    if not root.xpath("/*" * (MAX_DEPTH + 1)):
        return
    level, deepest, tops = 0, 0, []
    for event, element in etree.iterwalk(root, events=("start", "end")):
        level += 1 if event == "start" else -1
        deepest = max(deepest, level)
        if event == "end" and level == MAX_DEPTH - 1 and len(element):
            tops.append(element)
    if deepest >= _PARSER_DEPTH:
        raise Unreadable("nested too deeply")
    for top in tops:
        inside: list[HtmlElement] = []
        after: list[str] = []
        for event, element in etree.iterwalk(top, events=("start", "end")):
            if event == "start":
                inside.append(element)
                after.append("")
            elif element is not top:
                after[-1] += element.tail or ""
        for element, tail in zip(inside[:0:-1], after[:0:-1], strict=True):
            element.tail = tail
            top.insert(0, element)  # from the last on, so that each is moved without what was below it


def _open_body(root: HtmlElement) -> None:
    """Move what the parser left in the head into the body.

    A page may leave out its body tag; libxml2 then does not know that `<main>` or `<article>` begin the body.
    """
    head, body = root.find("head"), root.find("body")
    stray = next((n for n, e in enumerate(head) if e.tag not in _HEAD), None) if head is not None else None
    if body is None:
        body = root.makeelement("body")
        root.append(body)
    if head is not None and stray is not None:
        body[:0] = list(head[stray:])


def links(root: HtmlElement, url: str) -> list[str]:
    """Addresses that the page leads to, cleaned, in order, each once; links marked nofollow are left out."""
    base = base_of(root, url)
    found = [a.get("href") for a in root.iter("a", "area") if _may_follow(a)]
    found += [link.get("href") for link in root.iter("link") if _rel(link) in ("canonical", "next", "prev")]
    found += [m[2] for meta in root.iter("meta") if (m := _REFRESH_TO.search(meta.get("content") or ""))]
    return list(dict.fromkeys(link for f in found if f and (link := urls.clean(f, base))))


def feed_links(root: HtmlElement, url: str) -> list[str]:
    """Feeds that the page's head names."""
    base = base_of(root, url)
    named = (
        urls.clean(link.get("href"), base)
        for link in root.iter("link")
        if "alternate" in (link.get("rel") or "").lower().split()
        and re.search(r"rss|atom|feed\+json", link.get("type") or "", re.IGNORECASE)
        and link.get("href")
        and "comments" not in (link.get("href") or "")
    )
    return list(dict.fromkeys(n for n in named if n))


def base_of(root: HtmlElement, url: str) -> str:
    """The address that relative links stand on."""
    for base in root.iter("base"):
        if base.get("href"):
            return urls.clean(base.get("href"), url) or url
    return url


def read_meta(root: HtmlElement, url: str) -> Meta:
    """What the page says of itself, in JSON-LD, meta elements and link relations."""
    tags = {_key(m): (m.get("content") or "").strip() for m in reversed(list(root.iter("meta"))) if _key(m)}
    data = list(_linked_data(root))
    articles = [d for d in data if _types(d) & ARTICLE_TYPES]
    kinds = {t for d in data for t in _types(d)} | (
        {tags["og:type"].lower()} if tags.get("og:type") else set()
    )
    if root.xpath(_ANY_ENTRY) and any(len(root.xpath(entry)) == 1 for entry in _ENTRIES):
        kinds.add("h-entry")
    marked = [str(types) for types in root.xpath("//@itemtype")]
    if len(types := [t for m in marked if (t := m.rsplit("/", 1)[-1].lower()) in ARTICLE_TYPES]) == 1:
        kinds.update(types)
    first = articles[0] if articles else {}
    published = [first.get("datePublished"), *(tags.get(k) for k in _DATE_KEYS)]
    canonical = next((link.get("href") for link in root.iter("link") if _rel(link) == "canonical"), None)
    base = base_of(root, url)
    return Meta(
        title=_squeeze(first.get("headline") or tags.get("og:title") or root.findtext(".//title") or ""),
        kinds=frozenset(kinds),
        published_at=next((d for p in published if isinstance(p, str) and (d := dates.iso(p))), None),
        author=_name(first.get("author")) or tags.get("author") or None,
        tags=tuple(
            m.get("content") for m in root.iter("meta") if _key(m) == "article:tag" and m.get("content")
        ),
        canonical=urls.clean(canonical, base) if canonical else None,
        refresh=_sends_on(tags.get("refresh", ""), base, url),
        unlisted="noindex" in tags.get("robots", "").lower(),
    )


def path_date(url: str) -> str | None:
    """The date in the path of a page's address."""
    return dates.in_path(urlsplit(url).path)


_DATE_KEYS = (
    "article:published_time",
    "og:published_time",
    "datepublished",
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.created",
    "dcterms.date",
    "pubdate",
    "publish_date",
    "citation_publication_date",
)


def _may_follow(a: HtmlElement) -> bool:
    return "nofollow" not in (a.get("rel") or "").lower().split()


def _rel(link: HtmlElement) -> str:
    return (link.get("rel") or "").strip().lower()


def _key(meta: HtmlElement) -> str:
    return (
        meta.get("property") or meta.get("name") or meta.get("itemprop") or meta.get("http-equiv") or ""
    ).lower()


def _sends_on(refresh: str, base: str, url: str) -> str | None:
    found = _REFRESH_TO.search(refresh)
    return (urls.clean(found[2], base) or url) if found and int(found[1]) <= _SOON else None


def _linked_data(root: HtmlElement) -> Iterator[dict[str, Any]]:
    for script in root.iter("script"):
        if (script.get("type") or "").strip().lower() != "application/ld+json":
            continue
        try:
            data = json.loads(script.text or "")
        except (ValueError, RecursionError):
            continue
        for item in data if isinstance(data, list) else [data]:
            if isinstance(item, dict):
                graph = item.get("@graph")
                yield from (g for g in graph if isinstance(g, dict)) if isinstance(graph, list) else (item,)


def _types(data: dict[str, Any]) -> set[str]:
    found = data.get("@type")
    return {str(t).lower() for t in (found if isinstance(found, list) else [found]) if t}


def _name(author: Any) -> str | None:
    found = author if isinstance(author, list) else [author]
    return plaintext.names(a.get("name") if isinstance(a, dict) else a for a in found)


def _squeeze(text: Any) -> str:
    return " ".join(str(text).split())
