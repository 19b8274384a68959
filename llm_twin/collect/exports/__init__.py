"""Official exports, each recognised by what is in it and not by its name.

A module reads one platform: its `read` gives None where the archive is of another kind.
"""

from __future__ import annotations

from collections.abc import Callable

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
from llm_twin.collect.item import Export

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
    html_folder.read,
)


def read(archive: Archive) -> Export | None:
    """The export that an archive holds; None where no reader knows it."""
    return next((export for reader in READERS if (export := reader(archive))), None)
