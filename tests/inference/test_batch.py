from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles import ScriptedEngine

from llm_twin.errors import (
    ConfigError,
    EngineError,
    IntegrityError,
    MismatchError,
    MissingDependency,
    StoreError,
    TwinError,
    WorkspaceError,
)
from llm_twin.inference import batch
from llm_twin.inference.writer import Writer

LINES = [
    '{"id": "a", "ask": "How did you mend the spout of the brass kettle?"}',
    '{"ask": "Which zebra governs the quantum opera of Saturn?"}',
    "not json",
    "",
    '{"id": 7, "write": "Frost on the beam"}',
    '{"id": "two", "ask": "x", "write": "y"}',
    '{"id": "r", "rewrite": "I add paraffin."}',
    '{"id": "empty", "ask": "  "}',
    '{"id": "a", "ask": "How many herons are on the weir?"}',
    r'{"ask": "half \ud800"}',
    "[" * 100_000,
    "1" * 5_000,
]


def prepared(folder: Path, lines: list[str] = LINES) -> tuple[Path, Path]:
    source = folder / "in.jsonl"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return source, folder / "out.jsonl"


def results(out: Path, *without: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in r.items() if k not in without} for r in found]


UNSTEADY = ("timings_ms", "tokens_per_s")


def test_every_line_is_answered_in_order_and_bad_ones_say_why(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path)
    report = batch.run(source, out, writer)
    assert (report.done, report.refused, report.failed, report.skipped) == (5, 1, 6, 0)
    found = results(out)
    assert [r["line"] for r in found] == [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
    assert [r["id"] for r in found][:4] == ["a", None, None, 7]
    assert found[0]["citations"][0]["title"] == "The brass kettle"
    assert found[1]["refused"]
    assert "not JSON" in found[2]["error"]
    assert 'one of "ask"' in found[4]["error"]
    assert "The question is empty" in found[6]["error"]
    assert "surrogate" in found[8]["error"]
    assert all("not JSON that can be read" in r["error"] for r in found[9:])


def test_killed_anywhere_and_resumed_gives_the_same_file(
    make_writer: Callable[..., Writer], writer: Writer, tmp_path: Path
) -> None:
    source, out = prepared(tmp_path)
    batch.run(source, out, writer)
    whole, complete = results(out, *UNSTEADY), out.read_bytes()
    for cut in (0, 5, 40, len(complete) // 3, len(complete) // 2, len(complete) - 1):
        out.write_bytes(complete[:cut])  # what a killed process leaves: whole lines, then a torn one
        report = batch.run(source, out, make_writer())
        assert report.skipped == sum("error" not in r for r in whole[: complete[:cut].count(b"\n")])
        assert results(out, *UNSTEADY) == whole
    assert batch.run(source, out, writer).skipped == 5


def test_what_failed_is_tried_again_in_its_place(make_writer: Callable[..., Writer], tmp_path: Path) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[2], LINES[8]])

    def fail(n: int) -> None:
        raise TwinError("not now")

    first = batch.run(source, out, make_writer(engine=ScriptedEngine(before=fail)))
    again = batch.run(source, out, make_writer())
    assert (first.done, first.failed) == (0, 3)
    assert (again.done, again.failed, again.skipped) == (2, 1, 0)
    third = batch.run(source, out, make_writer())
    assert (third.done, third.failed, third.skipped) == (0, 1, 2)
    assert [(r["line"], "error" in r) for r in results(out)] == [(1, False), (2, True), (3, False)]


