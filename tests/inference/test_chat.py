from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from doubles import ByteTokenizer, ScriptedEngine

from llm_twin.contracts.records import Post
from llm_twin.inference.chat import Conversation
from llm_twin.inference.writer import Writer

ANSWERED = "How did you mend the spout of the brass kettle?"


def test_a_follow_up_is_asked_with_what_was_said(writer: Writer, engine: ScriptedEngine) -> None:
    chat = Conversation(lambda: writer)
    first = chat.ask(ANSWERED).finish()
    second = chat.ask("And why?").finish()
    assert second.citations[0].title == "The brass kettle"
    shown = ByteTokenizer().decode(engine.requests[1][0])
    assert shown.index(ANSWERED) < shown.index(first.text) < shown.index("And why?")
    assert [m.content for m in chat.history] == [ANSWERED, first.text, "And why?", second.text]


def test_an_answer_that_was_stopped_is_remembered_as_far_as_it_was_shown(writer: Writer) -> None:
    chat = Conversation(lambda: writer)
    with chat.ask(ANSWERED) as reply:
        said = next(reply)
    assert chat.history[-1].content == said


def test_a_turn_that_has_not_ended_or_said_nothing_is_not_history(writer: Writer) -> None:
    chat = Conversation(lambda: writer)
    reply = chat.ask(ANSWERED)
    assert chat.history == ()
    reply.close()
    assert chat.history == ()


def test_sources_are_those_of_the_last_answer(writer: Writer) -> None:
    chat = Conversation(lambda: writer)
    assert chat.sources() == ()
    answer = chat.ask(ANSWERED).finish()
    assert chat.sources() == answer.citations
    chat.ask("Which zebra governs the quantum opera of Saturn?").finish()
    assert chat.sources() == ()


def test_the_model_can_change_between_turns(make_writer: Callable[..., Writer]) -> None:
    chat = Conversation(lambda: make_writer("v3"))
    assert chat.ask(ANSWERED).finish().model == "v3"
    chat.provider = lambda: make_writer("base")
    assert chat.ask(ANSWERED).finish().model == "base"
    assert len(chat.history) == 4


def test_saved_as_markdown_with_sources_and_versions(
    writer: Writer, posts: list[Post], tmp_path: Path
) -> None:
    chat = Conversation(lambda: writer)
    answer = chat.ask(ANSWERED).finish()
    chat.save(tmp_path / "chats" / "one.md")
    text = (tmp_path / "chats" / "one.md").read_text(encoding="utf-8")
    assert f"> {ANSWERED}" in text
    assert answer.text in text
    assert "v3 on F0001" in text
    for c in answer.citations:
        assert f"[{c.title}](<{c.url}>), characters {c.start} to {c.end}" in text
