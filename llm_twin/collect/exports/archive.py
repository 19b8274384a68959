"""An export as its author has it: a folder, a zip file or a single file, read in place and within bounds.

Nothing is ever unpacked to disk, so that no name in a zip file can reach outside of it; names that try,
links, encrypted members and bombs are refused and counted all the same, because an export that has them was
tampered with.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from fnmatch import fnmatch
from pathlib import Path
from types import TracebackType

from llm_twin.collect.item import Rejected
from llm_twin.errors import CollectError

MAX_BYTES = 500_000_000  # of one member: the post file of a busy account has tens of megabytes
_MAX_FILES = 500_000
_MAX_TOTAL_BYTES = 4_000_000_000  # of all that is read of one archive
_MAX_RATIO = 200  # deflate reaches 1032; text stays below 20, and long runs of JSON below 60
_RATIO_FROM = 10_000_000  # bytes from which the ratio counts: small files may be all blanks
_BROKEN = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)
_PART = 1 << 20  # bytes that are unpacked at once
# The others of zipfile unpack without bound whatever is asked for, and no platform uses them.
_PACKED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_NOT_CONTENT = frozenset({"__MACOSX", "node_modules", "__pycache__"})


class Unreadable(Exception):
    """A member that cannot be read within the bounds; the message is the reason for a `Rejected`."""


class Archive:
    """A read-only view of an export; a context manager.

    Attributes:
        path: where it lies.
        names: its files, as sorted paths with "/" below its top; hidden folders are left out. The top of a
            zip file that holds one folder of its own name is that folder.
        rejected: members that are not listed, or of which not even the kind can be told, and why.
    """

    def __init__(self, path: Path) -> None:
        """Open an archive. Raises CollectError where it cannot be read or has too many files."""
        self.path = path
        self.rejected: list[Rejected] = []
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._top = ""
        self._read = 0
        if path.is_dir():
            names = self._walk(path)
        elif zipfile.is_zipfile(path) or _begins_as_zip(path):
            names = self._list_zip(path)
        else:
            names = [path.name]
        if len(names) > _MAX_FILES:
            raise CollectError(
                f"{path} has {len(names)} files (at most {_MAX_FILES} are read)", "Give a folder within it"
            )
        self.names = tuple(sorted(names))

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._zip:
            self._zip.close()

    @property
    def label(self) -> str:
        """The name of the folder that the files lie in, for addresses of files that have no other."""
        path = self.path.resolve()
        return path.name if path.is_dir() else self._top or path.stem if self._zip else path.parent.name

    def find(self, pattern: str) -> list[str]:
        """Names whose last parts fit a pattern such as "data/tweets*.js", wherever the archive's top lies."""
        return [n for n in self.names if fnmatch(n, pattern) or fnmatch(n, f"*/{pattern}")]

    def read(self, name: str, limit: int = MAX_BYTES) -> bytes:
        """The content of a file. Raises Unreadable beyond `limit` bytes, after decompression."""
        body = self._begin(name, limit + 1)
        if len(body) > limit:
            raise Unreadable("too large")
        return body

    def head(self, name: str, size: int) -> bytes:
        """The first bytes of a file, at most `size`. Raises Unreadable where they cannot be read."""
        return self._begin(name, size)

    def text(self, name: str, limit: int = MAX_BYTES) -> str:
        """The content of a UTF-8 file, without its byte order mark. Raises Unreadable where it is none."""
        try:
            return self.read(name, limit).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unreadable("not UTF-8") from None

    def _begin(self, name: str, size: int) -> bytes:
        try:
            body = self._read_zip(name, size) if self._zip else self._read_file(name, size)
        except _BROKEN as error:
            raise Unreadable("cannot be read") from error
        self._read += len(body)
        if self._read > _MAX_TOTAL_BYTES:
            raise Unreadable("archive too large")
        return body

    def _walk(self, top: Path) -> list[str]:
        names: list[str] = []
        for folder, inner, files in os.walk(top):
            inner[:] = [d for d in inner if not d.startswith(".") and d not in _NOT_CONTENT]
            for file in files:
                path = Path(folder, file)
                name = path.relative_to(top).as_posix()
                if path.is_symlink() and not path.resolve().is_relative_to(top.resolve()):
                    self.rejected.append(Rejected(name, "link out of the folder"))
                elif path.is_file() and not file.startswith("."):
                    names.append(name)
        return names

    def _list_zip(self, path: Path) -> list[str]:
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            what = f"{path} is a damaged or incomplete zip file ({error})"
            raise CollectError(what, "Download it again") from error
        for member in self._zip.infolist():
            parts = member.filename.replace("\\", "/").split("/")
            if member.is_dir() or any(p in _NOT_CONTENT or (p.startswith(".") and p != "..") for p in parts):
                continue
            if reason := _why_not(member, parts):
                self.rejected.append(Rejected(member.filename, reason))
            else:
                self._members["/".join(parts)] = member
        tops = {name.partition("/")[0] if "/" in name else "" for name in self._members}
        # A packed folder has its name: a platform's own "posts/" is no such top, and readers look for it.
        if len(tops) == 1 and (top := tops.pop()) and path.stem.casefold().startswith(top.casefold()):
            self._top = top
            self._members = {name.removeprefix(f"{top}/"): member for name, member in self._members.items()}
        return list(self._members)

    def _read_zip(self, name: str, size: int) -> bytes:
        assert self._zip is not None
        # What a member says of its size is not believed: the stream is cut where the bound is.
        kept: list[bytes] = []
        with self._zip.open(self._members[name]) as stream:
            while size > 0 and (part := stream.read(min(_PART, size))):
                kept.append(part)
                size -= len(part)
        return b"".join(kept)

    def _read_file(self, name: str, size: int) -> bytes:
        path = self.path / name if self.path.is_dir() else self.path
        with path.open("rb") as stream:
            return stream.read(size)


def _begins_as_zip(path: Path) -> bool:
    """Whether a file begins as a zip file does: the list of one that is cut off was at its end."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _why_not(member: zipfile.ZipInfo, parts: list[str]) -> str | None:
    """Why a member of a zip file is not read."""
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        return "path out of the archive"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "link in a zip file"
    if member.flag_bits & 0x1:
        return "encrypted"
    if member.compress_type not in _PACKED:
        return "unknown compression"
    if member.file_size > _RATIO_FROM and member.file_size > _MAX_RATIO * max(1, member.compress_size):
        return "zip bomb"
    return None
