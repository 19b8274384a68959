"""Is a page a post? Every page that is not gets one reason, the same words for all pages of its kind."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from llm_twin.collect import urls
from llm_twin.collect.pages.extract import Draft
from llm_twin.collect.pages.page import ARTICLE_TYPES, LISTING_TYPES, Meta

_LISTING = re.compile(
    r"/(?:tags?|categor(?:y|ies)|topics?|labels?|authors?|series|search|all-posts|sitemap|index)(?:/[^/]+){0,2}/?$|"
    r"/archives?(?:/\d+){0,2}/?$|/tag:[^/]+/?$|/(?:page/?|index[-_]?)\d+(?:\.html?)?/?$|"
    r"^/(?:blog|posts?|writing|articles?|notes|journal|news)/?$",
    re.IGNORECASE,
)
_PERIOD = re.compile(r"^(?:/[a-z]+)?/(?:19|20)\d{2}(?:/\d{1,2})?/?$", re.IGNORECASE)
_STANDING = re.compile(
    r"/(?:about(?:-me|-us)?|contact|now|uses|colophon|imprint|impressum|privacy(?:-policy)?|terms|subscribe|newsletter|"
    r"projects|portfolio|links|blogroll|resume|cv|hire-me|drafts)(?:\.\w+)?/?$|^/404(?:\.\w+)?/?$",
    re.IGNORECASE,
)
_DATED = re.compile(r"/\d{4}/")
_PAGED = frozenset({"page", "paged", "p_n", "offset", "cat", "tag", "m", "s", "q", "replytocom"})
_MOST_LINKED = 0.7  # share of words in links, from which a page is a list of them
_STACKED = 3  # articles side by side
_FEWEST_WORDS = 5
NO_TEXT = "no text"
NO_DATE = "no date"
UNLIKE = "unlike the posts"


def why_not_address(url: str) -> str | None:
    """Why an address is one of a listing or a standing page; None where it may be a post."""
    split = urlsplit(url)
    path = urlsplit(urls.canonical(url)).path
    if path == "/" and not split.query:
        return "front page"
    if _PAGED & {key.lower() for key, _ in parse_qsl(split.query, keep_blank_values=True)}:
        return "listing"
    if _LISTING.search(path) or _PERIOD.match(path):
        return "listing"
    return "standing page" if _STANDING.search(path) and not _DATED.search(path) else None


def why_not_page(url: str, meta: Meta) -> str | None:
    """Why a page cannot be a post, by what it says of itself."""
    if meta.refresh:
        return "redirect stub"
    canonical = meta.canonical
    # A canonical address on another host is where the author also publishes; the front page is a theme's
    # mistake.
    elsewhere = canonical and urls.canonical(canonical) != urls.canonical(url)
    if canonical and elsewhere and urls.same_site(canonical, url) and urlsplit(canonical).path.strip("/"):
        return "copy of another address"
    if meta.kinds & LISTING_TYPES and not meta.kinds & ARTICLE_TYPES:
        return "listing"
    return None


def why_not_post(draft: Draft, meta: Meta, vouched: bool, alike: bool) -> str | None:
    """Why a page is no post, by all that was read from it.

    Args:
        vouched: the site's feed lists it, or the person who gave it says so.
        alike: its address has the form of the posts in the feed.
    """
    said = bool(meta.kinds & (ARTICLE_TYPES | {"h-entry"}))
    if not vouched and (draft.stacked >= _STACKED or draft.linked > _MOST_LINKED):
        return "listing"
    if draft.words < _FEWEST_WORDS:
        return NO_TEXT
    if vouched:
        return None
    if meta.unlisted and not said:
        return "asks not to be listed"
    if not draft.published_at:
        return None if alike and draft.fits and said else NO_DATE
    return None if said or draft.fits or alike else UNLIKE
