"""What a source gives: posts, and what was not taken with the reason why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_twin.collect import urls
from llm_twin.contracts.records import Kind, Post


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file, message or address that was not taken; `reason` is the same phrase for all of its kind."""

    where: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", whole(self.where))


@dataclass(frozen=True, slots=True)
class Withdrawn(Rejected):
    """A post that may have been public before at another address; `revision` is that of its text."""

    revision: str


# The control characters and the directions that could write over what a terminal shows of a post. Joiners
# and the marks for right and left (U+200C to U+200F) stay: scripts and emoji are written with them.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c]")  # of those that are controls: U+2028 moves nothing
# Windows-1252 that was taken for Latin-1, as browsers read it (WHATWG HTML, numeric character references):
# its quotes, dashes and dots are the author's.
_WINDOWS = {chr(n): bytes([n]).decode("cp1252", "ignore") for n in range(0x80, 0xA0)}
_MISREAD = re.compile("[\x80-\x9f]")  # a search, since `translate` looks at every character of every post

# Reasons that say nothing of whether a post is still there: an export that has one proves no absence.
DAMAGED = frozenset(
    {
        "cannot be read",
        "too large",
        "archive too large",
        "not UTF-8",
        "broken record",
        "broken front matter",
        "broken row",
        "no row in posts.csv",
    }
)

# Reasons by which an author has taken back what may have been public before.
WITHDRAWN = frozenset(
    {"draft", "scheduled", "private", "trash", "connections only", "protected by a password"}
)

Item = Post | Rejected


class Thread(Post):
    """Several short texts as one post; `parts` are the ids that those after the first would have alone."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was recognised.

    Attributes:
        source: whose export of what, such as "mastodon:https://social.example/users/author".
        complete: it holds all that its author has there, so a post of this source that is not in it is gone.
        items: read while they are asked for.
        note: a line for the person, where something had to be chosen.
    """

    source: str
    complete: bool
    items: Iterator[Item]
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", whole(self.source))


def whole(text: str) -> str:
    """A text as it can be stored and shown: JSON, YAML and names of files may hold what neither can take.

    Two halves of a character become the one that they are, any other half becomes U+FFFD. Every line ends in
    "\\n"; other control characters go.
    """
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", _MISREAD.sub(lambda found: _WINDOWS[found[0]], text)))


def same_author(wanted: str, named: str) -> bool:
    """Whether a byline names an author: alone, or among several, also where the name itself has a comma."""
    wanted, named = wanted.casefold().strip(), named.casefold().strip()
    return f", {wanted}," in f", {named}," or wanted in map(str.strip, re.split(r",|;|&|\band\b|\n", named))


def id_at(address: str) -> str:
    """The id of the post at an address, be it one of the web or not."""
    cleaned = urls.clean(address)
    return Post.id_of(urls.canonical(cleaned) if cleaned else address)


def post(
    address: str,
    title: str,
    markdown: str,
    published_at: str | None = None,
    kind: Kind = "post",
    author: str | None = None,
    tags: Sequence[str] = (),
) -> Post:
    """A post with the identity that its address gives it.

    Args:
        address: the permanent http(s) address where the source knows one, so that the post is the same one as
            from a crawl; else a text that stays the same from export to export, such as "file:blog/one.md".
    """
    address, title, markdown = whole(address), whole(title), whole(markdown)
    return Post(
        id=id_at(address),
        url=urls.clean(address) or address,
        title=title,
        published_at=published_at,
        markdown=markdown,
        revision=Post.revision_of(title, markdown),
        kind=kind,
        author=whole(author) if author else None,
        tags=tuple(dict.fromkeys(map(whole, tags))),
    )
