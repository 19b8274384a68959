"""Embedder by sentence-transformers: a local folder of weights, or a Hugging Face id.

On a CPU every text goes through the model alone, on one core, and the cores work side by side. Measured
(MiniLM, texts of 110 words): a core does 18.5 texts a second alone, 16.6 in batches of 8, 12.9 in batches of
32, since nothing is padded and the activations stay in the cache; and with other work on the machine, cores
that share one small text mostly wait for each other (1.2 texts a second against 9.3 side by side). A text's
vector is also the same to the last bit whatever it was embedded with, so that a build that was interrupted
and continued gives the same bytes as one that was not. On an accelerator, batches sorted by length.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from llm_twin.adapters.weights import file_sha256
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import Progress, Silent, Vectors
from llm_twin.errors import MissingDependency

BACKEND = "torch-fp32"
_BATCH = 64  # texts of one forward pass on an accelerator


class SentenceEmbedder:
    """Unit vectors from a sentence-transformers model; nothing is read before the first use.

    Attributes:
        name: for people; not part of the identity.
        id: hash of the weights file, the backend and its precision.
        max_tokens: longest text that is not cut, special tokens already taken off.

    All but `name` raise MissingDependency when the weights are not there.
    """

    def __init__(self, model: str | Path, name: str, device: str | None = None) -> None:
        self.name = name
        self._source = model
        self._device = device
        self._threads = 1  # set when the model is loaded

    @cached_property
    def id(self) -> str:
        """Identity for caches and manifests, 16 hex digits."""
        weights = sorted(self._folder.rglob("*.safetensors"))
        if not weights:
            raise MissingDependency(
                f"{self._folder} holds no .safetensors weights",
                "Choose another features.embedder in twin.yaml",
            )
        return digest([BACKEND, *(file_sha256(path) for path in weights)])[:16]

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @cached_property
    def max_tokens(self) -> int:
        """Longest text in tokens, without the special tokens that the model adds."""
        limit = int(self._model.max_seq_length or self._model.tokenizer.model_max_length)
        return limit - int(self._model.tokenizer.num_special_tokens_to_add(pair=False))

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Rows of unit length, shape [len(texts), dim], float32; one `advance` a text."""
        progress = progress or Silent()
        vectors = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        work = self._side_by_side if self._model.device.type == "cpu" else self._batched
        with closing(work(texts, order)) as done:
            for rows, found in done:
                vectors[rows] = found
                progress.advance(len(rows))
        return vectors

    def count_tokens(self, text: str) -> int:
        """Length of the text in the model's own tokens, without special tokens."""
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    def _batched(
        self, texts: Sequence[str], order: Sequence[int]
    ) -> Generator[tuple[list[int], Vectors], None, None]:
        for first in range(0, len(order), _BATCH):
            rows = list(order[first : first + _BATCH])
            yield rows, self._encode([texts[i] for i in rows])

    def _side_by_side(
        self, texts: Sequence[str], order: Sequence[int]
    ) -> Generator[tuple[list[int], Vectors], None, None]:
        import torch

        workers = ThreadPoolExecutor(self._threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            for row, found in zip(order, workers.map(lambda i: self._encode([texts[i]]), order), strict=True):
                yield [row], found
        finally:
            workers.shutdown(cancel_futures=True)
            torch.set_num_threads(self._threads)  # a thread's own setting is the default of later threads

    def _encode(self, texts: list[str]) -> Vectors:
        found: Vectors = self._model.encode(
            texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return found

    @cached_property
    def _folder(self) -> Path:
        folder = Path(self._source)
        if folder.is_dir():
            return folder
        if isinstance(self._source, Path):
            raise MissingDependency(
                f"There is no embedder in {folder}", "Correct features.embedder in twin.yaml"
            )
        return _from_hub(self._source)

    @cached_property
    def _counter(self) -> Any:
        """A tokenizer apart from the model's: threads share that one, so its settings must not change."""
        counter = copy.deepcopy(self._model.tokenizer.backend_tokenizer)
        counter.no_truncation()
        counter.no_padding()
        return counter

    @cached_property
    def _model(self) -> Any:
        # The tokenizer's own threads and the model's would fight for the same cores.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            model = SentenceTransformer(str(self._folder), device=self._device, local_files_only=True).eval()
        finally:
            if bars:
                logging.enable_progress_bar()
        self._threads = torch.get_num_threads()
        model.encode("", show_progress_bar=False)  # settles the tokenizer's padding before threads share it
        return model


def _from_hub(model: str) -> Path:
    """The folder of a Hugging Face id: the local copy, else a download. Raises MissingDependency."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    other_formats = ["onnx/*", "openvino/*", "*.bin", "*.h5", "*.ot", "*.msgpack"]
    try:
        return Path(snapshot_download(model, ignore_patterns=other_formats, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not fetched before
    except HFValidationError:
        raise MissingDependency(
            f"The embedder {model!r} is neither a folder nor a Hugging Face id",
            "Correct features.embedder in twin.yaml",
        ) from None
    try:
        return Path(snapshot_download(model, ignore_patterns=other_formats))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise MissingDependency(
            f"The embedder {model!r} could not be downloaded ({reason})",
            "Use features.embedder: all-MiniLM-L6-v2, which comes as a package",
        ) from error
