"""LinkedIn's "copy of your data": shares in a CSV file, articles as HTML files below `Articles/`.

The file of shares is told by its header row, since its name carries a member's number in some archives; in a
folder only what is named for shares is opened, which may have other tables by the thousand. Of its
`Visibility` only MEMBER_NETWORK (what LinkedIn shows as "anyone") and PUBLIC, as newer archives write it,
are for everybody. Messages, comments and reactions are never taken.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from llm_twin.collect import dates, item, urls
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.short import BROKEN, NO_TEXT, to_markdown, without_labels
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.collect.pages import page
from llm_twin.collect.pages.furniture import remove
from llm_twin.collect.pages.markdown import from_html

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_MAX_BYTES = 50_000_000  # of a file; a share has at most 3,000 characters
_SHARES = frozenset({"date", "sharelink", "sharecommentary"})
_PUBLIC = frozenset({"MEMBER_NETWORK", "PUBLIC"})
_PARAGRAPHS = re.compile(r'"\n"')
_BARE_LINE_END = re.compile(r'(?<!")\n|\n(?!")')
_ARTICLE = re.compile(rb'<p class="(?:created|published)">')
_ASKED = 3  # HTML files that are asked whether they are LinkedIn's
_WHEN = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?")


def read(archive: Archive) -> Export | None:
    """The public shares as notes and the published articles as posts; None for other archives.

    The export is never complete: LinkedIn writes the parts that were asked for and does not say which, so a
    post that is not in it may still be there.
    """
    shares = _shares(archive)
    articles = _articles(archive)
    if shares is None and not articles:
        return None
    member = _member(archive)
    source = f"linkedin:{member}" if member else "linkedin"
    return Export(source, False, _items(archive, shares, articles))


def _items(archive: Archive, shares: tuple[str, str] | None, articles: list[str]) -> Iterator[Item]:
    if shares:
        yield from _read_shares(*shares)
    for name in articles:
        try:
            body = archive.read(name, _MAX_BYTES)
        except Unreadable as error:
            yield Rejected(name, str(error))
        else:
            yield _read_article(name, body)


def _shares(archive: Archive) -> tuple[str, str] | None:
    """Name and text of the file of shares."""
    alone = len(archive.names) == 1
    for name in archive.names:
        file = PurePosixPath(name).name.lower()
        if "message" in file or not (alone or ("share" in file and file.endswith(".csv"))):
            continue
        try:
            text = archive.text(name, _MAX_BYTES)
        except Unreadable:
            continue
        header, _ = _split(text)
        if set(header) >= _SHARES:
            return name, text
    return None


def _split(text: str) -> tuple[list[str], Iterator[list[str] | None]]:
    """The names of the columns in lower case, and the rows; None for a row that cannot be read."""
    reader = csv.reader(io.StringIO(re.sub(r"\r\n?", "\n", text), newline=""))

    def rows() -> Iterator[list[str] | None]:
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield None

    found = rows()
    return [name.strip().lower() for name in next(found, None) or []], found


def _read_shares(name: str, text: str) -> Iterator[Item]:
    header, rows = _split(text)
    for number, row in enumerate(rows, 1):
        if row is None or (row and len(row) != len(header)):
            yield Rejected(f"{name}#{number}", BROKEN)
        elif row:
            yield _share(dict(zip(header, row, strict=True)), f"{name}#{number}")


def _share(row: dict[str, str], where: str) -> Item:
    link = urls.clean(row["sharelink"])
    published = dates.iso(row["date"])
    address = link or (f"linkedin:share/{published}" if published else None)
    where = address or where
    visibility = row.get("visibility", "").strip().upper()
    if visibility not in _PUBLIC:
        return Rejected(where, "connections only" if visibility == "CONNECTIONS" else "not public")
    text = _restored(row["sharecommentary"])
    if not without_labels(text):  # a reshare without a word of the author's own
        return Rejected(where, NO_TEXT)
    if address is None:
        return Rejected(where, BROKEN)
    return item.post(address, "", to_markdown(text), published, "note")


def _restored(commentary: str) -> str:
    """The text as it was typed: LinkedIn puts a quotation mark before and after every line end."""
    if "\n" not in commentary or _BARE_LINE_END.search(commentary):
        return commentary
    return _PARAGRAPHS.sub("\n", commentary)


def _articles(archive: Archive) -> list[str]:
    """Names of the files of articles."""
    alone = len(archive.names) == 1
    names = list(archive.names) if alone else archive.find("Articles/*.html")
    return names if any(_is_article(archive, name) for name in islice(names, _ASKED)) else []


def _is_article(archive: Archive, name: str) -> bool:
    try:
        return bool(_ARTICLE.search(body := archive.read(name, _MAX_BYTES))) and b"<h1" in body
    except Unreadable:
        return False


def _read_article(name: str, body: bytes) -> Item:
    """An article: a linked heading, "Created on" and, unless it is a draft, "Published on", then its text."""
    from lxml import etree

    root = page.parse(page.decode(body))
    content = root.find("body") if root is not None else None
    heading = next(content.iter("h1"), None) if content is not None else None
    if content is None or heading is None:
        return Rejected(name, BROKEN)
    title = " ".join("".join(heading.itertext()).split())
    link = next((u for a in heading.iter("a") if (u := urls.clean(a.get("href") or ""))), None)
    address = link or f"linkedin:article/{PurePosixPath(name).stem}"
    published = _WHEN.search(_marked(content, "published"))
    _marked(content, "created")
    if published is None:
        return Rejected(address, "draft")
    remove(heading)
    markdown = from_html(etree.tostring(content, encoding="unicode", method="html"))
    if not markdown:
        return Rejected(link or name, NO_TEXT)
    return item.post(address, title, markdown, dates.iso(published[0]))


def _marked(content: HtmlElement, name: str) -> str:
    """The text of the paragraph above an article that has a class, taken out."""
    for paragraph in content.findall("p"):
        if paragraph.get("class") == name:
            text = "".join(paragraph.itertext())
            remove(paragraph)
            return text
    return ""


def _member(archive: Archive) -> str | None:
    """The name in the profile's file, the only thing that is read of it."""
    for name in archive.find("Profile*.csv"):
        try:
            header, rows = _split(archive.text(name, _MAX_BYTES))
        except Unreadable:
            continue
        row = next(rows, None) or []
        fields = dict(zip(header, row, strict=False))
        named = f"{fields.get('first name', '').strip()} {fields.get('last name', '').strip()}".strip()
        if named:
            return named
    return None
