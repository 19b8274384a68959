"""Embedder by sentence-transformers: a folder of weights, in fp32 or bf16.

In fp32 it is the reference that every other backend is checked against.

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
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from llm_twin.adapters.embedder_weights import REFERENCE, Backend, embedder_id, embedder_name
from llm_twin.adapters.openmp import release_threads
from llm_twin.adapters.side_by_side import side_by_side
from llm_twin.contracts.ports import Progress, Silent, Vectors
from llm_twin.errors import IntegrityError

_BATCH = 64  # texts of one forward pass on an accelerator


class SentenceEmbedder:
    """Unit vectors from a sentence-transformers model; nothing is read before the first use.

    Attributes:
        name: for people; not part of the identity.
        backend: "torch-fp32", the reference, or "torch-bf16".
        id: hash of the weights file, the backend and its precision.
        max_tokens: longest text that is not cut, special tokens already taken off.

    All but `name` and `backend` raise MissingDependency when the weights are not there.
    """

    def __init__(
        self, folder: Path, name: str, backend: Backend = REFERENCE, device: str | None = None
    ) -> None:
        self.name = embedder_name(name, backend)
        self.backend = backend
        self._folder = folder
        self._device = device
        self._threads = 1  # set when the model is loaded

    @cached_property
    def id(self) -> str:
        """Identity for caches and manifests, 16 hex digits."""
        return embedder_id(self.backend, self._folder)

    @cached_property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    @cached_property
    def max_tokens(self) -> int:
        """Longest text in tokens, without the special tokens that the model adds."""
        limit = int(self._model.max_seq_length or self._model.tokenizer.model_max_length)
        return limit - int(self._model.tokenizer.num_special_tokens_to_add(pair=False))

    @property
    def on_cpu(self) -> bool:
        """Whether the model runs on the processor and not on an accelerator."""
        return bool(self._model.device.type == "cpu")

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Rows of unit length, shape [len(texts), dim], float32; one `advance` a text."""
        progress = progress or Silent()
        vectors = np.zeros((len(texts), self.dim), np.float32)
        with closing(self._one_by_one(texts) if self.on_cpu else self._batched(texts)) as done:
            for rows, found in done:
                vectors[rows] = found
                progress.advance(len(rows))
        return vectors

    def count_tokens(self, text: str) -> int:
        """Length of the text in the model's own tokens, without special tokens."""
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    def _batched(self, texts: Sequence[str]) -> Generator[tuple[list[int], Vectors], None, None]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for first in range(0, len(order), _BATCH):
            rows = order[first : first + _BATCH]
            yield rows, self._encode([texts[i] for i in rows])

    def _one_by_one(self, texts: Sequence[str]) -> Generator[tuple[list[int], Vectors], None, None]:
        import torch

        try:
            work = side_by_side(
                texts, lambda text: self._encode([text]), self._threads, lambda: torch.set_num_threads(1)
            )
            with closing(work) as done:
                for row, found in done:
                    yield [row], found
        finally:
            torch.set_num_threads(self._threads)  # a thread's own setting is the default of later threads

    def _encode(self, texts: list[str]) -> Vectors:
        exact = self.backend == REFERENCE
        found: Vectors = self._model.encode(
            texts, batch_size=len(texts), normalize_embeddings=exact, show_progress_bar=False
        )
        if exact:
            return found
        found = found.astype(np.float32)  # a length divided out in bf16 would be off by half a percent
        unit: Vectors = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit

    @cached_property
    def _counter(self) -> Any:
        """A tokenizer apart from the model's: threads share that one, so its settings must not change."""
        counter = copy.deepcopy(self._model.tokenizer.backend_tokenizer)
        counter.no_truncation()
        counter.no_padding()
        return counter

    @cached_property
    def _model(self) -> Any:
        import torch

        model = load_reference(self._folder, self._device)
        if self.backend != REFERENCE:
            model = model.bfloat16()
        self._threads = torch.get_num_threads()
        model.encode("", show_progress_bar=False)  # settles the tokenizer's padding before threads share it
        release_threads()  # from here on each thread works alone
        return model


def load_reference(folder: Path, device: str | None = None) -> Any:
    """The SentenceTransformer of a folder in fp32 and evaluation mode; silent, and no hub is asked.

    Raises IntegrityError where the folder cannot be read as one.
    """
    # The tokenizer's own threads and the model's would fight for the same cores.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True).eval()
    except (OSError, ValueError, SafetensorError) as error:
        raise IntegrityError(
            f"{folder} cannot be read as an embedder ({' '.join(str(error).split())[:160]})",
            "Restore or download it again, or correct features.embedder in twin.yaml",
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
