"""The files of an archive in which an export's content is looked for, and their text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from llm_twin.collect.exports.archive import Archive, Unreadable

_MOST = 20  # an export's own files lie near its top, and an archive of something else may have thousands
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")


def candidates(archive: Archive, *suffixes: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files with a suffix, the nearest to the top first; at most `_MOST`.

    A file that is given alone counts whatever its name. What cannot be read is left out.
    """
    named = [n for n in archive.names if PurePosixPath(n).suffix.lower() in suffixes]
    if len(archive.names) == 1:
        named = list(archive.names)
    for name in sorted(named, key=lambda n: n.count("/"))[:_MOST]:
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
