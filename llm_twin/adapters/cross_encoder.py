"""Reranker by a cross-encoder of sentence-transformers: a local folder, or a Hugging Face id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llm_twin.adapters.hub import fetch
from llm_twin.adapters.weights import named_folder
from llm_twin.errors import MissingDependency

_SETTING, _INSTEAD = "retrieval.reranker", "Name another, or take it out of twin.yaml"


class CrossEncoderReranker:
    """Reads query and passage together (Nogueira and Cho 2019, arXiv:1901.04085).

    The weights, safetensors alone, are looked for at once and read at the first query. Raises
    MissingDependency where there are none.
    """

    def __init__(self, model: str, device: str | None = None, root: Path = Path()) -> None:
        """`root` is what the path of a folder is relative to."""
        self.name = model
        self._folder = named_folder(model, root) or fetch(model, _SETTING, _INSTEAD)
        self._device = device
        if not any(self._folder.rglob("*.safetensors")):
            raise MissingDependency(f"{_SETTING} is {model!r}, which holds no .safetensors weights", _INSTEAD)

    def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers, higher is better; comparable for one query alone."""
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        return [float(score) for score in self._model.predict(pairs, show_progress_bar=False)]

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            return CrossEncoder(
                str(self._folder),
                device=self._device,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
                num_labels=1,
            )
        finally:
            if bars:
                logging.enable_progress_bar()
