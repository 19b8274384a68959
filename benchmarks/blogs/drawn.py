"""Blogs of themes drawn at random (`themes`), page by page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from blogs.handmade import BASE, NOON
from blogs.texts import ABOUT, AUTHOR, BLURB, TITLE, Text
from blogs.themes import Theme
from blogs.trees import hashed
from llm_twin.sample.markup import slugify

PAGE_SIZE = 7
FEED_SIZE = 12


def build(theme: Theme, texts: Sequence[Text], out: Path) -> dict[str, Text]:
    """Write a whole blog under a folder; its posts by their paths."""
    blog = _Blog(theme, texts)
    for path, page in blog.files():
        target = out / (path.lstrip("/") + ("index.html" if path.endswith("/") else ""))
        target = target if "." in target.name else target.with_name(f"{target.name}.html")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    return {blog.path(t): t for t in texts}


class _Blog:
    """One blog while it is written."""

    def __init__(self, theme: Theme, texts: Sequence[Text]) -> None:
        self._theme, self._texts = theme, list(texts)[::-1]

    def files(self) -> Iterable[tuple[str, str]]:
        """Every file's path and text."""
        theme, texts = self._theme, self._texts
        last = -(-len(texts) // PAGE_SIZE) if theme.paged else 1
        for n in range(last):
            shown = texts[n * PAGE_SIZE :][:PAGE_SIZE] if theme.paged else texts[:PAGE_SIZE]
            following = f"<p>{_a(self._paged(n + 1), theme.say('older'))}</p>" if n + 1 < last else ""
            yield self._paged(n), self._page(TITLE, self._list(shown, theme.listing) + following)
        for n, text in enumerate(texts):
            yield self.path(text), self._post(n)
        if theme.tag_pages:
            for tag in sorted({t for text in texts for t in text.tags}):
                tagged = self._list([t for t in texts if tag in t.tags], theme.listing)
                yield self._tag(tag), self._page(f"{tag} - {TITLE}", f"<h2>{tag}</h2>{tagged}")
        archive = f"<h2>{theme.say('archive')}</h2>{self._list(texts, 'titles')}"
        yield f"/{slugify(theme.say('archive'))}/", self._page(theme.say("archive"), archive)
        about = f"<h2>{theme.say('about')}</h2><p>{ABOUT}</p>"
        yield f"/{slugify(theme.say('about'))}/", self._page(theme.say("about"), about)
        if theme.feed:
            yield "/feed.xml", self._feed()
        if theme.sitemap:
            listed = "".join(f"<url><loc>{BASE}{self.path(t)}</loc></url>" for t in texts)
            yield "/sitemap.xml", f'<?xml version="1.0"?>\n<urlset xmlns="{_SITEMAPS}">{listed}</urlset>'

    def path(self, text: Text) -> str:
        """A post's path."""
        number = int(hashed(text.slug, 4), 16)
        day = {"y": text.day.year, "m": f"{text.day.month:02}", "d": f"{text.day.day:02}"}
        return self._theme.address.format(slug=text.slug, n=number, **day)

    def _paged(self, n: int) -> str:
        return f"/{self._theme.say('page')}/{n + 1}/" if n else "/"

    def _tag(self, tag: str) -> str:
        return f"/{slugify(self._theme.say('tags'))}/{slugify(tag)}/"

    def _post(self, n: int) -> str:
        theme, text = self._theme, self._texts[n]
        title = f"<{theme.title_tag}{self._named('title')}>{escape(text.title)}</{theme.title_tag}>"
        byline = self._box("byline", self._byline(text))
        contents = self._contents(text) if theme.contents else ""
        body = f"{contents}{text.html}"
        for _ in range(theme.depth):
            body = f"<div{self._named('inner')}>{body}</div>"
        held = f"<{theme.holder}{self._named('content')}>{body}</{theme.holder}>" if theme.holder else body
        inside = "".join(self._block(b, n) for b in theme.inside)
        head = byline + title if theme.byline_above else title + byline
        article = f"<{theme.article}{self._named('post')}>{head}{held}{inside}</{theme.article}>"
        outside = "".join(self._block(b, n) for b in theme.outside)
        named = theme.page_title.format(post=text.title, site=TITLE)
        return self._page(named, article + outside, self._machine(text))

    def _byline(self, text: Text) -> str:
        theme = self._theme
        posted = f"{theme.say('posted')} " if "posted" in theme.byline else ""
        said = [self._by(part, text) for part in theme.byline if part != "posted"]
        return " · ".join([f"{posted}{self._date(text)}", *said])

    def _by(self, part: str, text: Text) -> str:
        theme = self._theme
        if part == "tags" and theme.tag_pages:
            return ", ".join(_a(self._tag(t), t) for t in text.tags)
        minutes = f"{max(1, len(text.markdown.split()) // 220)} {theme.say('minutes')}"
        said = {"author": f"{theme.say('by')} {AUTHOR}", "minutes": minutes}
        return said.get(part, ", ".join(text.tags))

    def _date(self, text: Text) -> str:
        written = self._theme.day(text.day)
        return f'<time datetime="{text.day}">{written}</time>' if self._theme.machine == "time" else written

    def _contents(self, text: Text) -> str:
        found = re.findall(r"<h[12]>(.*?)</h[12]>", text.html)
        items = "".join(f'<li><a href="#{slugify(h)}">{h}</a></li>' for h in found)
        listed = f"<p>{self._theme.say('contents')}</p><ul>{items}</ul>"
        return self._box("toc", listed) if len(found) > 2 else ""

    def _block(self, name: str, n: int) -> str:
        theme, text = self._theme, self._texts[n]
        make: dict[str, Callable[[], str]] = {
            "tags": lambda: f"{theme.say('tags')}: " + ", ".join(_a(self._tag(t), t) for t in text.tags),
            "share": lambda: f"<p>{theme.say('share')}</p>" + _a("https://share.example/m", "Mastodon"),
            "author": lambda: f"<p><b>{AUTHOR}</b></p><p>{ABOUT}</p>",
            "newsletter": lambda: (
                f"<h3>{theme.say('letter')}</h3><p>{BLURB}</p><form><input type=email></form>"
            ),
            "around": lambda: self._around(n),
            "related": lambda: (
                f"<h3>{theme.say('related')}</h3>" + self._list(self._related(text), theme.listing, 1)
            ),
            "comments": lambda: self._comments(text),
            "licence": lambda: f"<p>{theme.say('licence')}</p>",
            "edit": lambda: f"<p>{_a(f'https://code.example/{text.slug}.md', theme.say('edit'))}</p>",
            "webring": lambda: f"<p>← {theme.say('webring')} →</p>",
        }
        return self._box(name, make[name]())

    def _around(self, n: int) -> str:
        theme, texts = self._theme, self._texts
        older = texts[n + 1] if n + 1 < len(texts) else None
        newer = texts[n - 1] if n else None
        sides = (("older", "« ", older), ("newer", "» ", newer))
        return " ".join(f"{mark}{theme.say(k)}: {_a(self.path(t), t.title)}" for k, mark, t in sides if t)

    def _related(self, text: Text) -> list[Text]:
        alike = [t for t in self._texts if t is not text and set(t.tags) & set(text.tags)]
        return sorted(alike, key=lambda t: abs((t.day - text.day).days))[:3]

    def _comments(self, text: Text) -> str:
        theme = self._theme
        said = "".join(
            f"<{theme.teaser_tag}><p><b>{escape(c.name)}</b> {theme.say('says')} ({theme.day(c.date)}):</p>"
            f"{c.html}</{theme.teaser_tag}>"
            for c in text.comments
        )
        return f"<h3>{len(text.comments)} {theme.say('comments')}</h3>{said}<h4>{theme.say('reply')}</h4>"

    def _list(self, texts: Sequence[Text], shows: str, most: int = 0) -> str:
        """Teasers of posts; `most` 1: at most their excerpts."""
        theme = self._theme
        items = []
        for text in texts:
            body = text.html if shows == "full" and not most else f"<p>{escape(text.excerpt)}</p>"
            more = f"<p>{_a(self.path(text), theme.say('more'))}</p>" if shows == "excerpts" else ""
            head = f"<h3>{_a(self.path(text), text.title)}</h3><p>{self._date(text)}</p>"
            short = f"{self._date(text)} {_a(self.path(text), text.title)}"
            item = short if shows == "titles" else head + body + more
            items.append(f"<{theme.teaser_tag}{self._named('post')}>{item}</{theme.teaser_tag}>")
        around = "ul" if theme.teaser_tag == "li" else "div"
        return f"<{around}{self._named('posts')}>{''.join(items)}</{around}>"

    def _page(self, title: str, main: str, machine: str = "") -> str:
        theme = self._theme
        nav = " ".join(_a(p, w) for p, w in self._navigation())
        recent = "".join(f"<li>{_a(self.path(t), t.title)}</li>" for t in self._texts[:5])
        side = self._box("sidebar", f"<h4>{theme.say('recent')}</h4><ul>{recent}</ul><p>{ABOUT}</p>")
        middle = f"<div{self._named('main')}>{main}</div>"
        columns = {"left": side + middle, "right": middle + side}.get(theme.sidebar, middle)
        name = f"<{theme.site_tag}{self._named('site')}>{_a('/', TITLE)}</{theme.site_tag}>"
        feed = '<link rel="alternate" type="application/rss+xml" href="/feed.xml">' if theme.feed else ""
        return (
            f'<!DOCTYPE html>\n<html lang="{theme.language}"><head><meta charset="utf-8">'
            f"<title>{escape(title)}</title>{feed}{machine}</head>\n<body>"
            f"{self._box('header', f'{name}<p>{BLURB}</p>{nav}')}\n{columns}\n"
            f"{self._box('footer', f'<p>© 2024 {AUTHOR}</p>')}</body></html>\n"
        )

    def _navigation(self) -> list[tuple[str, str]]:
        keys = ("archive", "about")
        return [
            ("/", self._theme.say("home")),
            *((f"/{slugify(self._theme.say(k))}/", self._theme.say(k)) for k in keys),
        ]

    def _machine(self, text: Text) -> str:
        moment = f"{text.day}T{NOON:%H:%M:%S}+00:00"
        if self._theme.machine == "json-ld":
            data = {
                "@context": "https://schema.org",
                "@type": "BlogPosting",
                "headline": text.title,
                "datePublished": moment,
            }
            return f'<script type="application/ld+json">{json.dumps(data)}</script>'
        if self._theme.machine == "open-graph":
            title = escape(text.title)
            return (
                f'<meta property="og:type" content="article"><meta property="og:title" content="{title}">'
                f'<meta property="article:published_time" content="{moment}">'
            )
        return ""

    def _box(self, name: str, inner: str) -> str:
        return f"<div{self._named(name)}>{inner}</div>"

    def _named(self, thing: str) -> str:
        """The class attribute of a thing."""
        seed = self._theme.seed
        kinds = {
            "english": _ENGLISH.get(thing, thing),
            "hashed": f"css-{hashed(f'{seed}{thing}', 6)}",
            "utility": _UTILITY[int(hashed(f"{seed}{thing}", 4), 16) % len(_UTILITY)],
            "own": f"mo-{hashed(thing, 2)}",
        }
        name = kinds.get(self._theme.names)
        return f' class="{name}"' if name else ""

    def _feed(self) -> str:
        items = ""
        for text in self._texts[:FEED_SIZE]:
            body = text.html if self._theme.feed == "full" else text.excerpt
            items += (
                f"<item><title>{escape(text.title)}</title><link>{BASE}{self.path(text)}</link>"
                f"<pubDate>{text.day:%a, %d %b %Y} 09:30:00 +0000</pubDate>"
                f"<description>{escape(body)}</description></item>"
            )
        channel = f"<title>{TITLE}</title><link>{BASE}/</link>{items}"
        return f'<?xml version="1.0"?>\n<rss version="2.0"><channel>{channel}</channel></rss>'


_SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
_ENGLISH = {
    "title": "post-title",
    "byline": "post-meta",
    "content": "post-content",
    "inner": "wrap",
    "tags": "post-tags",
    "share": "share-buttons",
    "author": "author-box",
    "around": "post-navigation",
    "related": "related-posts",
    "site": "site-title",
}
_UTILITY = (
    "mx-auto max-w-3xl px-4",
    "mt-8 flex gap-2",
    "py-6 text-sm",
    "grid grid-cols-1 gap-8",
    "rounded-lg border p-4",
)


def _a(href: str, text: str) -> str:
    return f'<a href="{href}">{escape(text)}</a>'
