"""Sitemaps (sitemaps.org, protocol 0.9): sets, indexes, plain text, gzipped or not."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from llm_twin.collect import urls

_SNIFF = 2048


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Addresses of pages, and of further sitemaps."""

    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]


def is_sitemap(body: bytes) -> bool:
    """Whether a document is an XML sitemap, by its content."""
    start = _unzipped(body[:_SNIFF], _SNIFF)
    return b"<urlset" in start or b"<sitemapindex" in start


def parse(body: bytes, url: str, max_bytes: int) -> Sitemap:
    """Read a sitemap that was fetched from `url`, at most `max_bytes` of it; broken parts are left out."""
    data = _unzipped(body, max_bytes)
    if not is_sitemap(data):
        lines = data.decode("utf-8", "replace").split()
        return Sitemap(_cleaned([line for line in lines if line.startswith("http")], url), ())
    from lxml import etree

    # Entities are left alone: expanding them is how a small file fills a memory.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)
    root = etree.fromstring(data, parser)
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    for element in root.iter("{*}loc") if root is not None else ():
        holder = element.getparent()
        kind = etree.QName(holder).localname if holder is not None else ""
        if kind in found and element.text:
            found[kind].append(element.text)
    return Sitemap(_cleaned(found["url"], url), _cleaned(found["sitemap"], url))


def _cleaned(found: list[str], base: str) -> tuple[str, ...]:
    cleaned = (urls.clean(f.strip(), base) for f in found)
    return tuple(dict.fromkeys(c for c in cleaned if c))


def _unzipped(body: bytes, limit: int) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(body, limit)
    except zlib.error:
        return b""
