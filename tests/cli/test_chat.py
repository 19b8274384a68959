from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from llm_twin import Twin, compose
from llm_twin.cli.chat import _command, _read
from llm_twin.config import Config
from llm_twin.errors import WorkspaceError
from llm_twin.inference.chat import Conversation
from llm_twin.inference.retrieve import Retriever
from llm_twin.inference.writer import Writer
from tests.inference.doubles import ByteTokenizer, ExactIndex, HashEmbedder, ScriptedEngine, post, seal

QUESTION = "How did you mend the spout of the brass kettle?"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_are_read_where_python_has_no_readline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""
    monkeypatch.setitem(sys.modules, "readline", None)
    monkeypatch.setattr(sys, "stdin", Terminal(" How are you? \n"))
    assert _read() == "How are you?"
    assert _read() is None


class Chat:
    """Slash commands in a conversation with v3 that no engine is started for, in a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        compose.init(folder)
        self.space = compose.open_workspace(folder)
        self.folder = self.space.workspace.chats
        embedder = HashEmbedder()
        features = seal(folder / "F0001", [post("The brass kettle", "I mended its spout.", None)], embedder)
        index = ExactIndex(list(features.chunks.values()), features.vectors)
        retriever = Retriever(features, index, embedder, Config().retrieval)
        writer = Writer(features, retriever, ByteTokenizer(), ScriptedEngine(), "v3", Config())
        self.conversation = Conversation(lambda: writer)

    def type(self, line: str) -> None:
        assert _command(line, self.space, Twin(self.space), self.conversation)


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path)


def test_the_model_that_talks_is_named(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat.type("/model")
    assert capsys.readouterr().out == "Talking with v3.\n"


def test_nothing_is_saved_before_something_was_said(chat: Chat, capsys: pytest.CaptureFixture[str]) -> None:
    chat.type("/save")
    assert capsys.readouterr().out == "Nothing to save yet.\n"
    assert not chat.folder.exists()


def test_a_conversation_is_saved_under_its_name_or_the_time(
    chat: Chat, capsys: pytest.CaptureFixture[str]
) -> None:
    said = chat.conversation.ask(QUESTION).finish().text
    for line in ("/save", "/save  the kettle ", "/save kettle.md"):
        chat.type(line)
        path = Path(capsys.readouterr().out.removeprefix("Saved to ").removesuffix(".\n"))
        assert path.parent == chat.folder
        assert said in path.read_text(encoding="utf-8")
    dated, *named = sorted(path.name for path in chat.folder.iterdir())
    assert named == ["kettle.md", "the kettle.md"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}\.md", dated)


@pytest.mark.parametrize("name", ["../twin", "/twin.md", "a/b", "a\0b", "x" * 300, "kettle", "kettle.md"])
def test_nothing_is_overwritten_or_saved_elsewhere(chat: Chat, name: str) -> None:
    chat.folder.mkdir()
    (chat.folder / "kettle.md").write_text("Of last week.")
    chat.conversation.ask(QUESTION).finish()
    with pytest.raises(WorkspaceError):
        chat.type(f"/save {name}")
    assert [path.read_text() for path in chat.folder.iterdir()] == ["Of last week."]
    assert not (chat.folder.parent / "twin.md").exists()
