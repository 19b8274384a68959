"""Blogs of Pelican, Nikola, Material for MkDocs and ABlog."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from blogs.real import BASE, Real, about_page, command, python_engine, write, write_posts
from blogs.texts import ABOUT, AUTHOR, BLURB, TITLE, Text

PELICAN = ("pelican[markdown]==4.12.0",)
NIKOLA = ("nikola[extras]==8.3.3",)
MATERIAL = ("mkdocs-material==9.8.1",)


def pelican(theme: str, texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Pelican with one of its own themes; code with line numbers, whole bodies in the feed."""
    programs = python_engine(cache, "pelican", PELICAN)
    for text in texts:
        head = (
            f"Title: {text.title}\nDate: {text.day} 09:30\nTags: {', '.join(text.tags)}\nSlug: {text.slug}\n"
        )
        write(
            work / "content" / f"{text.slug}.md",
            f"{head}Category: Ledger\nAuthor: {AUTHOR}\n\n{text.markdown}",
        )
    write(work / "content" / "pages" / "about.md", f"Title: About\nSlug: about\n\n{ABOUT}\n")
    extensions = {
        "markdown.extensions.extra": {},
        "markdown.extensions.meta": {},
        "markdown.extensions.codehilite": {"css_class": "highlight", "linenums": theme == "notmyidea"},
        "markdown.extensions.toc": {"permalink": True},
    }
    settings = {
        "AUTHOR": AUTHOR,
        "SITENAME": TITLE,
        "SITESUBTITLE": BLURB,
        "SITEURL": BASE,
        "PATH": "content",
        "TIMEZONE": "UTC",
        "THEME": theme,
        "FEED_ALL_ATOM": "feeds/all.atom.xml",
        "DEFAULT_PAGINATION": 8,
        "LINKS": (("Elsewhere", "https://elsewhere.example"),),
        "SOCIAL": (("Mastodon", "https://social.example/@maud"),),
        "MARKDOWN": {"extension_configs": extensions, "output_format": "html5"},
    }
    write(work / "conf.py", "".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    command([str(programs / "pelican"), "-s", "conf.py", "-o", "output", "content"], work)
    return work / "output"


def nikola(theme: str, texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Nikola with one of its own themes; teasers in the feed for one, whole bodies for the other."""
    programs = python_engine(cache, "nikola", NIKOLA)
    for text in texts:
        meta = {
            "title": text.title,
            "slug": text.slug,
            "date": f"{text.day} 09:30:00 UTC",
            "tags": ",".join(text.tags),
        }
        head = "".join(f".. {key}: {value}\n" for key, value in meta.items())
        write(work / "posts" / f"{text.slug}.md", f"<!--\n{head}-->\n\n{text.markdown}")
    write(work / "pages" / "about.md", f"<!--\n.. title: About\n.. slug: about\n-->\n\n{ABOUT}\n")
    settings = {
        "BLOG_AUTHOR": AUTHOR,
        "BLOG_TITLE": TITLE,
        "SITE_URL": f"{BASE}/",
        "BLOG_EMAIL": "maud@gauge.example",
        "BLOG_DESCRIPTION": BLURB,
        "DEFAULT_LANG": "en",
        "TRANSLATIONS": {"en": ""},
        "TIMEZONE": "UTC",
        "THEME": theme,
        "POSTS": (("posts/*.md", "posts", "post.tmpl"),),
        "PAGES": (("pages/*.md", "pages", "page.tmpl"),),
        "COMPILERS": {"markdown": (".md",)},
        "NAVIGATION_LINKS": {"en": (("/archive.html", "Archive"), ("/pages/about/", "About"))},
        "MARKDOWN_EXTENSIONS": ["fenced_code", "codehilite", "extra", "toc"],
        "FEED_TEASERS": theme == "base",
        "GENERATE_ATOM": True,
        "SHOW_SOURCELINK": True,
        "COPY_SOURCES": False,
        "CONTENT_FOOTER": f"Contents © 2024 {AUTHOR} - Powered by Nikola",
        "SOCIAL_BUTTONS_CODE": '<div id="addthisbox"><a class="addthis_button_more">Share</a></div>',
    }
    write(work / "conf.py", "".join(f"{key} = {value!r}\n" for key, value in settings.items()))
    command([str(programs / "nikola"), "build", "-n", "2"], work)
    return work / "output"


def material(texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """The blog of Material for MkDocs: a sidebar with the author and the date, contents, no feed."""
    programs = python_engine(cache, "mkdocs", MATERIAL)
    docs = work / "docs"
    write(docs / "index.md", f"# {TITLE}\n\n{BLURB}\n")
    about_page(docs / "about.md")
    write(docs / "blog" / "index.md", "# Blog\n")
    write(
        docs / "blog" / ".authors.yml",
        f"authors:\n  maud:\n    name: {AUTHOR}\n    description: Keeper\n    avatar: /m.png\n",
    )
    for text in texts:
        body = f"# {text.title}\n\n{text.markdown}"
        few = [Text(text.slug, text.title, text.day, text.tags, body, ())]
        write_posts(
            few,
            docs / "blog" / "posts",
            lambda t: f"{t.slug}.md",
            {"authors": ["maud"], "slug": text.slug, "date": str(text.day)},
        )
    write(
        work / "mkdocs.yml",
        f"site_name: {TITLE}\nsite_url: {BASE}/\ntheme:\n  name: material\n  font: false\n"
        "  features: [navigation.tabs, content.code.copy, navigation.footer]\n"
        "plugins:\n  - blog:\n      pagination_per_page: 8\n  - tags\n"
        "markdown_extensions: [footnotes, tables, admonition, pymdownx.superfences, "
        "{pymdownx.highlight: {linenums: true}}, {toc: {permalink: true}}]\n",
    )
    command([str(programs / "mkdocs"), "build", "--quiet"], work)
    return work / "site"


ENGINES = (
    Real("pelican-notmyidea", lambda t: f"/{t.slug}.html", partial(pelican, "notmyidea")),
    Real("pelican-simple", lambda t: f"/{t.slug}.html", partial(pelican, "simple")),
    Real("nikola-bootblog4", lambda t: f"/posts/{t.slug}/", partial(nikola, "bootblog4")),
    Real("nikola-base", lambda t: f"/posts/{t.slug}/", partial(nikola, "base")),
    Real("mkdocs-material", lambda t: f"/blog/{t.day:%Y/%m/%d}/{t.slug}/", material),
)
