"""The chat: streams answers, shows where they came from, and remembers what was said."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import datetime
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING

from llm_twin.cli import show
from llm_twin.cli.talk import sources

if TYPE_CHECKING:
    from pathlib import Path

    from llm_twin.api import Twin
    from llm_twin.compose import Twinspace
    from llm_twin.inference.chat import Conversation

HELP = """\
/sources          the passages behind the last answer, in full
/model [VERSION]  say which version is talking, or talk with another (v3, live, candidate, base)
/save [NAME]      write this conversation to the workspace's chats/, as Markdown
/help             this list
/quit             end the chat (or Ctrl-D)
Ctrl-C stops an answer and keeps what was said."""


def talk(space: Twinspace, model: str, features: str, allow_tainted: bool = False) -> None:
    """Read questions until the end of input."""
    from llm_twin.api import Twin
    from llm_twin.errors import TwinError

    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a byte that is no text must not end the conversation
    with Twin(space, model, features, allow_tainted, show.Lines(sys.stderr)) as twin:
        conversation = twin.conversation()
        writer = twin.writer()  # starts the engine, so that what is missing is said before the first question
        show.say(
            f"You are talking to the twin of {writer.author}, {writer.model} with {writer.features.name}."
        )
        print("/help names the commands; Ctrl-D ends the chat.\n")
        while (line := _read()) is not None:
            try:
                if line.startswith("/"):
                    if not _command(line, space, twin, conversation):
                        return
                elif line:
                    _answer(conversation, line)
            except TwinError as error:  # nor one question or command that fails
                show.say(f"llm-twin: {error}", file=sys.stderr)


def _read() -> str | None:
    if sys.stdin.isatty():
        with suppress(ImportError):  # Windows has none, and edits lines itself
            import readline  # noqa: F401  its import gives input() line editing and a history
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except EOFError:
        print()
        return None
    except KeyboardInterrupt:  # at the prompt it clears the line, as in a shell
        print()
        return ""


def _answer(conversation: Conversation, question: str) -> None:
    try:
        reply = conversation.ask(question)
        try:
            show.stream(reply)
        except KeyboardInterrupt:
            print(" (stopped)", end="")
        finally:
            reply.close()
    except KeyboardInterrupt:
        print("(stopped)")
        return
    show.say(f"\n{sources(reply.answer)}\n")


def _command(line: str, space: Twinspace, twin: Twin, conversation: Conversation) -> bool:
    """Carry out a line that begins with a slash; False ends the chat."""
    name, _, argument = line.partition(" ")
    argument = argument.strip()
    if name == "/quit":
        return False
    if name == "/sources":
        shown = [
            f"[{c.number}] {c.title}  {c.url}  characters {c.start}-{c.end}\n{c.text}\n"
            for c in conversation.sources()
        ]
        show.say("\n".join(shown) or "The last answer drew on no passage.")
    elif name == "/model":
        provider = partial(twin.writer, argument) if argument else conversation.provider
        writer = provider()
        conversation.provider = provider
        show.say(f"{'Now talking' if argument else 'Talking'} with {writer.model}.")
    elif name == "/save":
        _save(conversation, space.workspace.chats, argument)
    else:
        print(HELP)
    return True


def _save(conversation: Conversation, chats: Path, name: str) -> None:
    """Write a new file in the folder where `forget` looks for what was said; by default the time names it."""
    from llm_twin.errors import WorkspaceError
    from llm_twin.workspace import translate_disk_full

    if not conversation.history:
        show.say("Nothing to save yet.")
        return
    path = chats / f"{name.removesuffix('.md') or f'{datetime.now():%Y-%m-%d-%H%M%S}'}.md"
    if path.parent != chats or not path.name.isprintable():
        raise WorkspaceError(f"{name!r} cannot be the name of a file in {chats}", "Give one without folders")
    with translate_disk_full(path):
        if path.exists():
            raise WorkspaceError(f"{path} exists already", "Give another name: /save NAME")
    conversation.save(path)
    show.say(f"Saved to {path}.")
