"""The content codings of HTTP undone piece by piece, so that a bomb stops at its bound.

gzip and deflate (RFC 1952, 1951), br (RFC 7932) and zstd (RFC 8878). No piece is larger than a few MiB, and
every stage is bounded, what comes over the wire too: blocks that hold nothing cost time without an output.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

ACCEPTED = "gzip, deflate, br, zstd"
_PIECE = 1 << 16
_MOST_CODINGS = 2  # a proxy may pack what its server has packed; more is nothing that a server does
_GZIP = b"\x1f\x8b"
_ZSTD_WINDOW = 8 << 20  # RFC 9659: the "zstd" coding must not need a larger window
_ZSTD_SLICE = 64  # a block of 4 bytes can stand for 128 KiB (RFC 8878, 3.1.1.2), so a slice for at most 2 MiB


class Undecodable(Exception):
    """A body that is not read; the message is a short phrase, `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        self.detail = detail
        super().__init__(reason)


def decoded(chunks: Iterable[bytes], codings: str, limit: int) -> Iterator[bytes]:
    """The body in pieces, at most `limit` bytes before, between and after its codings.

    Args:
        codings: the Content-Encoding header; several codings are undone from the last to the first.

    Raises Undecodable ("unknown compression", "broken compression", "too large").
    """
    named = [c for part in codings.split(",") if (c := part.strip().lower()) not in ("", "identity")]
    if len(named) > _MOST_CODINGS or not set(named) <= _DECODERS.keys():
        raise Undecodable("unknown compression", codings[:80])
    pieces = _bounded(chunks, limit)
    for coding in reversed(named):
        pieces = _bounded(_DECODERS[coding](pieces), limit)
    yield from pieces


def _bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise Undecodable("too large", f"more than {limit} bytes")
        yield piece


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """gzip and deflate; the latter without zlib's header too, as some servers send it."""
    inflate, ended = None, False
    try:
        for raw in pieces:
            while raw:
                if ended and not raw.startswith(_GZIP):  # RFC 1952, 2.2: members may follow; this is none
                    return
                if inflate is None:
                    headed = raw[:1] == _GZIP[:1] or raw[0] & 0x0F == 8  # of gzip, or of zlib (RFC 1950, 2.2)
                    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32 if headed else -zlib.MAX_WBITS)
                yield inflate.decompress(raw, _PIECE)
                raw = inflate.unconsumed_tail
                if ended := inflate.eof:
                    raw, inflate = inflate.unused_data, None
        while inflate and not inflate.eof and (last := inflate.decompress(b"", _PIECE)):
            yield last
    except zlib.error as error:
        raise Undecodable("broken compression", str(error)) from None
    _whole(inflate is None or inflate.eof)


def _unbrotli(pieces: Iterable[bytes]) -> Iterator[bytes]:
    import brotli  # type: ignore[import-untyped]

    inflate = brotli.Decompressor()
    try:
        for raw in pieces:
            yield inflate.process(raw, output_buffer_limit=_PIECE)
            while not inflate.can_accept_more_data():
                yield inflate.process(b"", output_buffer_limit=_PIECE)
        while not inflate.is_finished() and (last := inflate.process(b"", output_buffer_limit=_PIECE)):
            yield last
    except brotli.error as error:
        raise Undecodable("broken compression", str(error)) from None
    _whole(inflate.is_finished())


def _unzstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    inflate = unpacker.decompressobj()
    try:
        for raw in pieces:
            for start in range(0, len(raw), _ZSTD_SLICE):
                waiting = raw[start : start + _ZSTD_SLICE]
                while waiting:
                    if inflate.eof:  # RFC 8878, 3.1: frames may follow
                        inflate = unpacker.decompressobj()
                    yield inflate.decompress(waiting)
                    waiting = inflate.unused_data
    except zstandard.ZstdError as error:
        raise Undecodable("broken compression", str(error)) from None
    _whole(inflate.eof)


def _whole(ended: bool) -> None:
    # Half a page would pass for an edit of its author's.
    if not ended:
        raise Undecodable("broken compression", "it ends too early")


_DECODERS: dict[str, Callable[[Iterable[bytes]], Iterator[bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _gunzip,
    "br": _unbrotli,
    "zstd": _unzstd,
}
