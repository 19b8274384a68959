"""What is put before the model: question, earlier turns and numbered passages, within the token budget."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import ChatTokenizer
from llm_twin.contracts.prompts import Passage
from llm_twin.contracts.records import Citation, Hit, Message
from llm_twin.errors import TwinError
from llm_twin.inference.words import content_words


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt that fits: its messages, their token ids, and the passages in it under their numbers."""

    messages: tuple[Message, ...]
    ids: tuple[int, ...]
    citations: tuple[Citation, ...] = ()


def answering(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Message],
    author: str,
    tokenizer: ChatTokenizer,
    budget: int,
) -> Prompt:
    """The prompt that answers `question` in at most `budget` tokens.

    Passages go in first, whole and in rank order, up to the first that does not fit; what is left goes to
    earlier turns, the newest first. Raises TwinError where the question alone is longer than the budget.
    """
    best = fitted(prompts.answer(author, question, ()), tokenizer, budget, "The question")
    for n in range(1, len(hits) + 1):
        longer = _with_passages(question, hits[:n], (), author, tokenizer)
        if len(longer.ids) > budget:
            break
        best = longer
    shown = hits[: len(best.citations)]
    turns = exchanges(history)
    # Every try encodes the whole prompt: twice as many turns each time, then halves of what lies between.
    fit, beyond, n = 0, len(turns) + 1, 1
    while beyond - fit > 1:
        past = [m for turn in turns[-n:] for m in turn]
        longer = _with_passages(question, shown, past, author, tokenizer)
        if len(longer.ids) <= budget:
            best, fit = longer, n
        else:
            beyond = n
        n = min(2 * n, len(turns)) if beyond > len(turns) else (fit + beyond) // 2
    return best


def fitted(messages: tuple[Message, ...], tokenizer: ChatTokenizer, budget: int, what: str) -> Prompt:
    """The messages as a prompt. Raises TwinError, naming `what`, where they are longer than the budget."""
    ids = tokenizer.encode_chat(messages)
    if len(ids) > budget:
        raise TwinError(
            f"{what} is too long: {len(ids)} tokens with its instructions, and {budget} fit",
            "Shorten it, or raise generation.context",
        )
    return Prompt(messages, tuple(ids))


def exchanges(history: Sequence[Message]) -> list[list[Message]]:
    """Earlier messages as turns that each begin with the user's; system and empty messages are left out.

    What an assistant says before any question has no turn to stand in, and is left out too.
    """
    turns: list[list[Message]] = []
    for message in history:
        if message.role == "system" or not message.content.strip():
            continue
        if message.role == "user":
            turns.append([message])
        elif turns:
            turns[-1].append(message)
    return turns


_LEANS_ON = re.compile(
    r"\b(it|its|that|this|these|those|they|them|their|theirs|he|him|his|she|her|hers|there|ones?)\b", re.I
)
_GOES_ON = re.compile(r"^\W*(and|but|or|so|then|also|what about|how about|why not|why|which one)\b", re.I)
_FEW_WORDS = 4


def search_text(question: str, history: Sequence[Message] = ()) -> str:
    """What to search for: a question that leans on the ones before it is joined with them.

    "And why?" names nothing to search for. A question leans where it has hardly any content words, or few and
    either a pronoun or an opening that goes on ("and", "what about"). Earlier questions are added back to the
    last that stands alone.
    """
    parts = [question]
    for message in reversed(history):
        if not leans(parts[0]):
            break
        if message.role == "user" and message.content.strip():
            parts.insert(0, message.content.strip())
    return " ".join(parts)


def leans(question: str) -> bool:
    """Whether a question cannot be understood, or searched for, without the one before it."""
    words = len(set(content_words(question)))
    return words < 1 or (
        words <= _FEW_WORDS and bool(_LEANS_ON.search(question) or _GOES_ON.search(question))
    )


def _with_passages(
    question: str, hits: Sequence[Hit], past: Sequence[Message], author: str, tokenizer: ChatTokenizer
) -> Prompt:
    passages = [Passage(h.title, h.published_at, h.text) for h in hits]
    messages = prompts.answer(author, question, passages, past)
    return Prompt(
        messages, tuple(tokenizer.encode_chat(messages)), tuple(cite(n, h) for n, h in enumerate(hits, 1))
    )


def cite(number: int, hit: Hit) -> Citation:
    """A hit under the number it has in the prompt."""
    return Citation(number=number, **hit.model_dump(include=set(Citation.model_fields)))
