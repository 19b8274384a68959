"""Feeds: RSS and Atom through feedparser, JSON Feed (jsonfeed.org, version 1) by its own few fields."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import Any

from llm_twin.collect import dates, urls

_XML_FEED = re.compile(rb"<(?:\w+:)?(?:rss|feed|rdf)[\s>]", re.IGNORECASE)
_SNIFF = 2048  # bytes at the start in which a document says what it is


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `html` is the longest body that the feed gives: the whole post, or only its beginning."""

    url: str
    title: str
    published_at: str | None
    author: str | None
    tags: tuple[str, ...]
    html: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: the address of the site it belongs to, and its entries in order."""

    site: str | None
    entries: tuple[Entry, ...]


def is_feed(body: bytes) -> bool:
    """Whether a document is a feed, by its content."""
    start = body[:_SNIFF].lstrip(b"\xef\xbb\xbf \t\r\n")
    return bool(_XML_FEED.search(start)) or (start.startswith(b"{") and b"jsonfeed.org/version" in start)


def parse(body: bytes, url: str) -> Feed:
    """Read a feed that was fetched from `url`; what is broken in it is left out."""
    if body[:_SNIFF].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _json_feed(body, url)
    import feedparser

    found = feedparser.parse(io.BytesIO(body), response_headers={"content-location": url})
    entries = (_entry(raw, url) for raw in found.entries)
    return Feed(urls.clean(found.feed.get("link") or "", url), tuple(e for e in entries if e))


def _entry(raw: Any, base: str) -> Entry | None:
    link = urls.clean(raw.get("feedburner_origlink") or raw.get("link") or "", base)
    if link is None:
        return None
    bodies = [c.get("value") or "" for c in raw.get("content", [])] + [raw.get("summary") or ""]
    published = raw.get("published") or raw.get("created") or raw.get("updated")
    return Entry(
        url=link,
        title=" ".join((raw.get("title") or "").split()),
        published_at=dates.iso(published),
        author=raw.get("author"),
        tags=tuple(t["term"] for t in raw.get("tags", []) if t.get("term")),
        html=max(bodies, key=len),
    )


def _json_feed(body: bytes, base: str) -> Feed:
    try:
        found = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return Feed(None, ())
    if not isinstance(found, dict) or not isinstance(found.get("items"), list):
        return Feed(None, ())
    entries = [_json_entry(i, base) for i in found["items"] if isinstance(i, dict)]
    return Feed(urls.clean(str(found.get("home_page_url") or ""), base), tuple(e for e in entries if e))


def _json_entry(item: dict[str, Any], base: str) -> Entry | None:
    link = urls.clean(str(item.get("url") or ""), base)
    authors = item.get("authors") or [item.get("author") or {}]
    if link is None:
        return None
    first = authors[0] if isinstance(authors, list) and authors and isinstance(authors[0], dict) else {}
    return Entry(
        url=link,
        title=str(item.get("title") or ""),
        published_at=dates.iso(str(item.get("date_published") or "")),
        author=first.get("name"),
        tags=tuple(str(t) for t in item.get("tags") or []),
        html=str(item.get("content_html") or ""),
    )
