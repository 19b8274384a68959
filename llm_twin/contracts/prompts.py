"""The one rendering of prompts: the exact messages used by training, evaluation and serving.

Nothing else in the project may write a prompt. A change here changes `PROMPT_VERSION`, which feature and
model manifests record; versions made with different prompts are refused together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_twin.contracts.records import Message

PROMPT_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved passage as it is shown to the model."""

    title: str
    date: str | None
    text: str


def write(author: str, title: str) -> tuple[Message, ...]:
    """A post from its title. Also the prompt under which bits per byte are measured."""
    return _chat(author, f"Write a blog post titled: {title}")


def rewrite(author: str, notes: str) -> tuple[Message, ...]:
    """The author's paragraph from plain notes."""
    return _chat(author, f"Write this up in your own voice:\n\n{notes}")


def answer(
    author: str, question: str, passages: Sequence[Passage], history: Sequence[Message] = ()
) -> tuple[Message, ...]:
    """An answer from passages of the author's own posts; `history` holds earlier turns, oldest first."""
    shown = "\n\n".join(f"[{n}] {_heading(p)}\n{p.text}" for n, p in enumerate(passages, start=1))
    body = f"From your posts:\n\n{shown}\n\nAnswer from these posts: {question}" if passages else question
    return _chat(author, body, history)


def _chat(author: str, body: str, history: Sequence[Message] = ()) -> tuple[Message, ...]:
    # The system message is always sent: many chat templates insert one of their own where it is missing.
    system = Message(
        role="system", content=f"You are {_safe(author)}. You write in your own voice, from your own posts."
    )
    past = (Message(role=m.role, content=_safe(m.content)) for m in history)
    return (system, *past, Message(role="user", content=_safe(body)))


def _heading(passage: Passage) -> str:
    return f"{passage.title} ({passage.date[:10]})" if passage.date else passage.title


def _safe(text: str) -> str:
    """Break chat-template control tokens such as <|im_end|>, so that no text can leave its own message."""
    return text.replace("<|", "< |").replace("|>", "| >")
