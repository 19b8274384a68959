"""Sitemaps (sitemaps.org, protocol 0.9): sets, indexes, plain text and feeds, gzipped or not."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from llm_twin.collect import urls, xmltext
from llm_twin.collect.web import feeds

_HEAD = 65_536  # bytes in which a document says what it is
_GZIP = b"\x1f\x8b"
_STEP = 65_536  # bytes that are unzipped at once: what was read before the file broke is kept
_ROOTS = frozenset({"urlset", "sitemapindex"})


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Addresses of pages, and of further sitemaps."""

    pages: tuple[str, ...] = ()
    sitemaps: tuple[str, ...] = ()


def is_sitemap(body: bytes) -> bool:
    """Whether a document is an XML sitemap, by its content."""
    return xmltext.root(_unzipped(body, _HEAD)) in _ROOTS


def parse(body: bytes, url: str, max_bytes: int) -> Sitemap:
    """Read a sitemap that was fetched from `url`, at most `max_bytes` of it; broken parts are left out."""
    data = _unzipped(body, max_bytes)
    if xmltext.root(data) in _ROOTS:
        return _xml(data, url)
    if feeds.is_feed(data):
        return Sitemap(tuple(dict.fromkeys(e.url for e in feeds.parse(data, url).entries)))
    text = xmltext.decode(data).strip()
    # A page may stand where a sitemap was looked for; the addresses in its scripts are not the site's.
    lines = [] if text.startswith("<") else [line.strip() for line in text.splitlines()]
    return Sitemap(_cleaned([line for line in lines if re.fullmatch(r"https?://\S+", line)], url))


def _xml(data: bytes, url: str) -> Sitemap:
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    root = etree.fromstring(xmltext.harmless(data), parser)
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    for element in root.iter("{*}loc") if root is not None else ():
        holder = element.getparent()  # a page's images and videos have a `loc`, too
        kind = etree.QName(holder).localname if holder is not None else ""
        if kind in found and element.text:
            found[kind].append(element.text)
    return Sitemap(_cleaned(found["url"], url), _cleaned(found["sitemap"], url))


def _cleaned(found: list[str], base: str) -> tuple[str, ...]:
    cleaned = (urls.clean(f.strip(), base) for f in found)
    return tuple(dict.fromkeys(c for c in cleaned if c))


def _unzipped(body: bytes, limit: int) -> bytes:
    """At most `limit` bytes of a document; of a broken gzip file, what stands before the break."""
    if not body.startswith(_GZIP):
        return body[:limit]
    read = bytearray()
    unzip = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        while len(read) < limit and not unzip.eof:
            step = unzip.decompress(body, min(_STEP, limit - len(read)))
            if not step:
                break
            read += step
            body = unzip.unconsumed_tail
    except zlib.error:
        pass
    return bytes(read)
