from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_twin.contracts.ports import Progress, Silent, Vectors
from llm_twin.errors import WorkspaceError
from llm_twin.feature.embed import embed, keep

TEXTS = [f"text number {n} {'x' * n}" for n in range(70)]


def test_only_new_texts_are_embedded(tmp_path: Path, embedder: Any) -> None:
    cache = tmp_path / "cache" / "e.db"
    first = embed(TEXTS[:50], embedder, cache, Silent())
    assert (first.embedded, first.reused) == (50, 0)
    embedder.seen.clear()
    second = embed(TEXTS[::-1], embedder, cache, Silent())
    assert (second.embedded, second.reused) == (20, 50)
    assert sorted(embedder.seen) == sorted(TEXTS[50:])
    np.testing.assert_array_equal(second.vectors[::-1][:50], first.vectors)
    np.testing.assert_array_equal(second.vectors, embedder.embed(TEXTS[::-1]))


def test_a_repeated_text_is_embedded_once(tmp_path: Path, embedder: Any) -> None:
    made = embed(["a", "b", "a"], embedder, tmp_path / "e.db", Silent())
    assert sorted(embedder.seen) == ["a", "b"]
    assert made.embedded + made.reused == 3
    np.testing.assert_array_equal(made.vectors[0], made.vectors[2])


def test_another_embedder_does_not_share_vectors(tmp_path: Path, embedder: Any) -> None:
    embed(["a"], embedder, tmp_path / "e.db", Silent())
    embedder.id = "hash-2"
    assert embed(["a"], embedder, tmp_path / "e.db", Silent()).embedded == 1


def test_an_interruption_keeps_what_was_committed(tmp_path: Path, embedder: Any) -> None:
    class Stops(Silent):
        done = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps
            if self.done > 40:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(TEXTS, embedder, tmp_path / "e.db", Stops())
    again = embed(TEXTS, embedder, tmp_path / "e.db", Silent())
    assert again.reused == 32
    assert again.embedded == 38


def test_fast_embedders_are_rarely_waited_for(tmp_path: Path, embedder: Any) -> None:
    shares: list[int] = []

    class Counts(type(embedder)):  # type: ignore[misc]
        def embed(self, texts: list[str], progress: Progress | None = None) -> Vectors:
            shares.append(len(texts))
            return super().embed(texts, progress)

    texts = [f"{n}" for n in range(5000)]
    assert embed(texts, Counts(), tmp_path / "e.db", Silent()).embedded == sum(shares) == 5000
    assert shares[0] == 32
    assert len(shares) < 10


def test_every_share_is_like_the_rest(tmp_path: Path, embedder: Any) -> None:
    """So that the time left that is shown is true from the start: lengths are mixed, not sorted."""
    embed(TEXTS, embedder, tmp_path / "e.db", Silent())
    half = sum(map(len, embedder.seen[:35])) / sum(map(len, embedder.seen))
    assert 0.4 < half < 0.6


def test_no_texts(tmp_path: Path, embedder: Any) -> None:
    assert embed([], embedder, tmp_path / "e.db", Silent()).vectors.shape == (0, embedder.dim)


def test_a_broken_cache_is_named(tmp_path: Path, embedder: Any) -> None:
    cache = tmp_path / "e.db"
    cache.write_bytes(b"this is no database, however long it may be" * 50)
    with pytest.raises(WorkspaceError, match=r"e\.db cannot be used .*Delete that file"):
        embed(["a"], embedder, cache, Silent())


def test_only_the_vectors_of_the_texts_that_are_named_stay(tmp_path: Path, embedder: Any) -> None:
    cache = tmp_path / "e.db"
    made = embed(TEXTS, embedder, cache, Silent())
    gone = made.vectors[7].tobytes()
    assert keep(cache, [*TEXTS[:7], *TEXTS[8:], "never seen"], dry_run=True) == 1
    assert gone in cache.read_bytes()
    assert keep(cache, [*TEXTS[:7], *TEXTS[8:], "never seen"]) == 1
    assert gone not in cache.read_bytes()
    embedder.seen.clear()
    assert embed(TEXTS, embedder, cache, Silent()).embedded == 1
    assert embedder.seen == [TEXTS[7]]
    assert keep(cache, []) == len(TEXTS)
    assert keep(tmp_path / "none.db", []) == 0
    assert not (tmp_path / "none.db").exists()
