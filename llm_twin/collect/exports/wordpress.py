"""WordPress eXtended RSS (WXR), the files that Tools > Export writes.

Each item is parsed on its own, without any document type in reach: a broken one costs only itself, and no
entity can grow. Posts count; pages, attachments and the types of plugins do not. Comments stand inside of the
items and are never looked at.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from llm_twin.collect import dates, item, plaintext, urls, xmltext
from llm_twin.collect.exports import bodies, classic
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.files import HEAD_BYTES, decode, heads
from llm_twin.collect.item import WITHDRAWN, Export, Item, Rejected, Withdrawn
from llm_twin.contracts.records import Post

if TYPE_CHECKING:
    from lxml.etree import _Element

_WXR = re.compile(rb"<rss\b[^>]*xmlns:wp\s*=\s*[\"']https?://wordpress\.org/export/")
_ROOT = re.compile(rb"<rss\b[^>]*>")
_PARTS = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<item[\s>]|</item\s*>", re.DOTALL)
_ENCODING = re.compile(rb"\s*<\?xml[^>]{0,100}\bencoding\s*=\s*[\"']([\w.:-]+)")
_MAX_ITEM = 10_000_000  # bytes of one item
_UNPUBLISHED = {
    "draft": "draft",
    "auto-draft": "draft",
    "pending": "draft",
    "future": "scheduled",
    "private": "private",
    "trash": "trash",
}


@dataclass(frozen=True, slots=True)
class _Site:
    """What the head of a file says: the site's address, and its authors' names by login."""

    url: str | None
    authors: Mapping[str, str]


def read(archive: Archive) -> Export | None:
    """The posts of all WXR files in an archive; None where there are none."""
    sites = {name: _site(_utf8(head)).url for name, head in heads(archive, ".xml") if _WXR.search(head)}
    if not sites:
        return None
    url = next(filter(None, sites.values()), None)
    # A WXR file does not say whether it was limited to a category, an author or some months.
    return Export(f"wordpress:{url or archive.label}", False, _items(archive, list(sites)))


def _items(archive: Archive, names: list[str]) -> Iterator[Item]:
    for name in names:
        try:
            content = _utf8(archive.read(name))
        except Unreadable as unreadable:
            yield Rejected(name, str(unreadable))
            continue
        root = _ROOT.search(content[:HEAD_BYTES])
        assert root is not None  # `read` has looked
        if re.search(rb"<!(?:DOCTYPE|ENTITY)", content[: root.start()], re.IGNORECASE):
            yield Rejected(name, "XML with a document type")  # WordPress writes none
            continue
        site = _site(content)
        for number, raw in enumerate(_raw_items(content), 1):
            yield _read(raw, root[0], site, f"{name}#{number}")


def _utf8(content: bytes) -> bytes:
    """A file in the encoding that it declares, to UTF-8: old blogs have others."""
    declared = _ENCODING.match(content)
    try:
        codec = codecs.lookup(declared[1].decode()).name if declared else "utf-8"
    except LookupError:
        return content
    return content if codec == "utf-8" else content.decode(codec, "replace").encode("utf-8", "replace")


def _raw_items(content: bytes) -> Iterator[bytes | None]:
    """The items as they stand in the file; None for one without an end."""
    start: int | None = None
    for part in _PARTS.finditer(content):
        if part[0].startswith(b"<!"):
            continue
        if start is not None and not part[0].startswith(b"</"):
            yield None
            start = part.start()
        elif part[0].startswith(b"</"):
            if start is not None:
                yield content[start : part.end()]
            start = None
        else:
            start = part.start()
    if start is not None:
        yield None


def _parse(raw: bytes, root: bytes) -> _Element | None:
    """The tree of a part of a file, below the file's own root for its namespaces."""
    from lxml import etree

    text = xmltext.ILLEGAL.sub("", decode(root) + decode(raw) + "</rss>")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, recover=True
    )
    try:
        return etree.fromstring(text.encode("utf-8", "replace"), parser)
    except etree.XMLSyntaxError:
        return None


def _site(content: bytes) -> _Site:
    first = re.search(rb"<item[\s>]", content)
    head = content[: first.start()] if first else content
    root = _ROOT.search(head)
    tree = _parse(head[root.end() :], root[0]) if root else None
    if tree is None:
        return _Site(None, {})
    channel = next((_fields(e) for e in tree if e.tag == "channel"), {})
    named = [_fields(e) for e in tree.iter() if _name(e) == "wp:author"]
    url = urls.clean(channel.get("link") or channel.get("wp:base_blog_url") or "")
    return _Site(url, {a.get("wp:author_login", ""): a.get("wp:author_display_name", "") for a in named})


