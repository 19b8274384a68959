"""`Twin`: the Python API. It follows the registry: what is promoted serves from the next request on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from llm_twin import compose
from llm_twin.contracts.ports import EVERYTHING, Filter
from llm_twin.contracts.records import Answer, Hit, Message
from llm_twin.contracts.versions import BASE
from llm_twin.registry import Pair

if TYPE_CHECKING:
    from llm_twin.contracts.ports import Progress
    from llm_twin.inference.batch import BatchReport
    from llm_twin.inference.chat import Conversation
    from llm_twin.inference.reply import Reply
    from llm_twin.inference.retrieve import Retriever
    from llm_twin.inference.writer import Writer


class Twin:
    """An author's twin in one workspace.

        with Twin.open("my-twin") as twin:
            answer = twin.ask("How do you read a gauge?")
            print(answer.text, answer.citations, answer.model, answer.features)

    Safe to share between threads. Nothing is loaded before the first request. When the live pair changes, the
    next request starts the new engine beside the old one, which stops when its last answer has ended. Where
    the new one does not start, requests fail until another pair is live: `models rollback` finds the old one
    still there.
    """

    def __init__(
        self,
        space: compose.Twinspace,
        model: str = "live",
        features: str = "live",
        allow_tainted: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._space = space
        self._model = model
        self._features = features
        self._allow_tainted = allow_tainted
        self._progress = progress  # is told what a first request has to prepare
        self._lock = threading.RLock()
        self._session: compose.Session | None = None
        self._retriever: Retriever | None = None

    @classmethod
    def open(
        cls,
        workspace: str | Path | None = None,
        model: str = "live",
        features: str = "live",
        allow_tainted: bool = False,
    ) -> Self:
        """Open a workspace (by default as the command line finds it) with a model and a feature version.

        `model` is a version ("v3"), an alias ("live", "candidate") or "base"; `features` a version ("F0002"),
        "live" or "latest". A version that learnt from a post which was forgotten since answers only with
        `allow_tainted`; else requests raise Tainted. Raises WorkspaceError, ConfigError, VersionNotFound.
        """
        space = compose.open_workspace(Path(workspace) if workspace else None)
        twin = cls(space, model, features, allow_tainted)
        # An unknown name is noticed here, not at the first question.
        space.registry.resolve(model)
        if features not in ("live", "latest"):  # of which there may be none yet
            compose.feature_name(space, features)
        return twin

    @property
    def model(self) -> str:
        """The model version that serves now: "v3", or "base"."""
        return self._space.registry.resolve(self._model)

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked for: "base" and all versions, the tainted where they are allowed."""
        refused = self._refused()
        names = (entry.version for entry in self._space.registry.entries())
        return (BASE, *(name for name in names if name not in refused))

    def search(
        self, query: str, k: int = 10, by: Literal["post", "chunk"] = "post", where: Filter = EVERYTHING
    ) -> list[Hit]:
        """The best `k` posts (each with its best passage) or passages. Loads no language model.

        `where` restricts the search by post, source, date, language or kind. Raises TwinError for an empty
        query, and for what else nothing could be found by.
        """
        return self._retrieval().search(query, k, by, where)

    def ask(self, question: str, history: Sequence[Message] = ()) -> Answer:
        """Answer from the author's posts, or say that they do not answer it."""
        return self.stream(question, history).finish()

    def stream(self, question: str, history: Sequence[Message] = ()) -> Reply:
        """As `ask`, piece by piece: iterate over the reply, then read its `.answer`."""
        return self.writer().ask(question, history)

    def write(self, topic: str, outline: str | None = None, so_far: str | None = None) -> Answer:
        """A post on a topic; with `outline`, a point a line, one that follows it.

        With `so_far`, the Markdown of a post that was begun, the answer is what follows in it.
        """
        return self.stream_write(topic, outline, so_far).finish()

    def stream_write(self, topic: str, outline: str | None = None, so_far: str | None = None) -> Reply:
        """As `write`, piece by piece."""
        return self.writer().write(topic, outline=outline, so_far=so_far)

    def rewrite(self, text: str) -> Answer:
        """Plain notes or text in the author's voice."""
        return self.stream_rewrite(text).finish()

    def stream_rewrite(self, text: str) -> Reply:
        """As `rewrite`, piece by piece."""
        return self.writer().rewrite(text)

    def conversation(self) -> Conversation:
        """A chat that remembers its turns."""
        from llm_twin.inference.chat import Conversation

        return Conversation(self.writer)

    def batch(self, source: Path, out: Path, progress: Progress | None = None) -> BatchReport:
        """Answer every line of a JSONL file; lines that `out` answers already are skipped."""
        from llm_twin.contracts.ports import Silent
        from llm_twin.inference import batch

        return batch.run(source, out, self.writer(), progress or Silent())

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 8017,
        allow_remote: bool = False,
        listening: Callable[[str], None] | None = None,
    ) -> None:
        """Serve the OpenAI-compatible API and the web page until interrupted.

        `listening` is given the address once it listens; by default a line is printed. What will answer is
        started before, so that what is missing is said at once.
        Where LLM_TWIN_API_KEY is set, every request must bring that key. Raises TwinError for a host that
        others can reach, unless `allow_remote` is given and there is a key.
        """
        from llm_twin.inference.server import KEY, announce, create_app, serve

        key = os.environ.get(KEY, "").strip() or None
        app = create_app(self.writer, lambda: self.models, (host.strip("[]"),), key)
        serve(app, host, port, allow_remote and key is not None, listening or announce, self.writer)

    def writer(self, model: str | None = None) -> Writer:
        """What answers a request now: the live pair, or another model of the registry beside it."""
        with self._lock:
            live = self._live()  # read once: its halves are of one pair
            wanted = self._model if model is None else model
            name = live.model if wanted == "live" else self._space.registry.resolve(wanted)
            self._check(name)
            features = self._wanted_features(live)
            session = self._session
            if session is None or session.features.name != features or name not in session.engine.models:
                session = self._start(name, features, live)
            return session.writer(name)

    def close(self) -> None:
        """Stop the engine. The twin may be asked again afterwards; it then starts anew."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = self._retriever = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, name: str) -> None:
        if not self._allow_tainted:
            compose.refuse_tainted(self._space, name)

    def _refused(self) -> set[str]:
        return set() if self._allow_tainted else set(self._space.registry.tainted())

    def _live(self) -> Pair:
        """The live pair; before the first one, the base with the newest features."""
        return self._space.registry.live() or Pair(BASE, "latest")

    def _wanted_features(self, live: Pair) -> str:
        """The feature version's name; one that is there is not opened for it."""
        wanted = live.features if self._features == "live" else self._features
        if (self._space.workspace.features / wanted).is_dir():
            return wanted
        return compose.feature_name(self._space, wanted)

    def _start(self, model: str, features: str, live: Pair) -> compose.Session:
        """Start a session with this model and, beside it, those that may be asked for next.

        These are the ones that the last session served of the same features and, where this twin follows the
        live pair, the live model.
        """
        beside, last = set[str](), self._session
        if last is not None and last.features.name == features:
            beside.update(last.engine.models)
        if self._model == "live" and live.features == features:
            beside.add(live.model)
        version = compose.feature_version(self._space, features)
        # The old session is only let go: answers on their way hold its engine, which stops with the last.
        self._session = compose.open_session(
            self._space, [model], version, self._allow_tainted, self._progress, sorted(beside - {model})
        )
        self._retriever = self._session.retriever
        return self._session

    def _retrieval(self) -> Retriever:
        with self._lock:
            features = self._wanted_features(self._live())
            if self._retriever is None or self._retriever.features.name != features:
                version = compose.feature_version(self._space, features)
                _, self._retriever = compose.open_retriever(self._space, version, self._progress)
            return self._retriever
