"""Blogs of Jekyll and Hugo, where the system has them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from blogs.real import BASE, Real, about_page, command, needed, write, write_posts
from blogs.texts import AUTHOR, BLURB, TITLE, Text

LAYOUTS = Path(__file__).parent / "layouts" / "hugo"


def jekyll(texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Jekyll with minima, its feed, SEO and sitemap plugins; kramdown's typography, Rouge's line numbers."""
    program = needed("jekyll")
    write_posts(texts, work / "_posts", lambda t: f"{t.day}-{t.slug}.md", {"layout": "post"})
    about_page(work / "about.md", layout="page", permalink="/about/")
    write(work / "index.md", "---\nlayout: home\n---\n")
    settings = {
        "title": TITLE,
        "description": BLURB,
        "author": AUTHOR,
        "url": BASE,
        "timezone": "UTC",
        "theme": "minima",
        "plugins": ["jekyll-feed", "jekyll-seo-tag", "jekyll-sitemap"],
        "kramdown": {"syntax_highlighter_opts": {"block": {"line_numbers": True}}},
    }
    write(work / "_config.yml", json.dumps(settings))
    command([program, "build", "--quiet"], work)
    return work / "_site"


def hugo(texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Hugo with layouts after its skeleton: line numbers in tables, related posts, a feed of summaries."""
    program = needed("hugo")
    write_posts(texts, work / "content" / "posts", lambda t: f"{t.slug}.md", {"author": AUTHOR})
    about_page(work / "content" / "about.md")
    settings = {
        "baseURL": f"{BASE}/",
        "title": TITLE,
        "languageCode": "en",
        "paginate": 8,
        "markup": {
            "highlight": {"lineNos": True, "lineNumbersInTable": True},
            "goldmark": {"renderer": {"unsafe": True}},
        },
    }
    write(work / "config.json", json.dumps(settings))
    shutil.copytree(LAYOUTS, work / "layouts" / "_default")
    command([program, "--quiet"], work)
    return work / "public"


ENGINES = (
    Real("jekyll-minima", lambda t: f"/{t.day:%Y/%m/%d}/{t.slug}.html", jekyll),
    Real("hugo-plain", lambda t: f"/posts/{t.slug}/", hugo),
)