def _name(element: _Element) -> str:
    local = str(element.tag).rpartition("}")[2]
    return f"{element.prefix}:{local}" if element.prefix else local


def _fields(element: _Element) -> dict[str, str]:
    """Texts of an element's children by name with prefix; the first of each name."""
    found: dict[str, str] = {}
    for child in element.iterchildren("*"):
        found.setdefault(_name(child), "".join(child.itertext()).strip())
    return found


def _read(raw: bytes | None, root: bytes, site: _Site, where: str) -> Item:
    if raw is None:
        return Rejected(where, "cut off")
    if len(raw) > _MAX_ITEM:
        return Rejected(where, "too large")
    tree = _parse(raw, root)
    element = next((e for e in tree if e.tag == "item"), None) if tree is not None else None
    fields = _fields(element) if element is not None else {}
    where = fields.get("link") or where
    if element is None or not fields.get("wp:post_type"):
        return Rejected(where, "broken XML")
    address = _address(fields, site)
    reason = _why_not(fields)
    if reason and reason not in WITHDRAWN:
        return Rejected(address, reason)
    body = classic.to_html(fields.get("content:encoded", "")) + _footnotes(element)
    markdown = bodies.to_markdown(body)
    title = plaintext.without_tags(fields.get("title", ""))
    if reason:  # drafts and the trash have addresses of their own, such as "/?p=12"
        return Withdrawn(address, reason, Post.revision_of(title, markdown))
    if not markdown:
        return Rejected(where, "no text")
    return item.post(
        address,
        title,
        markdown,
        _published(fields),
        kind="post" if title else "note",
        author=_author(element, fields, site),
        tags=[
            plaintext.without_tags(tag)
            for tag in _categories(element, "post_tag", "category")
            if tag != "Uncategorized"
        ],
    )


def _why_not(fields: Mapping[str, str]) -> str | None:
    kind = fields["wp:post_type"]
    if kind != "post":
        return kind if kind in ("page", "attachment") else "not a post"
    status = fields.get("wp:status", "")
    if status != "publish":
        return _UNPUBLISHED.get(status, "draft")
    return "private" if fields.get("wp:post_password") else None


def _address(fields: Mapping[str, str], site: _Site) -> str:
    base = site.url or ""
    link = urls.clean(fields.get("link", ""), base) if fields.get("link") else None
    # WordPress answers at this address whatever the permalinks are.
    number = fields.get("wp:post_id", "")
    short = urls.clean(f"{base.rstrip('/')}/?p={number}") if base else None
    return link or urls.clean(fields.get("guid", "")) or short or f"wordpress:{number}"


def _published(fields: Mapping[str, str]) -> str | None:
    gmt = fields.get("wp:post_date_gmt", "")
    found = dates.iso(f"{gmt}+00:00") if re.fullmatch(r"[1-9]\d{3}-\d\d-\d\d \d\d:\d\d:\d\d", gmt) else None
    return found or dates.iso(fields.get("pubDate")) or dates.iso(fields.get("wp:post_date"))


def _author(element: _Element, fields: Mapping[str, str], site: _Site) -> str | None:
    """The display names of who wrote it; the plugin Co-Authors Plus names several as categories."""
    if several := list(dict.fromkeys(_categories(element, "author"))):
        return ", ".join(several)
    login = fields.get("dc:creator", "")
    name = site.authors.get(login) or login
    return name if name and "@" not in name else None  # an e-mail address is no name


def _categories(element: _Element, *domains: str) -> list[str]:
    found = (e for e in element.iterchildren("category") if e.get("domain") in domains)
    return [text for e in found if (text := "".join(e.itertext()).strip())]


def _footnotes(element: _Element) -> str:
    """The notes of the block editor, which lie beside the content."""
    for meta in element.iterchildren("*"):
        fields = _fields(meta) if _name(meta) == "wp:postmeta" else {}
        if fields.get("wp:meta_key") == "footnotes":
            try:
                notes = json.loads(fields.get("wp:meta_value", ""))
                lines = [f'<li id="{escape(str(n["id"]))}">{n["content"]}</li>' for n in notes]
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
            return f"<ol>{''.join(lines)}</ol>"
    return ""
