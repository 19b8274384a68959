"""What the stores keep beside a chunk's vectors, and what a `Filter` asks of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from llm_twin.contracts.ports import Filter
from llm_twin.contracts.records import Chunk, Post

# Of a store's contents: a change of the fields, the tokens or the vectors' names makes older indexes useless.
LAYOUT = 2
CHUNK = "chunk_id"
KEYWORDS = ("post_id", "source", "kind", "language")
PUBLISHED = "published"
_EPOCH = date(1970, 1, 1).toordinal()


def payload(chunk: Chunk, post: Post) -> dict[str, Any]:
    """The fields of a point."""
    return {CHUNK: chunk.id} | of_post(post)


def of_post(post: Post) -> dict[str, Any]:
    """Those that all chunks of a post share. What is not known of it is left out, and so meets no filter.

    A date that cannot be read (WordPress writes "0000-00-00") is not known.
    """
    fields = {
        "post_id": post.id,
        "source": urlsplit(post.url).hostname,
        "kind": post.kind,
        "language": post.language,
        PUBLISHED: _published(post),
    }
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Conditions:
    """A `Filter` in the terms of the payload.

    Attributes:
        among: a field must have one of these values, for each field.
        outside: a field must have none of these values, for each field.
        first, last: bounds of `published`, inclusive, in days since 1970.
    """

    among: dict[str, list[str]]
    outside: dict[str, list[str]]
    first: int | None
    last: int | None

    @property
    def exact(self) -> bool:
        """Whether to compare with all that pass: the graph has no links among posts that a filter names."""
        return "post_id" in self.among

    @property
    def dated(self) -> bool:
        """Whether there is a bound of `published`."""
        return self.first is not None or self.last is not None


def conditions(where: Filter | None) -> Conditions | None:
    """None where nothing is restricted. Raises ValueError for a bound that is no ISO date."""
    if where is None or where == Filter():
        return None
    return Conditions(
        among=_given(
            post_id=where.posts,
            source={host.lower() for host in where.sources},
            kind=where.kinds,
            language=where.languages,
        ),
        outside=_given(post_id=where.without_posts),
        first=days(where.since) if where.since else None,
        last=days(where.until) if where.until else None,
    )


def days(moment: str) -> int:
    """Days from 1970-01-01 to the date of an ISO 8601 date or date-time, as it is written there."""
    return date.fromisoformat(moment[:10]).toordinal() - _EPOCH


def _published(post: Post) -> int | None:
    try:
        return days(post.published_at or "")
    except ValueError:
        return None


def _given(**fields: Iterable[str]) -> dict[str, list[str]]:
    return {name: sorted(values) for name, values in fields.items() if values}
