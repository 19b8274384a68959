"""The one rendering of prompts: the exact messages used by training, evaluation and serving.

Nothing else in the project may write a prompt. A change to what samples hold changes `PROMPT_VERSION`, which
feature and model manifests record; versions made with different prompts are refused together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_twin.contracts.prose import ending
from llm_twin.contracts.records import Message

PROMPT_VERSION = "1"
# Words of a text that are shown when it is to be continued. With a continuation of 300 words, the longest
# that is trained, they fill about two thirds of a training sequence of 1,024 tokens.
CONTEXT_WORDS = 200


@dataclass(frozen=True, slots=True)
class Passage:
    """A retrieved passage as it is shown to the model."""

    title: str
    date: str | None
    text: str


def write(author: str, title: str, examples: Sequence[tuple[str, str]] = ()) -> tuple[Message, ...]:
    """A post from its title. Also the prompt under which bits per byte are measured.

    `examples` are titles and texts of other posts, shown as turns that went before (few-shot).
    """
    history = [
        Message(role=role, content=content)
        for other, text in examples
        for role, content in (("user", _asked_to_write(other)), ("assistant", text))
    ]
    return _chat(author, _asked_to_write(title), history)


def outlined(author: str, title: str, points: Sequence[str]) -> tuple[Message, ...]:
    """A post from its title and outline, a point a line."""
    shown = "\n".join(f"- {point}" for point in points)
    return _chat(author, f"Write a blog post titled: {title}\n\nFollow this outline:\n{shown}")


def continued(author: str, title: str, text: str) -> tuple[Message, ...]:
    """What follows in a post of which `text` is there.

    Of its prose the last whole blocks are shown, CONTEXT_WORDS words at most, but always the last one.
    """
    shown = ending(text, CONTEXT_WORDS)
    return _chat(author, f"Continue this blog post titled: {title}\n\n{shown}")


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


def draft(paragraph: str) -> tuple[Message, ...]:
    """A plain restatement of a paragraph, asked of the base model when samples are made; no twin sees it."""
    system = Message(role="system", content="You restate texts in plain words and leave nothing out.")
    asked = f"Say this again in your own plain words. Keep every name and every number.\n\n{paragraph}"
    return system, Message(role="user", content=_safe(asked))


def _chat(author: str, body: str, history: Sequence[Message] = ()) -> tuple[Message, ...]:
    # The system message is always sent: many chat templates insert one of their own where it is missing.
    system = Message(
        role="system", content=f"You are {_safe(author)}. You write in your own voice, from your own posts."
    )
    chat = [system]
    for message in (*history, Message(role="user", content=body)):
        role, content = message.role, _safe(message.content)
        if chat[-1].role == role:  # as where a question had no answer; many templates take no two in a row
            content = f"{chat.pop().content}\n\n{content}"
        chat.append(Message(role=role, content=content))
    return tuple(chat)


def _asked_to_write(title: str) -> str:
    return f"Write a blog post titled: {title}"


def _heading(passage: Passage) -> str:
    return f"{passage.title} ({passage.date[:10]})" if passage.date else passage.title


def _safe(text: str) -> str:
    """Break chat-template control tokens such as <|im_end|>, so that no text can leave its own message."""
    return text.replace("<|", "< |").replace("|>", "| >")
