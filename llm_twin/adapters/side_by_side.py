"""Texts through a model one by one on one core each, the cores side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from llm_twin.contracts.ports import Vectors

Encode = Callable[[str], Vectors]


def side_by_side(
    texts: Sequence[str], encode: Encode, threads: int, each_thread: Callable[[], None] | None = None
) -> Generator[tuple[int, Vectors], None, None]:
    """(row, vector) of every text, longest first, so that the cores end at nearly the same moment.

    `encode` runs in `threads` threads; `each_thread` prepares one. Closing the iterator stops what has not
    begun and waits for the rest.
    """
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
    workers = ThreadPoolExecutor(threads, initializer=each_thread)
    try:
        yield from zip(order, workers.map(lambda i: encode(texts[i]), order), strict=True)
    finally:
        workers.shutdown(cancel_futures=True)
