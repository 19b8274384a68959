"""Render the sample author's blog to static files, with all the furniture that real blogs carry.

The same posts and the same base address always give the same bytes: nothing reads a clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from llm_twin.sample import front_matter
from llm_twin.sample.entries import Entry, entries, teaser
from llm_twin.sample.markup import feed_html, slugify

HERE = Path(__file__).parent
PAGE_SIZE = 10
FEED_SIZE = 10
RECENT = 6
MOVED = 2
UNLISTED = ("search", "drafts", "404")
MONTHS = "January February March April May June July August September October November December"


@dataclass(frozen=True)
class SiteReport:
    """What one rendering wrote."""

    out: Path
    base_url: str
    posts: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """An address that the sitemap lists, with the day it last changed."""

    path: str
    changed: date


def render(out: Path, base_url: str) -> SiteReport:
    """Write the whole site under a folder, for the address it will be served at."""
    return _Renderer(out, base_url.rstrip("/"), entries()).render()


class _Renderer:
    """One rendering: the entries, the templates, and the files written so far."""

    def __init__(self, out: Path, base_url: str, listed: Sequence[Entry]) -> None:
        self._out = out
        self._base_url = base_url
        self._entries = listed
        self._files: list[str] = []
        self._places: list[Place] = []
        self._blog: dict[str, str] = yaml.safe_load((HERE / "blog.yaml").read_text(encoding="utf-8"))

    def render(self) -> SiteReport:
        """Write every page, then the files that list them."""
        self._home()
        self._posts()
        self._tags()
        self._archives()
        self._pages()
        self._moved()
        self._machine_files()
        return SiteReport(self._out, self._base_url, len(self._entries), tuple(sorted(self._files)))

    @cached_property
    def _templates(self) -> Environment:
        """The theme, with what its every page needs."""
        environment = Environment(
            loader=FileSystemLoader(HERE / "theme"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters |= {"slugify": slugify, "teaser": teaser, "rfc822": format_datetime}
        environment.filters |= {"absolute": self._absolute, "longdate": _long_date}
        environment.globals |= {"blog": self._blog, "base_url": self._base_url, "newest": self._newest}
        environment.globals |= {"recent": self._entries[:RECENT], "most_discussed": self._most_discussed()}
        environment.globals |= {"tag_counts": sorted(self._tag_counts.items()), "years": self._years()}
        return environment

    @cached_property
    def _newest(self) -> date:
        """The day of the newest post, which stands in for today."""
        return self._entries[0].post.date

    @cached_property
    def _tag_counts(self) -> Counter[str]:
        """How many posts carry each tag."""
        return Counter(tag for entry in self._entries for tag in entry.post.tags)

    def _years(self) -> list[tuple[int, int]]:
        """The years with their numbers of posts, newest first."""
        return sorted(Counter(entry.post.date.year for entry in self._entries).items(), reverse=True)

    def _most_discussed(self) -> list[Entry]:
        """The posts with the most comments, for the sidebar."""
        return sorted(self._entries, key=lambda entry: (-len(entry.comments), entry.post.slug))[:4]

    def _home(self) -> None:
        """Write the home page and the older pages behind it."""
        last = -(-len(self._entries) // PAGE_SIZE)
        for number in range(1, last + 1):
            shown = self._entries[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
            path = "/" if number == 1 else f"/page/{number}/"
            self._page(path, "home.html.j2", entries=shown, number=number, last=last)
        self._places.append(Place("/", self._newest))

    def _posts(self) -> None:
        """Write each post at its own address."""
        for entry in self._entries:
            self._page(entry.post.path, "post.html.j2", entry=entry, linked_data=self._linked_data(entry))
            self._places.append(Place(entry.post.path, entry.post.date))

    def _tags(self) -> None:
        """Write one page for each tag."""
        for tag in sorted(self._tag_counts):
            tagged = [entry for entry in self._entries if tag in entry.post.tags]
            path = f"/tags/{slugify(tag)}/"
            self._page(path, "tag.html.j2", tag=tag, entries=tagged)
            self._places.append(Place(path, tagged[0].post.date))

    def _archives(self) -> None:
        """Write the archive of all years and one page for each."""
        self._page("/archive/", "archive.html.j2", heading="Archive", entries=self._entries)
        self._places.append(Place("/archive/", self._newest))
        for year, _ in self._years():
            shown = [entry for entry in self._entries if entry.post.date.year == year]
            self._page(f"/{year}/", "archive.html.j2", heading=f"Posts from {year}", entries=shown)

    def _pages(self) -> None:
        """Write the pages that are not posts; the unlisted ones stay out of the sitemap and of robots."""
        for source in sorted((HERE / "pages").glob("*.md")):
            meta, body = front_matter(source.read_text(encoding="utf-8"))
            listed = source.stem not in UNLISTED
            path = "/404.html" if source.stem == "404" else f"/{source.stem}/"
            self._page(path, "page.html.j2", title=meta["title"], html=feed_html(body), listed=listed)
            if listed:
                self._places.append(Place(path, self._newest))

    def _moved(self) -> None:
        """Leave a stub at the addresses that the oldest posts had on an earlier engine."""
        for entry in self._entries[-MOVED:]:
            old = f"/{entry.post.date:%Y/%m/%d}/{entry.post.slug}.html"
            self._page(old, "moved.html.j2", target=entry.post.path)

    def _machine_files(self) -> None:
        """Write the feed, the sitemap, the robots file and the style sheet."""
        self._page("/feed.xml", "feed.xml.j2", entries=self._entries[:FEED_SIZE])
        self._page("/sitemap.xml", "sitemap.xml.j2", places=self._places)
        self._page("/robots.txt", "robots.txt.j2")
        self._page("/style.css", "style.css.j2")

    def _page(self, path: str, template: str, **context: Any) -> None:
        """Write one address of the site; an address that ends in a slash is a folder's index."""
        file = path.lstrip("/") + ("index.html" if path.endswith("/") else "")
        target = self._out / file
        target.parent.mkdir(parents=True, exist_ok=True)
        text = self._templates.get_template(template).render(path=path, **context)
        target.write_bytes(text.encode("utf-8"))
        self._files.append(file)

    def _absolute(self, html: str) -> str:
        """Make the links of a feed item absolute, for a reader has no page to resolve them against."""
        return html.replace('href="/', f'href="{self._base_url}/')

    def _linked_data(self, entry: Entry) -> dict[str, Any]:
        """Describe a post to search engines."""
        address = self._base_url + entry.post.path
        return {
            "@context": "https://schema.org",
            "@type": "BlogPosting",
            "headline": entry.post.title,
            "description": entry.excerpt,
            "datePublished": entry.published.isoformat(),
            "dateModified": entry.published.isoformat(),
            "author": {"@type": "Person", "name": self._blog["author"], "url": f"{self._base_url}/about/"},
            "publisher": {"@type": "Organization", "name": self._blog["title"]},
            "mainEntityOfPage": {"@type": "WebPage", "@id": address},
            "keywords": ", ".join(entry.post.tags),
            "url": address,
        }


def _long_date(day: date) -> str:
    """Write a day out, without the locale's say."""
    return f"{day.day} {MONTHS.split()[day.month - 1]} {day.year}"
