"""Dress the sample posts the way a blog engine does: neighbours, related posts, teasers, comments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from pathlib import Path

import yaml

from llm_twin.sample import SamplePost, markup, posts

COMMENTS = Path(__file__).parent / "comments.yaml"
PUBLISHED_AT = time(7, 40, tzinfo=UTC)
RELATED = 3
TEASER_WORDS = 30
STALE_YEARS = 3
CONTENTS_FROM = 3


@dataclass(frozen=True)
class Comment:
    """What a reader, or the author in reply, left under a post."""

    name: str
    date: date
    text: str
    by_author: bool = False

    @property
    def html(self) -> str:
        """The text as the engine prints it."""
        return markup.feed_html(self.text)


@dataclass(frozen=True)
class Entry:
    """A post with everything its page shows around it."""

    post: SamplePost
    comments: tuple[Comment, ...]
    older: SamplePost | None
    newer: SamplePost | None
    related: tuple[SamplePost, ...]
    stale_years: int

    @property
    def published(self) -> datetime:
        """The moment the engine calls the post published; the posts themselves know only a day."""
        return datetime.combine(self.post.date, PUBLISHED_AT)

    @property
    def html(self) -> str:
        """The body of the post's own page."""
        return markup.page_html(self.post.markdown)

    @property
    def feed_html(self) -> str:
        """The body as the feed carries it."""
        return markup.feed_html(self.post.markdown)

    @property
    def excerpt(self) -> str:
        """The opening words, for listings and descriptions."""
        return markup.excerpt(self.post.markdown)

    @property
    def minutes(self) -> int:
        """The reading time in the byline."""
        return markup.reading_minutes(self.post.markdown)

    @property
    def contents(self) -> list[markup.Heading]:
        """The table of contents, empty for a post with few headings."""
        found = markup.headings(self.post.markdown)
        return found if len(found) >= CONTENTS_FROM else []


def teaser(post: SamplePost) -> str:
    """Cut the few words that stand under a related post's title."""
    return markup.excerpt(post.markdown, TEASER_WORDS)


def entries() -> list[Entry]:
    """Dress every post, newest first."""
    written = posts()
    said = comments()
    older = {new.slug: old for old, new in pairwise(written)}
    newer = {old.slug: new for old, new in pairwise(written)}
    dressed = [
        Entry(
            post=post,
            comments=said.get(post.slug, ()),
            older=older.get(post.slug),
            newer=newer.get(post.slug),
            related=related(post, written),
            stale_years=_stale_years(post, written[-1]),
        )
        for post in written
    ]
    return dressed[::-1]


def comments() -> dict[str, tuple[Comment, ...]]:
    """Read the comments, by the slug of the post they stand under."""
    listed = yaml.safe_load(COMMENTS.read_text(encoding="utf-8"))
    return {slug: tuple(Comment(**row) for row in rows) for slug, rows in listed.items()}


def related(post: SamplePost, written: Sequence[SamplePost]) -> tuple[SamplePost, ...]:
    """Choose the posts that share most tags, the nearest in time first."""
    others = [other for other in written if other.slug != post.slug and set(other.tags) & set(post.tags)]

    def distance(other: SamplePost) -> tuple[int, int, str]:
        return -len(set(other.tags) & set(post.tags)), abs((other.date - post.date).days), other.slug

    return tuple(sorted(others, key=distance)[:RELATED])


def _stale_years(post: SamplePost, newest: SamplePost) -> int:
    """Count the years after which the theme warns that a post is old; 0 for a post it does not warn about."""
    years = (newest.date - post.date).days // 365
    return years if years >= STALE_YEARS else 0
