"""The files of an archive in which an export's content is looked for, and their text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.item import Rejected

HEAD_BYTES = 65_536  # in which a file says what it is, after comments for the reader
_MOST = 20  # an export's own file lies near its top, and an archive of something else may have thousands
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def heads(archive: Archive, *suffixes: str) -> Iterator[tuple[str, bytes]]:
    """Names and first bytes of all files with a suffix, the nearest to the top first: exports have parts.

    A file that is given alone counts whatever its name. What cannot be read is told of by the archive.
    """
    for name in _named(archive, suffixes):
        try:
            yield name, archive.head(name, HEAD_BYTES)
        except Unreadable as unreadable:
            if len(archive.names) > 1:  # several readers try one that is alone
                archive.rejected.append(Rejected(name, str(unreadable)))


def candidates(archive: Archive, *suffixes: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the first `_MOST` of the same files: an export is one of them, whole.

    What cannot be read is left out.
    """
    for name in _named(archive, suffixes)[:_MOST]:
        try:
            yield name, archive.read(name)
        except Unreadable:
            continue


def decode(content: bytes) -> str:
    """The text of a file that should be UTF-8: by its byte order mark, else UTF-8, else windows-1252."""
    if content.startswith(_WIDE_MARKS):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _named(archive: Archive, suffixes: tuple[str, ...]) -> list[str]:
    if len(archive.names) == 1:
        return list(archive.names)
    named = [n for n in archive.names if PurePosixPath(n).suffix.lower() in suffixes]
    return sorted(named, key=lambda n: n.count("/"))
