"""An answer while it is being made: iterate for its text, stop at any time, then ask it what it was."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

from llm_twin.contracts.ports import Engine, Piece, Sampling
from llm_twin.contracts.records import Answer, Citation
from llm_twin.inference.context import Prompt


class Clock:
    """Milliseconds since it was made, by name."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.marks: dict[str, float] = {}

    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    def mark(self, name: str, since: float = 0.0) -> None:
        """Record the time since `since` (seconds on this clock) under a name, in milliseconds."""
        self.marks[name] = round((self.now() - since) * 1000, 3)


class Reply:
    """The pieces of one answer, and the `Answer` once they have ended.

    Iterate once. The engine's stream is closed when the pieces end, when `close` is called, or when an exception
    (Ctrl-C too) leaves a `with` block; the answer then holds the text that was shown.

    Attributes:
        citations: the passages before the model; known from the start.
        refused: whether the text is a refusal that no model wrote; known from the start.
        prompt_tokens: tokens of all prompts.
        cut: whether the text ended because `max_tokens` was reached.
    """

    def __init__(
        self,
        pieces: Iterator[str],
        model: str,
        features: str,
        clock: Clock,
        citations: tuple[Citation, ...] = (),
        refused: bool = False,
    ) -> None:
        self.citations = citations
        self.refused = refused
        self.model = model
        self.features = features
        self.prompt_tokens = 0
        self.tokens = 0
        self.cut = False
        self.decode_s = 0.0
        self._decoded = 0
        self._pieces = pieces
        self._text: list[str] = []
        self._clock = clock
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of text. Whatever ends the pieces, an error included, leaves an answer behind."""
        try:
            piece = next(self._pieces)
        except BaseException:
            self.close()
            raise
        if not self._text:
            self._clock.mark("first_token")
        self._text.append(piece)
        return piece

    def __enter__(self) -> Reply:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop here; harmless when it has ended already."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        if self._answer is None:
            self._answer = self._made()

    def finish(self) -> Answer:
        """Run to the end and return the answer."""
        for _ in self:
            pass
        return self.answer

    @property
    def ended(self) -> bool:
        """Whether `answer` is there."""
        return self._answer is not None

    @property
    def answer(self) -> Answer:
        """What was said. Raises ValueError while it is still being made."""
        if self._answer is None:
            raise ValueError("The reply has not ended: iterate over it, or call finish() or close()")
        return self._answer

    def count(self, prompt: Prompt, first: Piece, last: Piece, seconds: float, limit: int) -> None:
        """Add what one stream of the engine did; `seconds` lie between its first and its last piece."""
        self.prompt_tokens += len(prompt.ids)
        self.tokens += last.tokens
        self.cut = self.cut or last.tokens >= limit
        self._decoded += last.tokens - first.tokens
        self.decode_s += seconds

    def _made(self) -> Answer:
        self._clock.mark("total")
        marks = {"embed": 0.0, "retrieve": 0.0, "first_token": self._clock.marks["total"]} | self._clock.marks
        return Answer(
            text="".join(self._text),
            refused=self.refused,
            citations=self.citations,
            model=self.model,
            features=self.features,
            timings_ms=marks,
            tokens=self.tokens,
            tokens_per_s=round(self._decoded / self.decode_s, 2) if self.decode_s > 0 else 0.0,
        )


def generate(reply: Reply, engine: Engine, prompt: Prompt, sampling: Sampling) -> Iterator[str]:
    """The text of one stream of the engine, without white space at its ends; counts into `reply` however it ends."""
    stream = engine.stream(prompt.ids, reply.model, sampling)
    first = last = Piece("", 0)
    started = ended = time.perf_counter()
    with closing(stream):  # type: ignore[type-var]  # an Iterator by its port, a generator in fact
        try:
            for piece in _trimmed_feed(stream):
                pass
        finally:
            reply.count(prompt, first, last, ended - started, sampling.max_tokens)
    yield ""
