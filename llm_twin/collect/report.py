"""What a run of `collect` did, for people and for --json."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from llm_twin.collect.library import Change, Library
from llm_twin.contracts.records import Post


@dataclass(frozen=True, slots=True)
class Refusal:
    """An address or file that was not taken, and why."""

    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class CollectReport:
    """The result of a run.

    Attributes:
        refused: number of refusals by reason.
        refusals: every refusal.
        taken: addresses of all posts that were found, changed or not, in the order they were read.
        requests: requests sent over HTTP, robots.txt and redirects included.
        dry_run: nothing was written; the counts say what would have been.
    """

    posts_new: int
    posts_changed: int
    posts_unchanged: int
    posts_removed: int
    refused: dict[str, int]
    refusals: tuple[Refusal, ...]
    taken: tuple[str, ...]
    requests: int
    seconds: float
    dry_run: bool

    @property
    def posts(self) -> int:
        """Number of posts that the sources hold now."""
        return self.posts_new + self.posts_changed + self.posts_unchanged


@dataclass(slots=True)
class Tally:
    """The counts of a run while it goes on, and the one way by which posts reach the library."""

    library: Library
    dry_run: bool
    changes: Counter[Change] = field(default_factory=Counter)
    removed: int = 0
    requests: int = 0
    taken: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def take(self, post: Post) -> None:
        """Store a post, or only compare it in a dry run."""
        self.changes[self.library.compare(post) if self.dry_run else self.library.upsert(post)] += 1
        self.taken.append(post.url)

    def refuse(self, url: str, reason: str) -> None:
        """Count an address that was not taken."""
        self.refusals.append(Refusal(url, reason))

    def gone(self, post_id: str) -> None:
        """Mark a post as removed at its source."""
        if self.dry_run or self.library.mark_removed(post_id):
            self.removed += 1

    def report(self, seconds: float) -> CollectReport:
        """The counts so far."""
        return CollectReport(
            posts_new=self.changes["new"],
            posts_changed=self.changes["changed"],
            posts_unchanged=self.changes["unchanged"],
            posts_removed=self.removed,
            refused=dict(Counter(r.reason for r in self.refusals).most_common()),
            refusals=tuple(self.refusals),
            taken=tuple(self.taken),
            requests=self.requests,
            seconds=seconds,
            dry_run=self.dry_run,
        )
