"""`Twin`: the Python API. It follows the registry: what is promoted or rolled back serves from the next request on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from llm_twin import compose
from llm_twin.contracts.records import Answer, Hit, Message

if TYPE_CHECKING:
    from llm_twin.inference.writer import Reply, Writer


class Twin:
    """An author's twin in one workspace.

        with Twin.open("my-twin") as twin:
            answer = twin.ask("How do you read a gauge?")
            print(answer.text, answer.citations, answer.model, answer.features)

    Safe to share between threads. Nothing is loaded before the first request.
    """

    def __init__(self, space: compose.Twinspace, model: str = "live", features: str = "live") -> None:
        self._space = space
        self._model = model
        self._features = features
        self._lock = threading.Lock()
        self._session: compose.Session | None = None
        self._served: tuple[str, str, tuple[str, ...]] | None = None

    @classmethod
    def open(
        cls, workspace: str | Path | None = None, model: str = "live", features: str = "live"
    ) -> Self:
        """Open a workspace (default: as the command line finds it) with a model and feature version.

        `model` is a version ("v3"), an alias ("live", "candidate") or "base"; `features` a version ("F0002"),
        "live" or "latest". Raises WorkspaceError, ConfigError; what does not exist is noticed at the first request.
        """
        return cls(compose.open_workspace(Path(workspace) if workspace else None), model, features)
