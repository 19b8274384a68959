"""A conversation: its turns, what they came from, and a Markdown file of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm_twin.contracts.records import Answer, Citation, Message
from llm_twin.inference.reply import Reply
from llm_twin.inference.writer import Writer
from llm_twin.workspace import atomic_write


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and its reply, which may still be on its way."""

    question: str
    reply: Reply

    @property
    def answer(self) -> Answer | None:
        """The answer once it has ended, also one that was stopped half-way."""
        return self.reply.answer if self.reply.ended else None


class Conversation:
    """Asks with everything said so far; the writer drops the oldest turns where they do not fit.

    Attributes:
        provider: gives the writer of the next turn, so that the conversation follows the live versions;
            assign another one to change the model and keep the turns.
    """

    def __init__(self, provider: Callable[[], Writer]) -> None:
        self.provider = provider
        self.turns: list[Turn] = []

    def ask(self, question: str) -> Reply:
        """The next turn. What was shown of the reply, whole or not, is remembered once it has ended."""
        reply = self.provider().ask(question, self.history)
        self.turns.append(Turn(question, reply))
        return reply

    @property
    def history(self) -> tuple[Message, ...]:
        """The turns that have ended with any text, as plain messages, oldest first."""
        said = [(t.question, t.answer.text) for t in self.turns if t.answer and t.answer.text]
        return tuple(
            Message(role=role, content=content)
            for question, text in said
            for role, content in (("user", question), ("assistant", text))
        )

    def sources(self) -> tuple[Citation, ...]:
        """What the last reply was made from; empty before the first, and after a refusal."""
        return self.turns[-1].reply.citations if self.turns else ()

    def save(self, path: Path) -> None:
        """Write the conversation as Markdown, with sources and versions. Raises WorkspaceError, DiskFull."""
        atomic_write(path, "\n".join(_turn(t.question, t.answer) for t in self.turns if t.answer))


def _turn(question: str, answer: Answer) -> str:
    sources = "".join(
        f"{c.number}. [{_plain(c.title)}](<{c.url}>), characters {c.start} to {c.end}\n"
        for c in answer.citations
    )
    shown = f"\nSources:\n\n{sources}" if sources else ""
    quoted = "\n".join(f"> {line}".rstrip() for line in question.strip().splitlines())
    return f"{quoted}\n\n{answer.text}\n{shown}\n*{answer.model} on {answer.features}*\n\n---\n"


def _plain(title: str) -> str:
    return title.replace("[", r"\[").replace("]", r"\]")
