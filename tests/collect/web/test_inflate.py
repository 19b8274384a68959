from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from functools import partial

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.collect.web.inflate import ACCEPTED, Undecodable, decoded

LIMIT = 1_000_000
PAGE = b"<p>" + b"It's a word, and another one. " * 5_000
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=3),
    "zstd": zstandard.compress,
}
codings = pytest.mark.parametrize("coding", list(PACK))


def read(body: bytes, coding: str, step: int = 4096, limit: int = LIMIT) -> bytes:
    return b"".join(decoded((body[i : i + step] for i in range(0, len(body), step)), coding, limit))


def reason(body: bytes, coding: str, limit: int = LIMIT) -> str:
    with pytest.raises(Undecodable) as caught:
        read(body, coding, limit=limit)
    return str(caught.value)


def test_what_is_asked_for_can_be_read() -> None:
    assert ACCEPTED.split(", ") == list(PACK)


@given(st.sampled_from(list(PACK)), st.binary(max_size=300), st.integers(1, 400), st.integers(1, 1000))
@settings(deadline=None)  # machines are shared
def test_any_body_comes_back_however_it_is_cut(coding: str, part: bytes, times: int, step: int) -> None:
    body = part * times
    assert read(PACK[coding](body), coding, step) == body


@codings
def test_what_is_cut_off_is_no_page(coding: str) -> None:
    packed = PACK[coding](PAGE)
    assert reason(packed[:-3], coding) == "broken compression"
    assert reason(packed[: len(packed) // 2], coding) == "broken compression"


@codings
def test_what_is_no_such_coding_is_refused(coding: str) -> None:
    assert reason(b"this is plain text, and not compressed at all", coding) == "broken compression"


@codings
def test_a_bomb_stops_at_the_bound_in_little_memory(coding: str) -> None:
    bomb = PACK[coding](b"\0" * 300_000_000)
    tracemalloc.start()
    assert reason(bomb, coding) == "too large"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * LIMIT


def test_a_bomb_of_ten_gigabytes_in_two_layers_stops_at_the_bound() -> None:
    megabytes = brotli.compress(b"\0" * 10_000_000)
    bomb = gzip.compress(megabytes * 1_000)
    assert reason(bomb, "br, gzip") == "too large"
    zeros = gzip.compress(b"\0" * 100_000_000, 9) * 100
    assert reason(gzip.compress(zeros), "gzip, gzip") == "too large"


@pytest.mark.parametrize(
    "empty",
    [
        gzip.compress(b"", mtime=0),  # a case's name must not depend on the clock
        zstandard.compress(b""),
        b"\x50\x2a\x4d\x18\x00\x00\x00\x00",
    ],
)
def test_parts_that_hold_nothing_are_bounded_too(empty: bytes) -> None:
    coding = "gzip" if empty.startswith(b"\x1f") else "zstd"

    def endless() -> Iterator[bytes]:
        while True:
            yield empty * 100

    with pytest.raises(Undecodable, match="too large"):
        list(decoded(endless(), coding, 200_000))


def test_deflate_is_read_with_and_without_its_header() -> None:
    assert read(zlib.compress(PAGE)[2:-4], "deflate") == PAGE
    assert read(gzip.compress(PAGE), "deflate") == PAGE


def test_several_members_and_frames_are_one_body() -> None:
    assert read(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", 7) == b"one two"
    assert read(gzip.compress(b"one") + b"\0\0\0", "gzip") == b"one"
    assert read(zstandard.compress(b"one ") + zstandard.compress(b"two"), "zstd", 7) == b"one two"


def test_several_codings_are_undone_from_the_last() -> None:
    assert read(brotli.compress(gzip.compress(PAGE)), "gzip, br") == PAGE
    assert read(gzip.compress(PAGE), "identity, GZIP") == PAGE
    assert read(PAGE, "") == read(PAGE, "identity") == PAGE


def test_too_many_or_unknown_codings_are_refused() -> None:
    assert reason(PAGE, "gzip, gzip, gzip") == "unknown compression"
    assert reason(PAGE, "compress") == "unknown compression"


def test_a_window_that_would_fill_the_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = packer.compress(b"x" * 1_000_000) + packer.flush()
    assert reason(packed, "zstd", 10 * LIMIT) == "broken compression"
