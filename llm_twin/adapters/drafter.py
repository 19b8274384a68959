"""Restating by the base model, through whichever engine serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llm_twin.contracts.ports import LONGEST_REPEAT, ChatTokenizer, Engine, Sampling
from llm_twin.contracts.records import Message
from llm_twin.contracts.versions import BASE


class EngineDrafter:
    """`contracts.ports.Drafter` by the base model of an engine, which `start` starts at the first draft.

    `part` identifies the weights and the engine; the likeliest word is taken each time, so that one request
    has one answer. Single words may be said again, names and numbers above all, and long runs may not: small
    models say one sentence for ever.
    """

    def __init__(self, part: str, start: Callable[[], tuple[Engine, ChatTokenizer]]) -> None:
        self.id = f"{part}:greedy-{LONGEST_REPEAT}"
        self._start = start
        self._parts: tuple[Engine, ChatTokenizer] | None = None

    def draft(self, messages: Sequence[Message]) -> str:
        """The answer's first paragraph, cut where it grows longer than the request. Raises EngineError."""
        if self._parts is None:
            self._parts = self._start()
        engine, tokenizer = self._parts
        prompt = tokenizer.encode_chat(messages)
        likeliest = Sampling(
            max_tokens=len(prompt),
            temperature=0.0,
            top_p=1.0,
            min_p=0.0,
            repeat_penalty=1.0,
            longest_repeat=LONGEST_REPEAT,
            stop=("\n\n",),
        )
        return "".join(piece.text for piece in engine.stream(prompt, BASE, likeliest)).strip()

    def close(self) -> None:
        """Stop the engine, if it was started."""
        if self._parts is not None:
            self._parts[0].close()
            self._parts = None
