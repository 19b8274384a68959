"""Which files hold words of a post: its address or id, or five words in a row that no other post has.

Five words are the shingles that near-duplicates are found by (see `near`). A run that stands in another post
too says nothing, and stays where it is. Text is read with its JSON escapes undone, so that logs and reports
are searched as what they say. Zip files are looked into: exported models and accounts hold words too.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO

from llm_twin.contracts.records import Post
from llm_twin.feature.near import PART, words

_RUN = 5
_HEAD = 4096  # bytes in which a file that is no text (an image, a database) has a zero
_ZIP = b"PK\x03\x04"
_MOST_TEXT = 64 * 2**20  # bytes of a text in a zip file; the posts of a busy account have tens of megabytes
_MOST_GROWTH = 200  # times a zip file's own size; text stays below 20
_BROKEN = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_NEVER = r"(?!)"
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([nrtbf\"/\\]))")


class Traces:
    """What gives posts away.

    Attributes:
        alike: those of the other posts that hold a good part of the same runs of words, or whose own runs
            the posts hold.
    """

    def __init__(self, posts: Sequence[Post], texts: Iterable[str], others: Iterable[Post]) -> None:
        """`texts` are all that the posts ever said, titles included; `others` the posts that stay."""
        names = "|".join(re.escape(name) for post in posts for name in (post.id, post.url))
        self._names = re.compile(rf"(?<!\w)(?:{names or _NEVER})(?!/?[\w%-])")  # not a longer address
        own = {run for text in texts for run in _runs(words(text))}
        self._runs, alike = set(own), []
        for other in others:
            theirs = set(_runs(words(other.title))) | set(_runs(words(other.markdown)))
            shared = own & theirs
            self._runs -= shared
            if shared and len(shared) >= PART * min(len(own), len(theirs)):
                alike.append(other)
        self.alike: tuple[Post, ...] = tuple(alike)

    def within(self, path: Path) -> bool | None:
        """Whether a file of UTF-8 text, or a text in a zip file, holds any of it.

        One that is gone or closed to us does not. None for a zip file in which nothing was found, and of
        which some cannot be read.
        """
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD)
                file.seek(0)
                if head.startswith(_ZIP):
                    return self._in_zip(file, path.stat().st_size)
                return b"\0" not in head and self._in_text(file)
        except OSError:
            return False

    def _in_zip(self, file: IO[bytes], size: int) -> bool | None:
        try:
            with zipfile.ZipFile(file) as archive:
                members = [member for member in archive.infolist() if not member.is_dir()]
                if sum(member.file_size for member in members) > _MOST_GROWTH * size:
                    return None
                found = [self._in_member(archive, member) for member in members]
        except _BROKEN:
            return None
        return any(found) or (None if None in found else False)

    def _in_member(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool | None:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return None  # the others unpack without bound
        try:
            with archive.open(member) as packed:  # which gives no more than the announced size
                head = packed.read(_HEAD)
            if head.startswith(_ZIP):
                return None
            if b"\0" in head:
                return False
            if member.file_size > _MOST_TEXT:
                return None
            with archive.open(member) as packed:
                return self._in_text(packed)
        except _BROKEN:
            return None

    def _in_text(self, file: IO[bytes]) -> bool:
        last: list[str] = []
        with TextIOWrapper(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                plain = _ESCAPED.sub(_plain, line)
                found = last + words(plain)
                if self._names.search(plain) or any(run in self._runs for run in _runs(found)):
                    return True
                last = found[1 - _RUN :]
        return False


def _runs(found: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(found[first : first + _RUN]) for first in range(len(found) - _RUN + 1))


def _plain(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return escape[2] if escape[2] in '"\\/' else " "