@pytest.mark.parametrize(
    "failure",
    [
        StoreError("Qdrant does not answer"),
        ConfigError(["max_tokens = 4096 leaves no room for a prompt"], "generation"),
        MissingDependency("No package sentence-transformers"),
        IntegrityError("posts.jsonl differs from its hash"),
        MismatchError("F0001 was embedded with another embedder"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_is_no_fault_of_a_line_stops_the_run(
    make_writer: Callable[..., Writer], tmp_path: Path, failure: TwinError
) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[8]])

    def fail(n: int) -> None:
        raise failure

    with pytest.raises(type(failure)):
        batch.run(source, out, make_writer(engine=ScriptedEngine(before=fail)))
    assert results(out) == []


def test_a_byte_order_mark_is_no_part_of_the_first_line(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path, [LINES[0]])
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert batch.run(source, out, writer).done == 1


def test_a_failing_engine_stops_the_run_and_nothing_done_is_lost(
    make_writer: Callable[..., Writer], tmp_path: Path
) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[4], LINES[8]])
    calls = 0

    def fail(n: int) -> None:
        nonlocal calls
        calls += n == 1
        if calls == 2:
            raise EngineError("the engine ended")

    with pytest.raises(EngineError):
        batch.run(source, out, make_writer(engine=ScriptedEngine(before=fail)))
    assert len(results(out)) == 1
    report = batch.run(source, out, make_writer())
    assert (report.done, report.skipped) == (2, 1)
    assert [r["line"] for r in results(out)] == [1, 2, 3]


def test_a_changed_line_is_answered_again(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[8]])
    batch.run(source, out, writer)
    source.write_text(f"{LINES[4]}\n{LINES[8]}\n", encoding="utf-8")
    report = batch.run(source, out, writer)
    assert (report.done, report.skipped) == (1, 1)
    assert {r["line"]: r["task"] for r in results(out)} == {1: "write", 2: "ask"}


def test_answers_move_with_their_lines(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[8], LINES[0], LINES[4]])
    batch.run(source, out, writer)
    before = results(out, "line")
    prepared(tmp_path, [LINES[6], LINES[0], LINES[4], LINES[0], LINES[0]])
    report = batch.run(source, out, writer)
    assert (report.done, report.skipped) == (2, 3)
    found = results(out)
    assert [r["line"] for r in found] == [1, 2, 3, 4, 5]
    assert [r["task"] for r in found] == ["rewrite", "ask", "write", "ask", "ask"]
    assert results(out, "line")[1:4] == [before[0], before[3], before[2]]


def test_what_another_model_answered_before_is_told_and_stays(
    make_writer: Callable[..., Writer], tmp_path: Path
) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[2], LINES[8]])
    assert batch.run(source, out, make_writer("v1")).others == {}
    prepared(tmp_path, [LINES[0], LINES[2], LINES[8], LINES[4]])
    report = batch.run(source, out, make_writer("base"))
    assert (report.done, report.skipped, report.others) == (1, 2, {"v1 with F0001": 2})
    assert [r.get("model") for r in results(out)] == ["v1", None, "v1", "base"]
    assert batch.run(source, out, make_writer("v1")).others == {"base with F0001": 1}


def test_answers_to_another_input_are_left_alone(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path, [LINES[0], LINES[2]])
    batch.run(source, out, writer)
    whole = out.read_bytes()
    for other in ([LINES[8]], []):
        prepared(tmp_path, other)
        with pytest.raises(WorkspaceError, match="holds answers to other lines only"):
            batch.run(source, out, writer)
        assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "held",
    [
        "my notes\n",
        "my notes",
        '{"other": 1}\n',
        "[" * 100_000 + "\n",
        '{"line": 7, "input": "a verse", "page": 3}\n',
        '{"input": "a verse", "line": 7, "task": "ask"}\n',
        '{"line": "7, 8", "input": "a verse", "error": "none"}\n',
        '{"line": null, "input": "a verse", "task": "ask"}\n',
    ],
    ids=range(8),
)
def test_a_file_that_no_batch_wrote_is_left_alone(writer: Writer, tmp_path: Path, held: str) -> None:
    source, out = prepared(tmp_path)
    out.write_text(held, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="no batch wrote"):
        batch.run(source, out, writer)
    assert out.read_text(encoding="utf-8") == held


def test_input_and_output_must_be_readable_and_two(writer: Writer, tmp_path: Path) -> None:
    source, out = prepared(tmp_path)
    with pytest.raises(WorkspaceError, match="There is no file"):
        batch.run(tmp_path / "none.jsonl", out, writer)
    with pytest.raises(WorkspaceError, match="both the input and the output"):
        batch.run(source, source, writer)
    with pytest.raises(WorkspaceError, match=r"cannot be used \(Is a directory\)"):
        batch.run(source, tmp_path, writer)
    source.write_bytes(b"\xff\xfe{}")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        batch.run(source, out, writer)
