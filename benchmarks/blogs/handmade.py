"""Blogs in the markup of engines that cannot run here, from templates after how their pages are built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from blogs import trees
from blogs.dialects import Dialect
from blogs.texts import ABOUT, AUTHOR, BLURB, TITLE, Text
from llm_twin.sample.markup import slugify

TEMPLATES = Path(__file__).parent / "handmade"
BASE = "https://gauge.example"
NOON = time(9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Engine:
    """What an engine does beside its markup.

    Attributes:
        address: a post's path.
        feed: the feed's path, or None; `full`: it carries whole bodies.
        sitemap: its path, or None.
        tag: a tag page's path, "" where there are none.
        page: the path of the older pages behind the front page, "" where there are none.
        extra: paths of further pages by kind.
        feed_size: entries in the feed.
        encoding: of the HTML files.
    """

    name: str
    address: Callable[[Text], str]
    dialect: Dialect
    feed: str | None = None
    full: bool = True
    sitemap: str | None = None
    tag: str = ""
    page: str = ""
    extra: dict[str, str] = field(default_factory=lambda: {"about": "/about/"})
    page_size: int = 8
    feed_size: int = 10
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Page:
    """A post with all that its page shows."""

    text: Text
    path: str
    html: str
    older: Text | None
    newer: Text | None
    related: tuple[Text, ...]

    @property
    def published(self) -> datetime:
        """The moment of publishing."""
        return datetime.combine(self.text.day, NOON)

    @property
    def minutes(self) -> int:
        """Reading time."""
        return max(1, len(self.text.markdown.split()) // 220)


def build(engine: Engine, texts: Sequence[Text], out: Path) -> dict[str, Text]:
    """Write a whole blog under a folder; its posts by their paths."""
    return _Blog(engine, texts, out).build()


class _Blog:
    """One blog while it is written."""

    def __init__(self, engine: Engine, texts: Sequence[Text], out: Path) -> None:
        self._engine, self._out = engine, out
        self._pages = list(_pages(engine, texts))

    def build(self) -> dict[str, Text]:
        engine, pages = self._engine, self._pages
        last = -(-len(pages) // engine.page_size) if engine.page else 1
        for n in range(1, last + 1):
            shown = pages[(n - 1) * engine.page_size :][: engine.page_size]
            self._write("/" if n == 1 else engine.page.format(n), "home", shown=shown, number=n, last=last)
        for shown_one in pages:
            self._write(shown_one.path, "post", page=shown_one)
        for tag in sorted({t for p in pages for t in p.text.tags}) if engine.tag else ():
            tagged = [p for p in pages if tag in p.text.tags]
            self._write(engine.tag.format(slugify(tag)), "tag", shown=tagged, tag=tag)
        for kind, path in engine.extra.items():
            self._write(path, kind, shown=pages)
        if engine.feed:
            self._file(engine.feed, "feed.xml.j2", "feed", pages=pages[: engine.feed_size])
        if engine.sitemap:
            self._file(engine.sitemap, "sitemap.xml.j2", "sitemap", pages=pages)
            robots = f"User-agent: *\nDisallow:\n\nSitemap: {BASE}{engine.sitemap}\n"
            (self._out / "robots.txt").write_text(robots, encoding="utf-8")
        return {p.path: p.text for p in pages}

    @cached_property
    def _environment(self) -> Environment:
        found = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        found.filters |= {"slugify": slugify, "rfc822": format_datetime, "hashed": trees.hashed}
        found.globals |= {
            "site": {"title": TITLE, "author": AUTHOR, "blurb": BLURB, "about": ABOUT, "base": BASE},
            "engine": self._engine,
            "recent": self._pages[:5],
            "every": self._pages,
            "path_of": self._engine.address,
            "tags": sorted({t for p in self._pages for t in p.text.tags}),
            "years": sorted({p.text.day.year for p in self._pages}, reverse=True),
        }
        return found

    def _write(self, path: str, kind: str, **context: Any) -> None:
        self._file(path, f"{self._engine.name}.html.j2", kind, encoding=self._engine.encoding, **context)

    def _file(self, path: str, template: str, kind: str, encoding: str = "utf-8", **context: Any) -> None:
        page = self._environment.get_template(template)
        text = page.render(kind=kind, path=path, **context)
        target = self._out / (path.lstrip("/") + ("index.html" if path.endswith("/") else ""))
        if "." not in target.name and kind not in ("feed", "sitemap"):
            target = target.with_name(target.name + ".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode(encoding, "xmlcharrefreplace"))


def _pages(engine: Engine, texts: Sequence[Text]) -> Iterator[Page]:
    """The pages of all posts, newest first."""
    for n, text in reversed(list(enumerate(texts))):
        alike = [t for t in texts if t is not text and set(t.tags) & set(text.tags)]
        yield Page(
            text=text,
            path=engine.address(text),
            html=engine.dialect(text.html, text.slug),
            older=texts[n - 1] if n else None,
            newer=texts[n + 1] if n + 1 < len(texts) else None,
            related=tuple(sorted(alike, key=lambda t: abs((t.day - text.day).days))[:3]),
        )
