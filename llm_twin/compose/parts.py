"""Which concrete part stands behind each port: embedder, vector store, base model, engine."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from llm_twin.compose.space import Twinspace
from llm_twin.contracts.ports import ChatTokenizer, Embedder, Engine, VectorStore
from llm_twin.contracts.versions import ModelVersion
from llm_twin.errors import EngineError

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel

PACKAGED_EMBEDDER = "all-MiniLM-L6-v2"


@cache
def _embedder(model: str) -> Embedder:
    from llm_twin.adapters.sentence_embedder import SentenceEmbedder
    from llm_twin.adapters.weights import packaged_embedder

    return SentenceEmbedder(packaged_embedder() if model == PACKAGED_EMBEDDER else model, model)


def embedder(space: Twinspace) -> Embedder:
    """The embedder of the configuration; loaded at its first use and shared in this process."""
    return _embedder(space.config.features.embedder)


def vector_store(space: Twinspace) -> VectorStore:
    """Where the vectors lie: Qdrant's engine in this process, in the workspace."""
    from llm_twin.adapters.edge import EdgeStore

    return EdgeStore(space.workspace.index)


def base_model(space: Twinspace) -> BaseModel:
    """The base model of the configuration, dequantised into the user's cache the first time."""
    from llm_twin.adapters.base_model import resolve_base

    return resolve_base(space.config.base.id, space.config.base.gguf)


def engine(
    space: Twinspace, base: BaseModel, adapters: dict[str, ModelVersion], tokenizer: ChatTokenizer
) -> Engine:
    """Start the configured engine with these adapters beside the base. Raises EngineError."""
    wanted = space.config.generation.engine
    if wanted == "auto":
        wanted = "llama.cpp" if base.gguf is not None else "transformers"
    if wanted == "transformers":
        from llm_twin.adapters.transformers_engine import TransformersEngine

        folders = {name: model.folder for name, model in adapters.items()}
        return TransformersEngine(base, folders, tokenizer, space.config.generation.context)
    from llm_twin.adapters.llama_cpp import LlamaCppEngine

    if base.gguf is None:
        raise EngineError(
            f"llama.cpp needs a GGUF of the base {base.name!r} and none is configured",
            "Set base.gguf to its path, or generation.engine to transformers",
        )
    ggufs = {name: model.gguf for name, model in adapters.items()}
    return LlamaCppEngine(base.gguf, ggufs, context=space.config.generation.context)
