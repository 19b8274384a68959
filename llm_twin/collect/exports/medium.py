"""Medium's export ("Download your information"): one HTML file with h-entry microformats for each story.

Only `posts` is read; claps, bookmarks, highlights, lists, sessions and the profile are private or others'. A
story without a title of its own is a response to someone else's: it is public, and taken as a reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from llm_twin.collect import dates, item, urls
from llm_twin.collect.exports import bodies
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.collect.pages import page
from llm_twin.collect.pages.furniture import classes, remove
from llm_twin.collect.plaintext import compared

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_MAX_BYTES = 5_000_000  # a longer file is no post
_SNIFFED = 5  # files that are looked at, since one may be broken
_NAMED = re.compile(r"^(\d{4}-\d{2}-\d{2})_")
_IMPORTED = re.compile(
    r"^\s*(?:This (?:story|post|article) was )?originally published (?:at|on|in)\b", re.IGNORECASE
)
_IMPORTED_WORDS = 20  # what the import tool adds is short


def read(archive: Archive) -> Export | None:
    """The stories of an export, in the order of their files; None where there are none."""
    names = _may_be_stories(archive)
    for name in names[:_SNIFFED]:
        story = _story(archive, name)
        if not isinstance(story, Rejected):
            author = next((a.get("href") for a in story.iter("a") if "p-author" in classes(a)), None)
            # An export holds every story of its author, and cannot be limited to some.
            complete = author is not None and len(archive.names) > 1
            return Export(f"medium:{author or archive.label}", complete, _items(archive, names))
    return None


def _may_be_stories(archive: Archive) -> list[str]:
    """Stories lie in `posts`, or at the top where that folder itself or one file was given."""
    if len(archive.names) == 1:
        return list(archive.names)
    pages = [n for n in archive.names if PurePosixPath(n).suffix.lower() in (".html", ".htm")]
    inside = [n for n in pages if PurePosixPath(n).parent.name == "posts"]
    return inside or [n for n in pages if "/" not in n]


def _story(archive: Archive, name: str) -> HtmlElement | Rejected:
    try:
        root = page.parse(page.decode(archive.read(name, _MAX_BYTES)))
    except Unreadable as unreadable:
        return Rejected(name, str(unreadable))
    found = root.xpath("//article[contains(@class, 'h-entry')]") if root is not None else []
    if not found or _first(found[0], "e-content") is None or not found[0].xpath(".//*[@data-field='body']"):
        return Rejected(name, "no story of Medium")
    story: HtmlElement = found[0]
    return story


def _items(archive: Archive, names: list[str]) -> Iterator[Item]:
    seen: set[str] = set()
    for name in names:
        story = _story(archive, name)
        yield story if isinstance(story, Rejected) else _read(story, name, seen)


def _read(story: HtmlElement, name: str, seen: set[str]) -> Item:
    stem = PurePosixPath(name).stem
    link = _first(story, "p-canonical")
    if stem.startswith("draft_") or link is None:
        return Rejected(name, "draft")
    title = _text(_first(story, "p-name"))
    content = _first(story, "e-content")
    assert content is not None  # `_story` has looked
    reply = _is_response(content, title)
    markdown = bodies.to_markdown(_html(content), lambda body: _prepare(body, title))
    if not markdown:
        return Rejected(name, "no text")
    address = urls.clean(link.get("href") or "")
    if address is None or address in seen:  # an address of two stories is the address of neither
        address = f"medium:{stem}"
    seen.add(address)
    return item.post(
        address,
        "" if reply else title,
        markdown,
        _published(story, stem),
        kind="reply" if reply else "post",
        author=_text(_first(story, "p-author")) or None,
        tags=[text for a in story.iter("a") if "p-tag" in classes(a) and (text := _text(a))],
    )


def _prepare(body: HtmlElement, title: str) -> None:
    for heading in body.iter("h1", "h2", "h3", "h4"):
        if "graf--title" in classes(heading) or compared(_text(heading)) == compared(title):
            remove(heading)
        break  # only the first can be the title
    for block in body.iter("pre"):
        if language := block.get("data-code-block-lang"):
            block.set("data-lang", language)
        for part in (block, *block.iter("code")):  # lines broken around the elements are not the code's
            part.text = re.sub(r"^\s*\n\s*", "", part.text or "")
    last = next(reversed(list(body.iter("p"))), None)
    if _IMPORTED.match(_text(last)) and len(_text(last).split()) <= _IMPORTED_WORDS:
        remove(last)


def _is_response(content: HtmlElement, title: str) -> bool:
    """Whether what stands for a title is only the beginning of the text, cut or not."""
    if any("graf--title" in classes(e) for e in content.iter("h1", "h2", "h3", "h4")):
        return False
    return bool(title) and compared(_text(content)).startswith(compared(title))


def _published(story: HtmlElement, stem: str) -> str | None:
    time = _first(story, "dt-published")
    named = _NAMED.match(stem)
    return dates.iso(time.get("datetime") if time is not None else None) or dates.iso(
        named[1] if named else None
    )


def _first(story: HtmlElement, name: str) -> HtmlElement | None:
    return next((e for e in story.iter() if name in classes(e)), None)


def _text(element: HtmlElement | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _html(element: HtmlElement) -> str:
    from lxml import etree

    return str(etree.tostring(element, encoding="unicode", method="html", with_tail=False))
