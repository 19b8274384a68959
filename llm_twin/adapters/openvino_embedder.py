"""Embedder by OpenVINO: the sentence-transformers model, converted once, in bf16 or int8. CPU only.

Once converted, neither torch nor sentence-transformers is imported: a search starts in under a second. Texts
go through one by one, as in `sentence_embedder`, each on one thread and padded to its own length only, so
that a text's vector is the same to the last bit whatever it was embedded with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from llm_twin.adapters.embedder_weights import Backend, embedder_id, embedder_name
from llm_twin.adapters.openmp import cores
from llm_twin.adapters.openvino_model import FACTS, MODEL, TOKENIZER, Facts, compiled, converted
from llm_twin.adapters.side_by_side import side_by_side
from llm_twin.contracts.ports import Progress, Silent, Vectors

# Lengths are rounded up to a multiple of this many tokens: OpenVINO prepares code for each length that it
# meets, which cost 12 % of the first thousand texts; masked tokens that fill up cost 3 %.
_STEP = 8


class OpenVinoEmbedder:
    """Unit vectors from a converted model; nothing is read before the first use.

    Attributes:
        name: for people; not part of the identity.
        backend: "openvino-bf16" or "openvino-int8".
        id: hash of the weights file, the backend and its precision; asks for no OpenVINO.
        dim: length of a vector.
        max_tokens: longest text that is not cut, special tokens already taken off.

    All but `name`, `backend` and `id` raise MissingDependency where OpenVINO is not installed, MismatchError
    where the model cannot run on it.
    """

    def __init__(self, folder: Path, name: str, backend: Backend, ready: Path | None = None) -> None:
        """`folder` holds the weights; `ready` is that of a model that was converted from them already."""
        self.name = embedder_name(name, backend)
        self.backend = backend
        self._weights = folder
        self._ready = ready
        self._idle: SimpleQueue[Any] = SimpleQueue()  # inference requests, each used by one thread at a time

    @cached_property
    def id(self) -> str:
        """Identity for caches and manifests, 16 hex digits."""
        return embedder_id(self.backend, self._weights)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._facts.dim

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens, without the special tokens that the model adds."""
        return self._facts.limit - self._facts.special

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Rows of unit length, shape [len(texts), dim], float32; one `advance` a text."""
        progress = progress or Silent()
        vectors = np.zeros((len(texts), self.dim), np.float32)
        if not texts:
            return vectors
        _ = self._model, self._tokenizer  # loaded here, not in several threads at once
        with closing(side_by_side(texts, self._encode, min(cores(), len(texts)))) as done:
            for row, found in done:
                vectors[row] = found
                progress.advance()
        return vectors

    def count_tokens(self, text: str) -> int:
        """Length of the text in the model's own tokens, without special tokens."""
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    def _encode(self, text: str) -> Vectors:
        ids = self._tokenizer.encode(text).ids
        padded = np.zeros((2, 1, -(-len(ids) // _STEP) * _STEP), np.int64)  # tokens, and which of them count
        padded[0, 0, : len(ids)] = ids
        padded[1, 0, : len(ids)] = 1
        try:
            request = self._idle.get_nowait()
        except Empty:
            request = self._model.create_infer_request()
        request.infer({"input_ids": padded[0], "attention_mask": padded[1]}, share_inputs=True)
        found: Vectors = request.get_output_tensor(0).data[0].astype(np.float32)
        self._idle.put(request)
        return found / np.linalg.norm(found)

    @cached_property
    def _folder(self) -> Path:
        return self._ready or converted(self._weights, self.backend)

    @cached_property
    def _facts(self) -> Facts:
        return Facts(**json.loads((self._folder / FACTS).read_text()))

    @cached_property
    def _model(self) -> Any:
        return compiled(self._folder / MODEL, cores())

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = self._read_tokenizer()
        tokenizer.enable_truncation(self._facts.limit)
        return tokenizer

    @cached_property
    def _counter(self) -> Any:
        tokenizer = self._read_tokenizer()
        tokenizer.no_truncation()
        return tokenizer

    def _read_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
        tokenizer.no_padding()
        return tokenizer
