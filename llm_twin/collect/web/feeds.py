"""Feeds: RSS, CDF and Atom through feedparser, JSON Feed (jsonfeed.org, versions 1 and 1.1) by its fields."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from llm_twin.collect import dates, jsontext, plaintext, urls, xmltext
from llm_twin.collect.jsontext import dicts, string
from llm_twin.collect.plaintext import one_line

_ROOTS = frozenset({"rss", "feed", "rdf", "channel"})
# The slash is escaped where the feed was written by PHP.
_JSON_VERSION = re.compile(rb"jsonfeed\.org\\?/version")
_BLANK = b"\xef\xbb\xbf \t\r\n"
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
# A body that calls itself plain text and has these in it was written as HTML.
_MARKUP = re.compile(r"</(?:p|a|em|strong|b|i|div|ul|ol|pre|code|blockquote)>|<br ?/?>", re.IGNORECASE)
# Longer words stand in no post; feedparser looks for mailboxes in them, in quadratic time.
_LONG_WORD = re.compile(rb"([\w.+-]{2000})[\w.+-]+")
# How WordPress, Blogger and Disqus name a comment's address.
_COMMENT_LINK = re.compile(r"#comment-?\d|#c\d{6}|[?&]showComment=", re.IGNORECASE)
# How WordPress (in English) and Blogger name a feed of comments, by its title and by its address.
_COMMENTS = re.compile(r"comments (?:on: |for )", re.IGNORECASE)
_COMMENTS_PATH = re.compile(r"/comments(?:/|$)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        url: the address of its page, http or https; in `Feed.loose`, "feed:" and a name that stays the same.
        title: plain text.
        html: the longest body that the feed gives: the whole post, or only its beginning.
    """

    url: str
    title: str
    published_at: str | None
    author: str | None
    tags: tuple[str, ...]
    html: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed.

    Attributes:
        site: the address of the site it belongs to.
        entries: those that have a page, in order.
        loose: those that have no page: what the feed gives of them is all there is.
        comments: addresses of entries that are readers' comments; no more of them is kept.
        next: the feed's next part on the same site (RFC 5005, section 3; `next_url` of JSON Feed).
    """

    site: str | None
    title: str = ""
    entries: tuple[Entry, ...] = ()
    loose: tuple[Entry, ...] = ()
    comments: tuple[str, ...] = ()
    next: str | None = None


def is_feed(body: bytes) -> bool:
    """Whether a document is a feed, by its content."""
    return bool(_JSON_VERSION.search(body)) if _is_object(body) else xmltext.root(body) in _ROOTS


def parse(body: bytes, url: str, content_type: str = "") -> Feed:
    """Read a feed that was fetched from `url`; what is broken in it is left out, and nothing is raised."""
    return _json_feed(body, url) if _is_object(body) else _xml_feed(body, url, content_type)


def _xml_feed(body: bytes, url: str, content_type: str) -> Feed:
    found = _parsed(xmltext.harmless(body, content_type))
    about = found.feed
    author = _author(about)
    entries = []
    for raw in found.entries:
        entry = _entry(raw, url)
        entries.append((replace(entry, author=entry.author or author), _is_comment(raw)))
    later = [link for link in dicts(about.get("links")) if link.get("rel") == "next"]
    return _feed(url, _title(about), about.get("link"), entries, later[0].get("href") if later else None)


def _feed(url: str, title: str, site: Any, found: list[tuple[Entry, bool]], later: Any) -> Feed:
    """A feed of entries, each with whether it is a reader's comment."""
    if _COMMENTS.match(title) or _COMMENTS_PATH.search(urlsplit(url).path):
        found = [(entry, True) for entry, _ in found]
    kept = [entry for entry, comment in found if not comment]
    following = urls.clean(string(later), url)
    return Feed(
        site=urls.clean(string(site), url),
        title=title,
        entries=tuple(e for e in kept if not e.url.startswith("feed:")),
        loose=tuple(e for e in kept if e.url.startswith("feed:")),
        comments=tuple(entry.url for entry, comment in found if comment),
        next=following
        if following and following != urls.clean(url) and urls.same_site(following, url)
        else None,
    )


def _parsed(body: bytes) -> Any:
    import feedparser

    try:
        return feedparser.parse(
            io.BytesIO(_LONG_WORD.sub(rb"\1", body)),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            # Both write the bodies anew with a parser that knows HTML 4 alone, and take most of the time.
            resolve_relative_uris=False,
            sanitize_html=False,
        )
    except Exception:  # what its parser for broken XML raises has no bounds; such a feed gives nothing
        return feedparser.FeedParserDict(feed=feedparser.FeedParserDict(), entries=[])


