"""An answer while it is being made: iterate for its text, stop at any time, then ask it what it was."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

from llm_twin.contracts.ports import ChatTokenizer, Engine, Piece, Sampling
from llm_twin.contracts.records import Answer, Citation
from llm_twin.inference.context import Prompt

_FIRST_WORDS = 20  # likeliest tokens among which an answer's first word is looked for


class Clock:
    """Milliseconds by name, all from the moment it was made unless told otherwise."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.marks: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Record the time since the start under a name."""
        self.marks[name] = round((time.perf_counter() - self._start) * 1000, 3)


@dataclass(slots=True)
class Tally:
    """What the engine did for one reply, over all its streams.

    Attributes:
        prompt_tokens, tokens: read and generated.
        decoded, decode_s: tokens after the first of each stream, and the seconds they took: the decode rate.
        cut: whether a stream ended because it reached `max_tokens`.
    """

    prompt_tokens: int = 0
    tokens: int = 0
    decoded: int = 0
    decode_s: float = 0.0
    cut: bool = False

    @property
    def tokens_per_s(self) -> float:
        """Decode rate without the prompt; 0 where nothing could be measured."""
        return self.decoded / self.decode_s if self.decode_s > 0 else 0.0


class Reply:
    """The pieces of one answer, and the `Answer` once they have ended; the pieces joined are its text.

    The engine's stream is closed when the pieces end, when `close` is called, or when an exception (Ctrl-C
    too) leaves a `with` block or comes out of the iteration; the answer then holds the text that was shown.

    Attributes:
        model, features: names of the versions; known from the start, as are `citations` and `refused`.
        citations: the passages before the model.
        refused: whether the text is a refusal, which no model wrote.
    """

    def __init__(
        self,
        pieces: Iterator[str],
        model: str,
        features: str,
        clock: Clock,
        tally: Tally,
        citations: tuple[Citation, ...] = (),
        refused: bool = False,
    ) -> None:
        self.model = model
        self.features = features
        self.citations = citations
        self.refused = refused
        self.tally = tally
        self._pieces = pieces
        self._text: list[str] = []
        self._clock = clock
        self._answer: Answer | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            piece = next(self._pieces)
        except BaseException:  # the end of the pieces, an error or Ctrl-C: each leaves an answer, and goes on
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
        _close(self._pieces)
        if self._answer is None:
            self._answer = self._made()

    def finish(self) -> Answer:
        """Run to the end and return the answer."""
        for _ in self:
            continue
        return self.answer

    @property
    def ended(self) -> bool:
        """Whether `answer` is there."""
        return self._answer is not None

    @property
    def answer(self) -> Answer:
        """What was said. Raises ValueError while it is still being made."""
        if self._answer is None:
            raise ValueError("the reply has not ended: iterate over it, or call finish() or close()")
        return self._answer

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
            tokens=self.tally.tokens,
            tokens_per_s=round(self.tally.tokens_per_s, 2),
        )


def generate(
    engine: Engine,
    tokenizer: ChatTokenizer,
    prompt: Prompt,
    model: str,
    sampling: Sampling,
    tally: Tally,
) -> Iterator[str]:
    """The text of one answer of the engine, without white space at its ends; counted however it ends.

    Where the model ends it before its first word, it begins with the word likeliest there: a small model does
    so now and then, and nobody who asks is helped by nothing. What a `stop` string empties stays empty.
    """
    tally.prompt_tokens += len(prompt.ids)
    before = tally.tokens
    said = yield from _stream(engine, prompt.ids, model, sampling, tally)
    left = sampling.max_tokens - (tally.tokens - before)
    if said or sampling.stop or left < 2:
        return
    likely = engine.next_token_logprobs(prompt.ids, model, _FIRST_WORDS)
    words = {token: tokenizer.decode([token]) for token in likely}
    first = next((token for token, word in words.items() if word.strip() and "\ufffd" not in word), None)
    if first is not None:
        tally.tokens += 1
        yield words[first].strip()
        rest = replace(sampling, max_tokens=left - 1)
        yield from _stream(engine, (*prompt.ids, first), model, rest, tally, said=True)


def _stream(
    engine: Engine, ids: Sequence[int], model: str, sampling: Sampling, tally: Tally, said: bool = False
) -> Generator[str, None, bool]:
    """One stream of the engine; returns whether anything was `said`, by it or before it."""
    stream = engine.stream(ids, model, sampling)
    first: Piece | None = None
    last, began, ended, held = Piece("", 0), 0.0, 0.0, ""
    try:
        for last in stream:
            ended = time.perf_counter()
            if first is None:
                first, began = last, ended
            text = held + last.text if said else last.text.lstrip()
            shown = text.rstrip()
            held = text[len(shown) :]  # white space is held back until a word follows it
            if shown:
                said = True
                yield shown
    finally:
        _close(stream)
        tally.tokens += last.tokens
        tally.decoded += last.tokens - first.tokens if first else 0
        tally.decode_s += ended - began
        tally.cut = tally.cut or last.tokens >= sampling.max_tokens
    return said


def _close(iterator: Iterator[object]) -> None:
    # The port promises an iterator that closing stops; only generators name the method in their type.
    close = getattr(iterator, "close", None)
    if close is not None:
        close()
