"""The public APIs of blog engines, which give every post where a feed gives the newest.

Nothing is asked here: `find` says what a page's site offers and the first address, `parse` reads one answer
and says the next. The addresses are those of the engines' documentation (WordPress REST API v2, Ghost Content
API v5, paged feeds of Blogger and WordPress) and of the archive that Substack's own pages ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from llm_twin.collect import dates, jsontext, plaintext, urls
from llm_twin.collect.item import Rejected
from llm_twin.collect.jsontext import dicts, string
from llm_twin.collect.pages import page
from llm_twin.collect.plaintext import one_line
from llm_twin.collect.web import feeds
from llm_twin.collect.web.feeds import Entry

if TYPE_CHECKING:
    from lxml.html import HtmlElement

Engine = Literal["wordpress", "wordpress feed", "ghost", "substack", "blogger"]

# By engine: the parameter that counts; what it grows by (0: by the posts of the answer); how many posts an
# answer has that is not the last; and the largest value. No blog has more than 100,000 posts: a server that
# goes on for ever is left there.
_PAGING: dict[Engine, tuple[str, int, int, int]] = {
    "wordpress": ("page", 1, 100, 1000),
    "wordpress feed": ("paged", 1, 1, 10_000),
    "ghost": ("page", 1, 1, 1000),
    "substack": ("offset", 0, 1, 100_000),
    "blogger": ("start-index", 0, 1, 100_000),
}
_GHOST_KEY = re.compile(r"[0-9A-Za-z]{10,64}")
_GHOST_PATH = "/ghost/api/content/"
# Where Ghost's own hosting answers for sites under another name.
_GHOST_HOST = re.compile(r"(?:^|\.)ghost\.io$")


@dataclass(frozen=True, slots=True)
class Api:
    """A public API that a site names.

    Attributes:
        site: an address of the site whose posts it gives.
        first: the address of its first answer.
    """

    engine: Engine
    site: str
    first: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        entries: posts; those of Substack come without their bodies.
        rejected: what is no public post of the site.
        next: the address to ask next.
    """

    entries: tuple[Entry, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    next: str | None = None


def find(root: HtmlElement, url: str) -> Api | None:
    """The API of the site that a page belongs to, by the marks that engines leave in it; None without one.

    Args:
        root: the page's tree.
        url: the page's address.
    """
    finders: tuple[tuple[Engine, Callable[[HtmlElement, str], str | None]], ...] = (
        ("wordpress", _find_wordpress),
        ("ghost", _find_ghost),
        ("substack", _find_substack),
        ("blogger", _find_blogger),
        ("wordpress feed", _find_wordpress_feed),
    )
    for engine, first in finders:
        address = urls.clean(first(root, url) or "", url)
        if address and (urls.same_site(address, url) or (engine == "ghost" and _ghost_host(address))):
            return Api(engine, url, address)
    return None


def parse(api: Api, body: bytes, url: str) -> Answer:
    """Read the answer that `url` gave; what is broken in it is left out, and nothing is raised.

    `next` is on the host of `url` and further on, so that following it ends.
    """
    if api.engine in ("wordpress feed", "blogger"):
        return _feed(api, body, url)
    found = jsontext.load(body)
    posts = found.get("posts") if isinstance(found, dict) else found
    items = dicts(posts)
    read = {"wordpress": _wordpress, "ghost": _ghost, "substack": _substack}[api.engine]
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    for item in items:
        entry, reason = read(item, url)
        if entry is None:
            rejected.append(Rejected(url, "no address"))
        elif reason or not urls.same_site(entry.url, api.site):
            rejected.append(Rejected(entry.url, reason or "of another site"))
        else:
            entries.append(entry)
    return Answer(tuple(entries), tuple(rejected), _next(api, url, len(items), found))


def _find_wordpress(root: HtmlElement, url: str) -> str | None:
    """The link relation of the REST API, which may be a path or a parameter ("?rest_route=/")."""
    named = (a.get("href") for a in root.iter("link") if a.get("rel") == "https://api.w.org/")
    top = urls.clean(next(named, None) or "", url)
    if not top:
        return None
    asked = {"per_page": 100, "page": 1, "_embed": "author"}
    if route := dict(parse_qsl(urlsplit(top).query)).get("rest_route"):
        return _with(top, {"rest_route": f"{route.rstrip('/')}/wp/v2/posts", **asked})
    return _with(f"{top.rstrip('/')}/wp/v2/posts", asked)


def _find_ghost(root: HtmlElement, url: str) -> str | None:
    """The Content API with the public key that Ghost puts on every page for its own scripts."""
    for script in root.iter("script"):
        key, top = script.get("data-key") or "", urls.clean(script.get("data-api") or "", url)
        if top and _GHOST_KEY.fullmatch(key) and urlsplit(top).path.endswith(_GHOST_PATH):
            asked = {"key": key, "limit": 100, "page": 1, "include": "authors,tags"}
            return _with(urljoin(top, "posts/"), asked)
    return None


def _find_substack(root: HtmlElement, url: str) -> str | None:
    marked = any("substackcdn.com" in (link.get("href") or "") for link in root.iter("link"))
    archive = urljoin(url, "/api/v1/archive")
    return _with(archive, {"sort": "new", "offset": 0, "limit": 50}) if marked else None


def _find_blogger(root: HtmlElement, url: str) -> str | None:
    asked = {"alt": "rss", "max-results": 150, "start-index": 1}
    return _with(urljoin(url, "/feeds/posts/default"), asked) if _made_by(root, "blogger") else None


def _find_wordpress_feed(root: HtmlElement, url: str) -> str | None:
    """The site's feed, page by page; for sites that have closed their REST API."""
    named = page.feed_links(root, url)
    return _with(named[0], {"paged": 1}) if named and _made_by(root, "wordpress") else None


def _made_by(root: HtmlElement, engine: str) -> bool:
    made = (m.get("content") or "" for m in root.iter("meta") if (m.get("name") or "").lower() == "generator")
    return any(m.lower().startswith(engine) for m in made)


def _ghost_host(url: str) -> bool:
    return bool(_GHOST_HOST.search(urlsplit(url).hostname or ""))


def _wordpress(item: dict[str, Any], url: str) -> tuple[Entry | None, str | None]:
    content, embedded = _dict(item, "content"), _dict(item, "_embedded")
    moment = string(item.get("date_gmt"))
    entry = _entry(
        url,
        address=item.get("link"),
        title=plaintext.of_html(string(_dict(item, "title").get("rendered"))),
        date=f"{moment}+00:00" if "T" in moment else item.get("date"),
        names=dicts(embedded.get("author")),
        html=content.get("rendered"),
    )
    return entry, "protected by a password" if content.get("protected") else None


def _ghost(item: dict[str, Any], url: str) -> tuple[Entry | None, str | None]:
    entry = _entry(
        url,
        address=item.get("url"),
        title=string(item.get("title")),
        date=item.get("published_at"),
        names=[_dict(item, "primary_author"), *dicts(item.get("authors"))],
        html=item.get("html"),
        tags=dicts(item.get("tags")),
    )
    return entry, None if item.get("visibility") in (None, "public") else "for subscribers only"


def _substack(item: dict[str, Any], url: str) -> tuple[Entry | None, str | None]:
    entry = _entry(
        url,
        address=item.get("canonical_url"),
        title=string(item.get("title")),
        date=item.get("post_date"),
        names=dicts(item.get("publishedBylines")),
        html="",
        tags=dicts(item.get("postTags")),
    )
    return entry, None if item.get("audience") in (None, "everyone") else "for subscribers only"


def _entry(
    base: str,
    address: Any,
    title: str,
    date: Any,
    names: list[dict[str, Any]],
    html: Any,
    tags: list[dict[str, Any]] | None = None,
) -> Entry | None:
    page_url = urls.clean(string(address), base) if string(address) else None
    if page_url is None:
        return None
    return Entry(
        url=page_url,
        title=one_line(title),
        published_at=dates.iso(string(date)),
        author=plaintext.names(string(a.get("name")) for a in names),
        tags=tuple(tag for t in tags or () if (tag := one_line(string(t.get("name"))))),
        html=string(html),
    )


def _feed(api: Api, body: bytes, url: str) -> Answer:
    found = feeds.parse(body, url)
    own = tuple(e for e in found.entries if urls.same_site(e.url, api.site))
    rejected = [Rejected(e.url, "of another site") for e in found.entries if e not in own]
    rejected += [Rejected(where, "a reader's comment") for where in found.comments]
    return Answer(own, tuple(rejected), _next(api, url, len(found.entries), None))


def _next(api: Api, url: str, count: int, found: Any) -> str | None:
    """The address after `url`, whose answer held `count` posts."""
    name, step, fewest, last = _PAGING[api.engine]
    asked = dict(parse_qsl(urlsplit(url).query)).get(name, "")
    if count < fewest or not re.fullmatch(r"[0-9]{1,6}", asked):
        return None
    following = int(asked) + (step or count)
    if api.engine == "ghost":
        said = _dict(_dict(found, "meta"), "pagination").get("next")
        following = following if said == following else last + 1
    return _with(url, {name: following}) if following <= last else None


def _with(url: str, asked: dict[str, Any]) -> str:
    """An address with parameters, which take the place of those of the same name."""
    split = urlsplit(url)
    query = dict(parse_qsl(split.query, keep_blank_values=True)) | asked
    return split._replace(query=urlencode(query)).geturl()


def _dict(holder: Any, key: str) -> dict[str, Any]:
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if isinstance(found, dict) else {}
