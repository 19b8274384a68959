"""Which concrete part stands behind each port: store, reranker, base model, engine; embedder: `embedding`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.space import Twinspace
from llm_twin.contracts.ports import ChatTokenizer, Engine, Reranker, VectorStore
from llm_twin.contracts.versions import ADAPTER_GGUF
from llm_twin.errors import EngineError

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel
    from llm_twin.adapters.drafter import EngineDrafter

# As architectures name their longest context: most of them, then GPT-2 and its like, DBRX and MPT.
_CONTEXTS = ("max_position_embeddings", "n_positions", "max_seq_len")


def vector_store(space: Twinspace) -> VectorStore:
    """Where the vectors lie: Qdrant's engine in this process, in the workspace; or a Qdrant server.

    Raises StoreError where the server's key would travel unencrypted, MissingDependency.
    """
    wanted, candidates = space.config.store, space.config.retrieval.candidates
    if wanted.kind == "edge":
        from llm_twin.adapters.edge import EdgeStore

        return EdgeStore(space.workspace.index, candidates, wanted.quantise_above)
    from llm_twin.adapters.qdrant_calls import connect
    from llm_twin.adapters.qdrant_server import QdrantServerStore

    assert wanted.url is not None  # the configuration saw to it
    calls = connect(wanted.url, os.environ.get(wanted.api_key_env), wanted.grpc, wanted.grpc_port)
    prefix = wanted.prefix or f"llm-twin-{space.workspace.identity()}"
    return QdrantServerStore(calls, prefix, candidates, wanted.quantise_above)


def reranker(space: Twinspace) -> Reranker | None:
    """What reads the first results again, where the configuration names it. Raises MissingDependency."""
    wanted = space.config.retrieval.reranker
    if wanted is None:
        return None
    from llm_twin.adapters.cross_encoder import CrossEncoderReranker

    return CrossEncoderReranker(wanted, root=space.workspace.root)


def base_model(space: Twinspace) -> BaseModel:
    """The base model of the configuration, dequantised into the user's cache the first time."""
    from llm_twin.adapters.base_model import resolve_base

    return resolve_base(space.config.base.id, space.config.base.gguf, space.workspace.root)


def by_llama_cpp(space: Twinspace, base: BaseModel) -> bool:
    """Whether llama.cpp serves this base, and cannot without the adapters as GGUF."""
    return base.gguf is not None and space.config.generation.engine != "transformers"


def convert_adapter(space: Twinspace, base: BaseModel, folder: Path) -> None:
    """Put beside an adapter in PEFT format the one that llama.cpp loads, where it could serve this base.

    Raises EngineError where it would have to serve it and the adapter cannot be converted.
    """
    from llm_twin.adapters.gguf_adapter import convert

    if base.gguf is None:
        return
    try:
        convert(folder, base.folder, folder / ADAPTER_GGUF)
    except EngineError:  # where transformers serves it is for other machines only
        if by_llama_cpp(space, base):
            raise


def longest_context(base: BaseModel) -> int:
    """Tokens that the base was made for, as its config.json says; no bound where that says nothing."""
    config = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config  # of a base that sees images too
    return next((int(text[name]) for name in _CONTEXTS if text.get(name)), sys.maxsize)


def engine(
    space: Twinspace, base: BaseModel, adapters: Mapping[str, Path], tokenizer: ChatTokenizer
) -> Engine:
    """Start the configured engine with the adapters of these folders beside the base. Raises EngineError."""
    wanted = space.config.generation.engine
    context = min(space.config.generation.context, longest_context(base))
    if wanted == "auto":
        wanted = "llama.cpp" if base.gguf is not None else "transformers"
    if wanted == "transformers":
        from llm_twin.adapters.transformers_engine import TransformersEngine

        return TransformersEngine(base, adapters, tokenizer, context)
    from llm_twin.adapters.llama_cpp import LlamaCppEngine

    if base.gguf is None:
        raise EngineError(
            f"llama.cpp needs a GGUF of the base {base.name!r} and none is configured",
            "Set base.gguf to its path, or generation.engine to transformers",
        )
    ggufs = {name: folder / ADAPTER_GGUF for name, folder in adapters.items()}
    return LlamaCppEngine(base.gguf, ggufs, context)


def drafter(space: Twinspace) -> EngineDrafter:
    """What restates paragraphs for training samples: the base, in an engine that the first draft starts."""
    from llm_twin.adapters.base_model import HFChatTokenizer
    from llm_twin.adapters.drafter import EngineDrafter

    base = base_model(space)

    def start() -> tuple[Engine, ChatTokenizer]:
        tokenizer = HFChatTokenizer(base.folder)
        return engine(space, base, {}, tokenizer), tokenizer

    return EngineDrafter(f"{base.id}:{space.config.generation.engine}", start)
