"""Substack's export: posts.csv with a row for each post, and posts/<post_id>.html with its body.

A row's `post_id` is "<number>.<slug>". The export names its publication nowhere, but the buttons in the
bodies lead to it; with it a post's address is "<publication>/p/<slug>", as on the web. Lists of subscribers
and of who opened what lie in the same archive, and are never read.

Posts for paying readers are taken as well: their author has published them, to everyone who subscribes.
"""

from __future__ import annotations

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from llm_twin.collect import dates, item, urls
from llm_twin.collect.exports import bodies
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.files import decode
from llm_twin.collect.item import WITHDRAWN, Export, Item, Rejected

Row = dict[str, str]

_COLUMNS = frozenset({"post_id", "post_date", "is_published", "title"})
_MAX_BYTES = 5_000_000  # a longer body is no post
_NEWEST = 30  # posts whose buttons are asked for the publication's address
_TEXT_TYPES = frozenset({"newsletter", "podcast", "thread", "video", ""})
_AUDIENCES = frozenset({"everyone", "only_paid", "only_free", "founding", ""})
_ID = re.compile(r"\d+(?:\.(?P<slug>.+))?")
_LINK = re.compile(r"https?://([^\s\"'<>&?#/\[\]]{1,253})(/[^\s\"'<>&?#]{0,500})")


def read(archive: Archive) -> Export | None:
    """The posts of an export, in the order of its rows; None where no posts.csv is in it."""
    for name in archive.find("posts*.csv"):
        try:
            rows = _rows(decode(archive.read(name)))
        except Unreadable:
            continue
        if rows is not None:
            folder = PurePosixPath(name).parent
            files = {
                path.stem: n
                for n in archive.names
                if (path := PurePosixPath(n)).suffix == ".html" and path.is_relative_to(folder)
            }
            publication = _publication(archive, rows, files)
            # An export holds every post of the publication, and cannot be limited to some.
            whole = all(r["post_id"] in files for r in rows if _why_not(r) is None)
            complete = publication is not None and whole
            items = _items(archive, rows, files, publication)
            return Export(f"substack:{publication or archive.label}", complete, items)
    return None


def _rows(text: str) -> list[Row] | None:
    """The rows of posts.csv, what is missing in them as ""; None for another file."""
    lines = csv.reader(io.StringIO(text.replace("\0", ""), newline=""))
    columns: list[str] = []
    found: list[Row] = []
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return found if columns else None
        except csv.Error:  # such as a field without end
            line = ["?"]
        if not columns:
            columns = [c.strip().lower() for c in line]
            if not set(columns) >= _COLUMNS:
                return None
        elif any(line):
            found.append(dict.fromkeys(columns, "") | dict(zip(columns, line, strict=False)))


def _publication(archive: Archive, rows: Sequence[Row], files: dict[str, str]) -> str | None:
    """The address that most of the newest posts name as their own, such as "https://example.substack.com"."""
    votes: Counter[str] = Counter()
    newest = sorted((r for r in rows if r["post_id"] in files), key=lambda r: r["post_date"], reverse=True)
    for row in newest[:_NEWEST]:
        body = _body(archive, row["post_id"], files)
        links = [] if isinstance(body, Rejected) else _LINK.findall(html.unescape(body))
        own = re.compile(rf"/subscribe|/p/{re.escape(_slug(row) or '?')}(?:/.*)?")
        votes.update({f"https://{host}" for host, path in links if own.fullmatch(path)})
    return min(votes, key=lambda address: (-votes[address], address), default=None)


def _items(
    archive: Archive, rows: Sequence[Row], files: dict[str, str], publication: str | None
) -> Iterator[Item]:
    for row in rows:
        yield _read(archive, row, files, publication)
    # A quotation mark without its twin makes one row of many.
    for lost in sorted(set(files) - {r["post_id"] for r in rows}):
        if _ID.fullmatch(lost):
            yield Rejected(lost, "no row in posts.csv")


def _read(archive: Archive, row: Row, files: dict[str, str], publication: str | None) -> Item:
    slug = _slug(row)
    address = urls.clean(f"{publication}/p/{slug}") if publication and slug else None
    address = address or f"substack:{row['post_id']}"
    if reason := _why_not(row):
        return Rejected(address if reason in WITHDRAWN else row["post_id"], reason)
    body = _body(archive, row["post_id"], files)
    if isinstance(body, Rejected):
        return body
    markdown = bodies.to_markdown(body)
    if not markdown:
        return Rejected(row["post_id"], "no text")
    title = " ".join(html.unescape(row["title"]).split())  # it is written as HTML
    return item.post(address, title, markdown, dates.iso(row["post_date"]))


def _why_not(row: Row) -> str | None:
    if not _ID.fullmatch(row["post_id"]):
        return "broken row"
    if row["is_published"].strip().lower() != "true":
        return "draft"
    kind = row.get("type", "").strip().lower()
    if kind not in _TEXT_TYPES:
        return {"page": "page", "restack": "text of someone else"}.get(kind, "not a post")
    return None if row.get("audience", "").strip().lower() in _AUDIENCES else "private"


def _slug(row: Row) -> str | None:
    named = _ID.fullmatch(row["post_id"])
    return named["slug"] if named else None


def _body(archive: Archive, post_id: str, files: dict[str, str]) -> str | Rejected:
    if post_id not in files:
        return Rejected(post_id, "no text")
    try:
        return decode(archive.read(files[post_id], _MAX_BYTES))
    except Unreadable as unreadable:
        return Rejected(post_id, str(unreadable))