def _entry(raw: Any, base: str) -> Entry:
    title, published = _title(raw), _published(raw)
    summary = dicts([raw.get("summary_detail")]) or [{"value": raw.get("summary")}]
    body = max((_html(b) for b in (*dicts(raw.get("content")), *summary)), key=len)
    return Entry(
        url=_page(raw, base) or _address(base, string(raw.get("id")), title, published, body),
        title=title,
        published_at=published,
        author=_author(raw),
        tags=tuple(term for t in dicts(raw.get("tags")) if (term := string(t.get("term")))),
        html=body,
    )


def _page(raw: Any, base: str) -> str | None:
    """The address of an entry's page: what it calls its own, best as HTML; or an id that is an address."""
    own = [link for link in dicts(raw.get("links")) if link.get("rel") == "alternate"]
    pages = [link.get("href") for link in own if link.get("type") in _HTML_TYPES]
    said = [raw.get("feedburner_origlink"), *pages, *(link.get("href") for link in own)]
    cleaned = [urls.clean(string(address), base) for address in said]
    # An id is no address relative to another: most ids that are none would look like one.
    return next((c for c in (*cleaned, urls.clean(string(raw.get("id")))) if c), None)


def _address(base: str, key: str, title: str, published: str | None, body: str) -> str:
    """A name for an entry without a page; it stays the same where the feed moves within its site."""
    key = key or (f"{published} {title}" if published or title else body)
    return f"feed:{urlsplit(base).netloc}/{sha256(key.encode()).hexdigest()[:12]}"


def _is_comment(raw: Any) -> bool:
    return "thr_in-reply-to" in raw or bool(_COMMENT_LINK.search(string(raw.get("link"))))


def _title(raw: Any) -> str:
    title = string(raw.get("title"))
    kind = next((d.get("type") for d in dicts([raw.get("title_detail")])), None)
    return one_line(title) if kind == "text/plain" else plaintext.of_html(title)


def _published(raw: Any) -> str | None:
    """The date as it is written, with its time zone; as feedparser reads it where it is written oddly."""
    for key in ("published", "created", "updated"):
        # Asked for a date that an entry has not, feedparser gives another, with a warning.
        if key in raw and (text := string(raw[key])):
            found = dates.iso(text)
            if found is None or ("T" not in found and ":" in text):
                found = dates.of_utc(raw.get(f"{key}_parsed")) or found
            if found:
                return found
    return None


def _author(raw: Any) -> str | None:
    """The authors' names; the address of a mailbox is no name."""
    several = [string(a.get("name")) for a in dicts(raw.get("authors"))]
    alone = [string(a.get("name")) for a in dicts([raw.get("author_detail")])] + [string(raw.get("author"))]
    found = (plaintext.names(n for n in named if "@" not in n) for named in (several, alone))
    return next(filter(None, found), None)


def _html(body: dict[str, Any]) -> str:
    value, kind = string(body.get("value")), string(body.get("type")) or "text/html"
    if kind in _HTML_TYPES or _MARKUP.search(value):
        return value
    return plaintext.to_html(value) if kind.startswith("text/") else ""


def _json_feed(body: bytes, url: str) -> Feed:
    found = jsontext.load(body)
    if not isinstance(found, dict):
        return Feed(None)
    author = _json_author(found)
    entries = [(_json_entry(item, url, author), False) for item in dicts(found.get("items"))]
    title = one_line(string(found.get("title")))
    return _feed(url, title, found.get("home_page_url"), entries, found.get("next_url"))


def _json_entry(item: dict[str, Any], base: str, author: str | None) -> Entry:
    title = one_line(string(item.get("title")))
    published = dates.iso(string(item.get("date_published")) or string(item.get("date_modified")))
    text = string(item.get("content_text")) or string(item.get("summary"))
    body = string(item.get("content_html")) or plaintext.to_html(text)
    key = item.get("id")
    key = str(key) if isinstance(key, int) else string(key)  # version 1 let it be a number
    page = urls.clean(string(item.get("url")), base) or urls.clean(key)
    tags = item.get("tags")
    return Entry(
        url=page or _address(base, key, title, published, body),
        title=title,
        published_at=published,
        author=_json_author(item) or author,
        tags=tuple(t for tag in tags if (t := string(tag))) if isinstance(tags, list) else (),
        html=body,
    )


def _json_author(item: dict[str, Any]) -> str | None:
    """The authors' names; version 1 has one `author`, version 1.1 a list."""
    found = [*dicts(item.get("authors")), *dicts([item.get("author")])]
    return plaintext.names(string(a.get("name")) for a in found)


def _is_object(body: bytes) -> bool:
    return body[:64].lstrip(_BLANK).startswith(b"{")
