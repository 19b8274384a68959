"""Blogs of Hexo with five themes, Eleventy and Docusaurus."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from blogs.real import BASE, Real, about_page, command, node_engine, write, write_posts
from blogs.texts import AUTHOR, BLURB, TITLE, Text

LAYOUTS = Path(__file__).parent / "layouts" / "eleventy"
HEXO = {
    "hexo": "8.1.2",
    "hexo-theme-landscape": "1.1.0",
    "hexo-theme-next": "8.29.0",
    "hexo-theme-butterfly": "5.7.0",
    "hexo-theme-icarus": "6.1.1",
    "hexo-theme-fluid": "1.9.9",
    "hexo-generator-index": "4.0.0",
    "hexo-generator-archive": "2.0.0",
    "hexo-generator-tag": "2.0.0",
    "hexo-generator-category": "2.0.0",
    "hexo-generator-feed": "3.0.0",
    "hexo-generator-sitemap": "3.0.1",
    "hexo-renderer-ejs": "2.0.0",
    "hexo-renderer-stylus": "3.0.1",
    "hexo-renderer-marked": "7.0.1",
    "hexo-renderer-pug": "3.0.0",
}
ELEVENTY = (
    "@11ty/eleventy@3.1.8",
    "@11ty/eleventy-plugin-syntaxhighlight@5.0.2",
    "markdown-it-footnote@4.0.0",
)
DOCUSAURUS = (
    "@docusaurus/core@3.10.2",
    "@docusaurus/preset-classic@3.10.2",
    "@mdx-js/react@3",
    "react@19",
    "react-dom@19",
)


def hexo(theme: str, texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Hexo: code in tables with line numbers, a table of contents, neighbours, whole bodies in the feed."""
    modules = node_engine(cache, "hexo", [f"{name}@{version}" for name, version in HEXO.items()])
    (work / "node_modules").symlink_to(modules)
    plugins = {k: v for k, v in HEXO.items() if theme == "next" or k != "hexo-generator-sitemap"}
    write(
        work / "package.json", json.dumps({"name": "gauge", "hexo": {"version": ""}, "dependencies": plugins})
    )
    write_posts(
        texts, work / "source" / "_posts", lambda t: f"{t.slug}.md", {"categories": ["Ledger"]}, notes=False
    )
    about_page(work / "source" / "about" / "index.md", date="2020-01-01 00:00:00")
    settings = {
        "title": TITLE,
        "subtitle": BLURB,
        "author": AUTHOR,
        "language": "en",
        "timezone": "UTC",
        "url": BASE,
        "permalink": ":year/:month/:day/:title/",
        "theme": theme,
        "per_page": 8,
        "index_generator": {"per_page": 8, "order_by": "-date"},
        "syntax_highlighter": "highlight.js",
        "highlight": {"line_number": True, "tab_replace": ""},
        "feed": {"type": "atom", "path": "atom.xml", "limit": 15, "content": theme != "fluid"},
        "theme_config": _THEMES.get(theme, {}),
    }
    write(work / "_config.yml", json.dumps(settings))
    command(["node", "node_modules/hexo/bin/hexo", "generate"], work)
    return work / "public"


# What their own documentation proposes to switch on, and what makes pages hard to read.
_THEMES = {
    "next": {
        "toc": {"enable": True},
        "sidebar": {"display": "always"},
        "creative_commons": {"license": "by-nc-sa", "post": True},
        "reward_settings": {"enable": True, "comment": "Buy me a coffee"},
        "symbols_count_time": {"separated_meta": True},
    },
    "butterfly": {
        "post_copyright": {"enable": True},
        "related_post": {"enable": True, "limit": 6},
        "toc": {"post": True, "number": True},
        "aside": {"card_recent_post": {"enable": True}},
    },
}


def eleventy(texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """Eleventy with a plain layout, as its users write them."""
    modules = node_engine(cache, "eleventy", ELEVENTY)
    (work / "node_modules").symlink_to(modules)
    source = work / "src"
    write_posts(texts, source / "posts", lambda t: f"{t.slug}.md", {"layout": "post.njk"})
    about_page(source / "about.md", layout="base.njk")
    write(
        source / "posts" / "posts.json",
        '{"permalink": "/notes/{{ page.fileSlug }}/", "templateEngineOverride": "md"}',
    )
    shutil.copytree(LAYOUTS, source / "_includes")
    (source / "_includes" / "index.njk").rename(source / "index.njk")
    (source / "_includes" / "eleventy.config.js").rename(work / "eleventy.config.js")
    write(work / "package.json", '{"private": true}')
    command(["node", "node_modules/@11ty/eleventy/cmd.cjs", "--input=src", "--output=out"], work)
    return work / "out"


def docusaurus(texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """The blog of Docusaurus: rendered React, generated class names, a sidebar, anchors at headings."""
    modules = node_engine(cache, "docusaurus", DOCUSAURUS)
    (work / "node_modules").symlink_to(modules)
    for text in texts:
        write_posts(
            [text],
            work / "blog",
            lambda t: f"{t.day}-{t.slug}.md",
            {"slug": text.slug, "authors": {"name": AUTHOR}, "date": f"{text.day}T09:30:00Z"},
        )
    about_page(work / "src" / "pages" / "about.md")
    settings = {
        "title": TITLE,
        "tagline": BLURB,
        "url": BASE,
        "baseUrl": "/",
        "onBrokenLinks": "ignore",
        "markdown": {
            "format": "md",
            "hooks": {"onBrokenMarkdownImages": "ignore", "onBrokenMarkdownLinks": "ignore"},
        },
        "presets": [
            [
                "classic",
                {
                    "docs": False,
                    "blog": {
                        "routeBasePath": "/",
                        "showReadingTime": True,
                        "postsPerPage": 8,
                        "blogSidebarCount": 5,
                        "onUntruncatedBlogPosts": "ignore",
                        "onInlineAuthors": "ignore",
                        "onInlineTags": "ignore",
                    },
                },
            ]
        ],
        "themeConfig": {"navbar": {"title": TITLE, "items": [{"to": "/about", "label": "About"}]}},
    }
    write(work / "docusaurus.config.js", f"module.exports = {json.dumps(settings)};\n")
    write(work / "package.json", '{"private": true}')
    write(work / "static" / "images" / ".keep", "")
    command(
        ["node", "node_modules/@docusaurus/core/bin/docusaurus.mjs", "build"], work, NODE_ENV="production"
    )
    return work / "build"


ENGINES = (
    *(
        Real(f"hexo-{theme}", lambda t: f"/{t.day:%Y/%m/%d}/{t.slug}/", partial(hexo, theme))
        for theme in ("landscape", "next", "butterfly", "icarus", "fluid")
    ),
    Real("eleventy-plain", lambda t: f"/notes/{t.slug}/", eleventy),
    Real("docusaurus", lambda t: f"/{t.slug}", docusaurus),
)
