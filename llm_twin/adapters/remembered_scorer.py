"""A scorer that asks its model once about each text: what was measured before, or before a kill, is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import Scorer

CACHE = "scores.db"
_TABLE = "CREATE TABLE IF NOT EXISTS scores (text TEXT PRIMARY KEY, logprobs BLOB) WITHOUT ROWID"


class RememberedScorer:
    """`contracts.ports.Scorer` before another one, which is made at the first text that is new.

    The SQLite file `cache` holds the log-probabilities of completions by a hash of the weights (`identity`)
    and of the ids of prompt and completion. One that cannot be used costs time alone.

    Attributes:
        dtype, context: of the scorer that is made, known before.
    """

    def __init__(
        self, make: Callable[[], Scorer], identity: str, dtype: str, context: int, cache: Path
    ) -> None:
        self._make = make
        self._identity = identity
        self._cache = cache
        self.dtype = dtype
        self.context = context

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
        """Natural-log probability of each completion token after the prompt, shape [len(completion)]."""
        key = digest([self._identity, list(prompt), list(completion)])
        known = self._read(key)
        if known is not None and known.shape == (len(completion),):
            return known
        found = self._scorer.token_logprobs(prompt, completion)
        self._write(key, found)
        return found

    def _read(self, key: str) -> NDArray[np.float64] | None:
        with suppress(sqlite3.Error, ValueError), closing(sqlite3.connect(self._cache)) as database:
            row = database.execute("SELECT logprobs FROM scores WHERE text = ?", [key]).fetchone()
            return np.frombuffer(row[0], np.float64) if row else None
        return None

    def _write(self, key: str, found: NDArray[np.float64]) -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(self._cache)) as database, database:
            database.execute(_TABLE)
            database.execute("INSERT OR REPLACE INTO scores VALUES (?, ?)", [key, found.tobytes()])

    @cached_property
    def _scorer(self) -> Scorer:
        return self._make()
