"""Where a site leads on without end: empty calendars, sort orders, session ids, pages beyond the last one.

Such addresses have one shape, and their pages give nothing new: they say what another page has said, and lead
to more of their own kind alone. A shape whose pages gave nothing new so many times in a row is not asked for
any more. A trap that makes up new words every time is bounded by the number of pages alone.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from llm_twin.collect import urls

if TYPE_CHECKING:
    from lxml.html import HtmlElement

LONGEST_ADDRESS = 2000  # characters; browsers and servers cut not far above
BARREN = 40  # pages in a row: a blog has few that repeat each other, and a calendar has no end
_MOST_EQUAL_PARTS = 3  # of a path: relative links gone wrong give /blog/blog/blog/blog/...
_COMPARED = 100_000  # characters of a page
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")


class Traps:
    """What the pages of one crawl had that was new, by the shape of their addresses.

    Attributes:
        found: an address of each shape that has become a trap.
    """

    def __init__(self) -> None:
        self._texts: set[int] = set()
        self._barren: Counter[str] = Counter()
        self.found: list[str] = []

    def is_one(self, url: str) -> bool:
        """Whether an address is like those that gave nothing new."""
        return self._barren[shape(url)] >= BARREN

    def read(self, url: str, root: HtmlElement, leads_on: bool) -> None:
        """Take note of a page.

        Args:
            leads_on: it has links that no page had before, of another shape that is no trap.
        """
        said = _said(root)
        barren = said in self._texts and not leads_on
        self._texts.add(said)
        named = shape(url)
        self._barren[named] = self._barren[named] + 1 if barren else 0
        if self._barren[named] == BARREN:
            self.found.append(url)


def _said(root: HtmlElement) -> int:
    """A number for the words of a page that do not stand in links.

    Numbers are left out, since a calendar counts on; the names of months and days repeat soon enough.
    """
    said = "body//text()[not(ancestor::a or ancestor::script or ancestor::style)]"
    found = root.xpath(said, smart_strings=False)
    return hash(" ".join(_WORD.findall("".join(found)[:_COMPARED])))


def shape(url: str) -> str:
    """The form of an address's path, whatever its numbers and its last part, and the names in its query."""
    names = sorted({name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)})
    return _NUMBER.sub("N", f"{urls.shape(url)}?{'&'.join(names)}")


def is_endless(url: str) -> bool:
    """Whether an address by itself cannot be one that a person was meant to see."""
    parts = Counter(p for p in urlsplit(url).path.split("/") if p)
    return len(url) > LONGEST_ADDRESS or max(parts.values(), default=0) > _MOST_EQUAL_PARTS
