"""The drafter asks the base, greedily, starts its engine once and stops it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llm_twin.adapters.drafter import EngineDrafter
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Piece, Sampling
from llm_twin.contracts.records import Message


class Words:
    """A tokenizer's double: a token a word."""

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        return list(range(len(" ".join(m.content for m in messages).split())))


class Answers:
    """An engine's double."""

    def __init__(self) -> None:
        self.requests: list[tuple[Sequence[int], str, Sampling]] = []
        self.closed = 0

    def stream(self, prompt: Sequence[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        self.requests.append((prompt, model, sampling))
        yield Piece(" It was", 2)
        yield Piece(" cold.\n", 4)

    def close(self) -> None:
        self.closed += 1


def test_the_engine_starts_at_the_first_draft_and_stops_once() -> None:
    started: list[Answers] = []

    def start() -> Any:
        started.append(Answers())
        return started[-1], Words()

    drafter = EngineDrafter("base:engine", start)
    drafter.close()
    assert started == []
    messages = prompts.draft("The paddles were stiff with frost.")
    assert drafter.draft(messages) == drafter.draft(messages) == "It was cold."
    drafter.close()
    drafter.close()
    (engine,) = started
    assert engine.closed == 1
    prompt, model, sampling = engine.requests[0]
    assert (model, sampling.temperature, sampling.repeat_penalty) == ("base", 0.0, 1.0)
    assert sampling.longest_repeat == 5
    assert sampling.max_tokens == len(prompt) == len(Words().encode_chat(messages))
    assert engine.requests[0] == engine.requests[1]
    assert drafter.id.startswith("base:engine:")
