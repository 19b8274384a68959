"""The inference pipeline: one feature version and some models, side by side in one engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.embedding import embedder
from llm_twin.compose.fit import check_base, check_fit
from llm_twin.compose.parts import base_model, by_llama_cpp, engine, reranker, vector_store
from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import refuse_tainted
from llm_twin.config import Config
from llm_twin.contracts.ports import ChatTokenizer, Engine, Progress, Silent, VectorIndex
from llm_twin.contracts.versions import ADAPTER_GGUF, BASE, FeatureVersion
from llm_twin.errors import EngineError, TwinError

if TYPE_CHECKING:
    from llm_twin.inference.retrieve import Retriever
    from llm_twin.inference.writer import Writer


@dataclass(frozen=True)
class Session:
    """Everything that serves one feature version with some models, side by side in one engine."""

    config: Config
    features: FeatureVersion
    retriever: Retriever
    tokenizer: ChatTokenizer
    engine: Engine
    index: VectorIndex

    def writer(self, model: str) -> Writer:
        """The writer with one of the session's models, or "base"."""
        from llm_twin.inference.writer import Writer

        return Writer(self.features, self.retriever, self.tokenizer, self.engine, model, self.config)

    def close(self) -> None:
        """Stop the engine and release the index."""
        self.engine.close()
        self.index.close()


def open_session(
    space: Twinspace,
    models: Sequence[str],
    features: FeatureVersion,
    allow_tainted: bool = False,
    progress: Progress | None = None,
    beside: Sequence[str] = (),
) -> Session:
    """Start serving: models are version names or "base" (which is always there).

    Those `beside` them are served too, but for what cannot be. `progress` is told what has to be prepared
    first. Raises MismatchError where a model or the embedder does not fit the features, Tainted.
    """
    from llm_twin.adapters.base_model import HFChatTokenizer, is_prepared

    progress = progress or Silent()
    if not is_prepared(space.config.base.id):
        progress.say("Preparing the base model, once on this machine: about 20 s.")
    base = base_model(space)

    def folder(name: str) -> Path:
        if not allow_tainted:
            refuse_tainted(space, name)
        model = space.registry.get(name)
        check_fit(model, features)
        check_base(model, base)
        if by_llama_cpp(space, base) and not (model.folder / ADAPTER_GGUF).is_file():
            raise EngineError(
                f"{name} has no {ADAPTER_GGUF}, which llama.cpp needs",
                "Set generation.engine to transformers, or train again",
            )
        return model.folder

    adapters = {name: folder(name) for name in models if name != BASE}
    for name in beside:
        if name != BASE:
            with suppress(TwinError):  # gone, tainted, damaged, or not for this base or engine by now
                adapters[name] = folder(name)
    tokenizer = HFChatTokenizer(base.folder)
    index, retriever = open_retriever(space, features, progress)
    with _closed_on_error(index):
        started = engine(space, base, dict(sorted(adapters.items())), tokenizer)
    return Session(space.config, features, retriever, tokenizer, started, index)


def open_retriever(
    space: Twinspace, features: FeatureVersion, progress: Progress | None = None
) -> tuple[VectorIndex, Retriever]:
    """Retrieval alone over one feature version; the index is rebuilt from the version where it is missing."""
    from llm_twin.feature.index import open_index
    from llm_twin.inference.retrieve import Retriever

    store, progress = vector_store(space), progress or Silent()
    if not store.has(features.name, features.manifest.content_id):
        progress.say(f"The index of {features.name} is missing and made again.")
    index = open_index(features, store, space.workspace, progress)
    with _closed_on_error(index):
        made_by = embedder(space, features.manifest.embedder)
        return index, Retriever(features, index, made_by, space.config.retrieval, reranker(space))


@contextmanager
def _closed_on_error(index: VectorIndex) -> Iterator[None]:
    try:
        yield
    except BaseException:
        index.close()
        raise
