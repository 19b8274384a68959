"""HTML files: a saved page, or the folder of a built site, read as the collector reads a site.

Where the pages or the feeds in a folder say what address the site has, its posts get the identity that a
crawl would give them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from llm_twin.collect import urls
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.item import Export, Item, Rejected, post
from llm_twin.collect.pages import page, reading
from llm_twin.collect.web import feeds
from llm_twin.collect.web.feeds import Entry

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_MAX_BYTES = 10_000_000  # as collect.max_bytes
_NOWHERE = "http://folder.invalid"  # RFC 2606: the base of pages that name none
_ASKED = 40  # pages that are asked for the site's address
_quoted = partial(quote, errors="surrogateescape")  # names of files need not be UTF-8


def read(archive: Archive) -> Export | None:
    """The posts of HTML files; None where there are none."""
    names = [n for n in archive.names if PurePosixPath(n).suffix.lower() in (".html", ".htm", ".xhtml")]
    if not names:
        return None
    # Not the name that the same folder has for Markdown: its posts are others, and miss none of those.
    return Export(f"html:{archive.path.resolve()}", archive.path.is_dir(), _items(archive, names))


def _items(archive: Archive, names: list[str]) -> Iterator[Item]:
    entries = _entries(archive)
    base = _base(archive, names, entries)
    files = {base + _quoted(f"/{name}" if base == _NOWHERE else _path(name)): name for name in names}
    unreadable: dict[str, str] = {}

    def tree(url: str) -> HtmlElement | None:
        try:
            body = archive.read(files[url], _MAX_BYTES)
        except Unreadable as error:
            unreadable[url] = str(error)
            return None
        return page.parse(page.decode(body)) if page.is_html(body, "") else None

    alone = not archive.path.is_dir() and len(names) == 1
    pages, refused = (list(files), []) if alone else reading.candidates(list(files), entries)
    for each in [*refused, *reading.read(pages, entries, tree, vouched=alone)]:
        yield _at_home(each, base, archive.label, unreadable)


def _at_home(each: Item, base: str, label: str, unreadable: dict[str, str]) -> Item:
    """An item whose address is that of its file, where its site is not known."""
    if isinstance(each, Rejected):
        where = each.where.replace(f"{_NOWHERE}/", f"file:{label}/", 1)
        return Rejected(where, unreadable.get(each.where, each.reason))
    if base != _NOWHERE or not each.url.startswith(f"{_NOWHERE}/"):
        return each
    address = each.url.replace(f"{_NOWHERE}/", f"file:{label}/", 1)
    return post(address, each.title, each.markdown, each.published_at, each.kind, each.author, each.tags)


def _entries(archive: Archive) -> dict[str, Entry]:
    """What the feeds in the folder say, by canonical url."""
    found: dict[str, Entry] = {}
    for name in archive.names:
        if PurePosixPath(name).suffix.lower() not in (".xml", ".rss", ".atom", ".json"):
            continue
        try:
            body = archive.read(name, _MAX_BYTES)
        except Unreadable:
            continue
        if feeds.is_feed(body):
            for entry in feeds.parse(body, f"{_NOWHERE}/{_quoted(name)}").entries:
                found.setdefault(urls.canonical(entry.url), entry)
    return found


def _base(archive: Archive, names: list[str], entries: dict[str, Entry]) -> str:
    """The address that the folder's top has on the web: said by a feed's entry or a page's canonical link."""
    paths = {_path(name): name for name in names}
    for entry in entries.values():
        split = urlsplit(entry.url)
        if (
            split.netloc != urlsplit(_NOWHERE).netloc
            and {split.path, split.path.rstrip("/") + "/"} & paths.keys()
        ):
            return f"{split.scheme}://{split.netloc}"
    for path, name in list(paths.items())[:_ASKED]:
        try:
            body = archive.read(name, _MAX_BYTES)
        except Unreadable:
            continue
        root = page.parse(page.decode(body))
        said = page.read_meta(root, f"{_NOWHERE}{path}").canonical if root is not None else None
        if said and urlsplit(said).netloc != urlsplit(_NOWHERE).netloc:
            split = urlsplit(said)
            if split.path.rstrip("/") == _quoted(path).rstrip("/").removesuffix(".html"):
                return f"{split.scheme}://{split.netloc}"
    return _NOWHERE


def _path(name: str) -> str:
    """The path at which a server shows a file."""
    return "/" + re.sub(r"(^|/)index\.x?html?$", r"\1", name)
