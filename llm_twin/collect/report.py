"""What a run of `collect` did, for people and for --json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote

from llm_twin.collect import urls
from llm_twin.collect.item import WITHDRAWN, Item, Rejected, Withdrawn, id_at, same_author
from llm_twin.collect.library import Change, Library
from llm_twin.contracts import private
from llm_twin.contracts.private import Kind
from llm_twin.contracts.records import Post

_FOLDERS = frozenset({"folder", "html"})  # sources whose posts may have no address but that of their file


@dataclass(frozen=True, slots=True)
class CollectReport:
    """The result of a run.

    Attributes:
        refused: number of refusals by reason.
        refusals: every refusal.
        taken: addresses of all posts that were found, changed or not, in the order they were read.
        private: number of e-mail addresses, phone numbers, keys and tokens by kind in the posts taken.
        requests: requests sent over HTTP, robots.txt and redirects included.
        dry_run: nothing was written; the counts say what would have been.
    """

    posts_new: int
    posts_changed: int
    posts_unchanged: int
    posts_removed: int
    refused: dict[str, int]
    refusals: tuple[Rejected, ...]
    taken: tuple[str, ...]
    private: dict[Kind, int]
    requests: int
    seconds: float
    dry_run: bool

    @property
    def posts(self) -> int:
        """Number of posts that the sources hold now."""
        return self.posts_new + self.posts_changed + self.posts_unchanged


@dataclass(slots=True)
class Tally:
    """The counts of a run while it goes on, and the one way by which posts reach the library.

    Attributes:
        author: only posts that name this author, or none, are taken.
        _found: by source and by the id under which a post is stored, the id of the address at which this run
            found it first, and its revision there.
    """

    library: Library
    dry_run: bool
    author: str | None = None
    changes: Counter[Change] = field(default_factory=Counter)
    private: Counter[Kind] = field(default_factory=Counter)
    removed: int = 0
    requests: int = 0
    taken: list[str] = field(default_factory=list)
    refusals: list[Rejected] = field(default_factory=list)
    _found: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)

    @property
    def posts(self) -> int:
        """Number of posts taken so far."""
        return len(self.taken)

    def add(self, item: Item, source: str) -> None:
        """Store a post, or only compare it in a dry run; count what was not taken."""
        if isinstance(item, Rejected):
            self.refusals.append(Rejected(item.where, item.reason))
        elif self._is_of_another(item.author):
            self.refusals.append(Rejected(item.url, "by another author"))
            self._drop_of_another(item)
        elif self.library.compare(item) == "forgotten":
            self.refusals.append(Rejected(item.url, "forgotten"))
            if not self.dry_run:
                self.library.upsert(item, source)  # which marks all texts of a thread
        else:
            self.changes[self._store(item, source)] += 1
            self.private.update(private.tally(private.find(f"{item.title}\n\n{item.markdown}")))
            self.taken.append(item.url)

    def at_home(self, found: Item, source: str) -> Item:
        """What a folder has, at an address of its own where another one of its name has that file too.

        The address of a file says its folder's name and not where that lies, so that it stays the same where
        the folder is moved. Where both files have the same text, they are one post.
        """
        address = found.where if isinstance(found, Rejected) else found.url
        kind, _, here = source.partition(":")
        if kind not in _FOLDERS or not address.startswith("file:"):
            return found
        label, _, name = address.removeprefix("file:").partition("/")
        file = (
            unquote(name, errors="surrogateescape") if kind == "html" else name
        )  # it is as in a page's address
        own = f"file:{label}~{sha256(here.encode()).hexdigest()[:8]}/{name}"
        if not self.library.source(id_at(own)):
            kind, _, there = self.library.source(id_at(address)).partition(":")
            another = kind in _FOLDERS and there != here
            if not another or not (Path(here, file).is_file() and Path(there, file).is_file()):
                return found
            if isinstance(found, Post) and self.library.compare(found) == "unchanged":
                return found
        if isinstance(found, Rejected):
            return replace(found, where=own)
        return found.model_copy(update={"id": id_at(own), "url": own})

    def _store(self, post: Post, source: str) -> Change:
        """Store a post, or only compare it in a dry run.

        What became one post because its texts were equal is two again where a source has it at two addresses
        with different texts, since each would overwrite the other. Two sources may well differ: an export can
        be older than the site, and name an address that now leads to another.
        """
        stored = self.library.stored(post) or post.id
        address, revision = self._found.setdefault((source, stored), (post.id, post.revision))
        if apart := address != post.id and revision != post.revision:
            self._found[source, address] = (address, revision)
            if not self.dry_run:
                self.library.part(address, post.id)
                # Its text may be that of a third address, which may have another one now.
                self._found[source, self.library.stored(post) or post.id] = (post.id, post.revision)
        if self.dry_run:
            return "new" if apart else self.library.compare(post)
        return self.library.upsert(post, source)

    def _drop_of_another(self, post: Post) -> None:
        """Remove a stranger's post that an earlier run took; not one that was stored as the author's own.

        What named no author is the author's: files of one's own seldom do, and a magazine that has the same
        text names its staff.
        """
        kept = self.library.standing(post.id)
        if kept and self._is_of_another(kept.author):
            self.gone(kept.id, for_good=True)

    def _is_of_another(self, named: str | None) -> bool:
        return bool(self.author and named and not same_author(self.author, named))

    def refuse_all(self, refusals: Iterable[Rejected]) -> None:
        """Count what was not taken."""
        self.refusals.extend(refusals)

    def withdrawn(self, refusals: Iterable[Rejected]) -> set[str]:
        """Ids of stored posts that their author has taken back, by the refusals of a source.

        Not of a post that this run has found: it is public there.
        """
        ids = {p.id for r in refusals if r.reason in WITHDRAWN and (p := self._stored_before(r))}
        return ids - self.present() if ids else ids

    def present(self) -> set[str]:
        """Ids of stored posts that this run has found."""
        return {self.library.identity(id_at(url)) for url in self.taken}

    def _stored_before(self, refused: Rejected) -> Post | None:
        """The post that was last found at an address, or on its site with the same text."""
        identity = id_at(refused.where)
        if kept := self.library.standing(identity):
            return kept if id_at(kept.url) == identity else None
        same = self.library.of_text(refused.revision) if isinstance(refused, Withdrawn) else None
        return same if same and urls.site(same.url) == urls.site(refused.where) != "" else None

    def move(self, old: str, new: str) -> None:
        """Keep the history of a post whose address changed."""
        if not self.dry_run:
            self.library.move(old, new)

    def gone(self, post_id: str, for_good: bool) -> None:
        """Mark a post as removed at its source: at once, or where it is not found for the second time."""
        identity = self.library.identity(post_id)
        if self.dry_run:
            self.removed += for_good
        elif self.library.mark_removed(identity) if for_good else self.library.miss(identity):
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
            private=dict(self.private),
            requests=self.requests,
            seconds=seconds,
            dry_run=self.dry_run,
        )
