"""Ghost's export (Settings > Labs): one JSON file with the tables of its database.

Published posts count, those for members and for paying ones too: their author has published them. Pages,
drafts and letters that were only mailed are counted as refused. The tables of members are never looked at.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from llm_twin.collect import dates, item, urls
from llm_twin.collect.exports import bodies, koenig
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.exports.files import candidates
from llm_twin.collect.item import Export, Item, Rejected

Row = Mapping[str, Any]
Tables = Mapping[str, list[Row]]

_OF_GHOST = frozenset({"mobiledoc", "lexical", "html", "markdown"})  # columns of a post, by version
_UNPUBLISHED = {"draft": "draft", "scheduled": "scheduled", "sent": "only mailed"}


def read(archive: Archive) -> Export | None:
    """The posts of a Ghost export, in the order of its table; None where there is none."""
    for _, content in candidates(archive, ".json"):
        tables = _tables(content)
        if tables:
            site, title = _site(tables)
            # An export holds the whole table of posts; where nothing names the blog, it may be any.
            complete = bool(site or title)
            return Export(f"ghost:{site or title or archive.label}", complete, _items(tables, site))
    return None


def _tables(content: bytes) -> Tables:
    """The tables of an export, rows that are none left out; {} for another file."""
    if b'"posts"' not in content:
        return {}
    try:
        found = json.loads(content.decode("utf-8-sig", "replace"))
        top = found["db"][0] if isinstance(found.get("db"), list) else found
        data = top["data"]
        tables: dict[str, list[Row]] = {
            k: [r for r in v if isinstance(r, dict)] for k, v in data.items() if isinstance(v, list)
        }
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return {}
    posts = tables.get("posts", [])
    return tables if posts and "slug" in posts[0] and _OF_GHOST & set(posts[0]) else {}


def _site(tables: Tables) -> tuple[str | None, str]:
    """The site's address, which some exports hold among the settings, and its title."""
    settings = {str(r.get("key")): str(r.get("value") or "") for r in tables.get("settings", [])}
    return urls.clean(settings.get("url") or settings.get("site_url") or ""), settings.get("title", "")


def _items(tables: Tables, site: str | None) -> Iterator[Item]:
    tags = _names(tables, "posts_tags", "tag_id", "tags")
    authors = _names(tables, "posts_authors", "author_id", "users")
    users = {str(r.get("id")): str(r.get("name") or "") for r in tables.get("users", [])}
    for row in tables["posts"]:
        key = str(row.get("id"))
        author = ", ".join(authors[key]) or users.get(str(row.get("author_id"))) or None
        yield _read(row, site, author, [t for t in tags[key] if not t.startswith("#")])  # "#": internal


def _names(tables: Tables, join: str, column: str, table: str) -> dict[str, list[str]]:
    """Names of a post's tags or authors by the post's id, in their order."""
    named = {str(r.get("id")): str(r.get("name") or "") for r in tables.get(table, [])}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in sorted(tables.get(join, []), key=lambda r: _order(r.get("sort_order"))):
        if name := named.get(str(row.get(column))):
            found[str(row.get("post_id"))].append(name)
    return found


def _order(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _read(row: Row, site: str | None, author: str | None, tags: list[str]) -> Item:
    slug = str(row.get("slug") or row.get("id"))
    # A canonical address may be that of someone's public post, which a draft takes nothing back of.
    where = (urls.clean(f"{slug}/", site) if site else None) or f"ghost:{slug}"
    if row.get("type") == "page" or row.get("page") in (1, True):
        return Rejected(where, "page")
    if (status := row.get("status")) != "published":
        return Rejected(where, _UNPUBLISHED.get(str(status), "draft"))
    try:
        markdown = _markdown(row)
    except koenig.Broken:
        return Rejected(where, "broken record")
    if not markdown:
        return Rejected(where, "no text")
    return item.post(
        urls.clean(str(row.get("canonical_url") or "")) or where,
        " ".join(str(row.get("title") or "").split()),
        markdown,
        _date(row.get("published_at")),
        author=author,
        tags=tags,
    )


def _markdown(row: Row) -> str:
    """The body from the first of its forms that has one. Raises koenig.Broken."""
    for column, convert in (
        ("html", bodies.to_markdown),
        ("lexical", koenig.lexical),
        ("mobiledoc", koenig.mobiledoc),
    ):
        content = row.get(column)
        if isinstance(content, str) and content.strip() and (found := convert(content)):
            return found
    return ""


def _date(value: Any) -> str | None:
    if isinstance(value, int):  # milliseconds, before Ghost 1
        try:
            return datetime.fromtimestamp(value / 1000, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return None
    return dates.iso(value) if isinstance(value, str) else None
