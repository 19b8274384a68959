"""Official exports, each recognised by what is in it and not by its name.

A module reads one platform: its `read` gives None where the archive is of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath

from llm_twin.collect.exports import (
    bluesky,
    ghost,
    html_folder,
    linkedin,
    mailbox,
    markdown_folder,
    mastodon,
    medium,
    substack,
    twitter,
    wordpress,
)
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Rejected

Reader = Callable[[Archive], Export | None]

# From the most particular to the most general: a folder of Markdown may lie in any export.
READERS: tuple[Reader, ...] = (
    mastodon.read,
    twitter.read,
    linkedin.read,
    bluesky.read,
    medium.read,
    substack.read,
    wordpress.read,
    ghost.read,
    mailbox.read,
    markdown_folder.read,
)
_TAKE_PAGES = frozenset({linkedin.read, medium.read, substack.read, markdown_folder.read})
_PAGES = frozenset({".html", ".htm", ".xhtml"})


def read(archive: Archive, author: str | None = None) -> tuple[list[Export], list[Rejected]]:
    """The exports that an archive holds, and its files of another kind; none where no reader knows it.

    `author` chooses among those who sent a mailbox's letters; of other exports none is left out by it.
    Readers take files of their own kinds, so that a folder may hold several exports. Only pages may be of
    any: they are a folder of HTML where nothing else is, since exports come with pages about themselves.
    """
    alone = len(archive.names) == 1  # what is given alone is tried by every reader, whatever its name
    found: dict[Reader, Export] = {}
    for reader in READERS:
        if alone and found:
            break
        export = mailbox.read(archive, author) if reader is mailbox.read else reader(archive)
        if export:
            found[reader] = export
    if not found:
        pages = html_folder.read(archive)
        return ([pages] if pages else []), []
    left = set() if found.keys() & _TAKE_PAGES else set(_PAGES)
    left |= set() if markdown_folder.read in found else markdown_folder.MARKDOWN
    beside = [] if alone else [n for n in archive.names if PurePosixPath(n).suffix.lower() in left]
    return list(found.values()), [Rejected(n, "another kind: collect it by itself") for n in beside]
