"""Themes drawn at random: what a theme decides, each choice from what themes of real blogs do.

A seed gives the same theme each time; new seeds are blogs that nobody has looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import yaml

# What is drawn more often is what is more common.
NAMES = ("english", "english", "english", "none", "hashed", "utility", "own")
ADDRESSES = (
    "/{slug}/",
    "/{slug}.html",
    "/blog/{slug}",
    "/{y}/{m}/{slug}/",
    "/{y}/{m}/{d}/{slug}.html",
    "/posts/{n}/",
)
TITLES = ("{post} | {site}", "{post} - {site}", "{site}: {post}", "{site} – {post}", "{post}")
AFTER = (
    "tags",
    "share",
    "author",
    "newsletter",
    "around",
    "related",
    "comments",
    "licence",
    "edit",
    "webring",
)

LANGUAGES = Path(__file__).parent / "languages.yaml"


@cache
def languages() -> dict[str, Any]:
    """Month names, ways to write a date, and words, by language."""
    return dict(yaml.safe_load(LANGUAGES.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Theme:
    """All choices of one theme.

    Attributes:
        names: of classes: English words, none, hashes, utilities, or words of the theme's own making.
        machine: what pages say to machines: "json-ld", "open-graph", "time" (a <time> element), or "".
        holder: the element around the text alone, "" where it stands beside the title.
        inside: blocks that stand in the text's element or beside the text; `outside` stand after the article.
        listing: what the front page shows of a post: "titles", "excerpts", "full".
    """

    seed: int
    language: str
    names: str
    address: str
    page_title: str
    written: str
    machine: str
    holder: str
    article: str
    depth: int
    title_tag: str
    site_tag: str
    byline: tuple[str, ...]
    byline_above: bool
    contents: bool
    inside: tuple[str, ...]
    outside: tuple[str, ...]
    sidebar: str
    listing: str
    teaser_tag: str
    feed: str
    sitemap: bool
    paged: bool
    tag_pages: bool

    def day(self, day: date) -> str:
        """A date as the theme writes it."""
        month = languages()[self.language]["months"].split()[day.month - 1]
        return self.written.format(
            month=month, mon=month[:3], y=day.year, m=f"{day.month:02}", d=f"{day.day:02}", d0=day.day
        )

    def say(self, key: str) -> str:
        """The theme's words for a thing."""
        return str(languages()[self.language]["words"][key])


def draw(seed: int) -> Theme:
    """The theme of a seed."""
    r = Random(seed)
    language = r.choice(("en", "en", "de", "fr", "es"))
    after = r.sample(AFTER, r.randint(2, 6))
    cut = r.randint(0, len(after))
    return Theme(
        seed=seed,
        language=language,
        names=r.choice(NAMES),
        address=r.choice(ADDRESSES),
        page_title=r.choice(TITLES),
        written=r.choice(languages()[language]["written"]),
        machine=r.choice(("json-ld", "open-graph", "time", "time", "")),
        holder=r.choice(("div", "div", "section", "")),
        article=r.choice(("article", "article", "div", "main")),
        depth=r.randint(0, 3),
        title_tag=r.choice(("h1", "h1", "h2")),
        site_tag=r.choice(("h1", "div", "p")),
        byline=_some(r, ("posted", "author", "minutes", "tags")),
        byline_above=r.random() < 0.25,
        contents=r.random() < 0.3,
        inside=tuple(after[:cut]),
        outside=tuple(after[cut:]),
        sidebar=r.choice(("", "", "left", "right")),
        listing=r.choice(("titles", "excerpts", "full")),
        teaser_tag=r.choice(("article", "div", "li")),
        feed=r.choice(("full", "full", "summary", "")),
        sitemap=r.random() < 0.6,
        paged=r.random() < 0.5,
        tag_pages=r.random() < 0.6,
    )


def _some(r: Random, of: Sequence[str]) -> tuple[str, ...]:
    return tuple(r.sample(of, r.randint(0, len(of))))
