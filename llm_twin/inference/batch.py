"""Many requests from a file: one JSON line in, one JSON line out, in order; a run that was stopped goes on.

In:  {"ask": "..."} or {"write": "..."} or {"rewrite": "..."}, each with an optional "id"
Out: {"line", "id", "input", "task", ...the answer} or {"line", "id", "input", "error"}

`line` is the number of the input line (from 1) and `input` the first 16 hex digits of its sha256: an answer
in the output counts as done while a line of the input has that hash, and moves with it. Bad input is answered
by an error line and the run goes on; the next run tries such lines again. Where the engine, the store or a
setting fails the run stops, and the same command continues it, with whatever is live by then: answers of
another model or other features stay, and the report names who gave them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_twin.contracts.ports import Progress, Silent
from llm_twin.errors import TwinError, WorkspaceError
from llm_twin.inference.writer import Writer
from llm_twin.workspace import atomic_write, translate_disk_full

TASKS = ("ask", "write", "rewrite")
_HEAD = b'{"line": '  # how every line that is written begins


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one run did: lines answered (the refused among them), lines that failed, lines answered before.

    `others` counts those answered before by something else than what answers now, such as "v1 with F0001".
    """

    done: int
    refused: int
    failed: int
    skipped: int
    others: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def run(lines: Path, out: Path, writer: Writer, progress: Progress | None = None) -> BatchReport:
    """Answer every line of `lines` that `out` holds no answer to yet, appending to `out`.

    Raises WorkspaceError where a file cannot be read or written, DiskFull, and whatever is no fault of a
    line: EngineError, StoreError, ConfigError and the other narrower kinds of TwinError.
    """
    progress = progress or Silent()
    if out.exists() and lines.exists() and out.samefile(lines):
        raise WorkspaceError(f"{out} is both the input and the output", "Name another file for the output")
    todo = list(_lines(lines))
    kept = _kept(out, todo)
    progress.start("batch", len(todo))
    progress.advance(len(kept))
    done = refused = failed = 0
    with translate_disk_full(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a", encoding="utf-8") as sink:
            for line in todo:
                if line.number in kept:
                    continue
                result = _result(line, writer)
                sink.write(json.dumps(result, ensure_ascii=False) + "\n")
                sink.flush()  # to the system, which outlives this process
                done += "error" not in result
                failed += "error" in result
                refused += bool(result.get("refused"))
                progress.advance()
    if kept:
        _in_order(out)
    now = _by(writer.model, writer.features.name)
    others = Counter(by for by in kept.values() if by != now)
    return BatchReport(done, refused, failed, len(kept), dict(others))


def _lines(path: Path) -> Iterator[_Line]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise WorkspaceError(f"There is no file {path}", "Name a file of JSON lines") from None
    except (UnicodeDecodeError, OSError) as error:
        raise WorkspaceError(f"{path} cannot be read ({error})", "Name a UTF-8 file of JSON lines") from None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _Line(number, line.strip())


def _kept(out: Path, todo: Sequence[_Line]) -> dict[int, str]:
    """The numbers of the lines that are answered, each with what answered it.

    The file is left with their answers alone, in order.

    Raises WorkspaceError, and changes nothing, where the file holds something that no batch wrote, or answers
    to other lines only.
    """
    if not out.is_file():
        return {}
    old = out.read_bytes()
    *lines, torn = old.split(b"\n")
    if torn and not (torn.startswith(_HEAD) or _HEAD.startswith(torn)):
        raise _foreign(out)
    answers: dict[str, list[tuple[bytes, str]]] = defaultdict(list)
    for line in reversed(lines):
        written = _written(line)
        if written is None:
            raise _foreign(out)
        digest, by = written
        if by:
            answers[digest].append((line, by))
    kept = {line.number: answers[line.digest].pop() for line in todo if answers[line.digest]}
    if not kept and any(answers.values()):
        raise WorkspaceError(
            f"{out} holds answers to other lines only", "Name another file for the output, or delete this one"
        )
    new = b"".join(_numbered(line, number) for number, (line, _) in kept.items())
    if new != old:
        atomic_write(out, new)
    return {number: by for number, (_, by) in kept.items()}


def _foreign(out: Path) -> WorkspaceError:
    return WorkspaceError(f"{out} holds something that no batch wrote", "Name another file for the output")


def _written(line: bytes) -> tuple[str, str | None] | None:
    """The hash of the input that a line of the output is for, and what answered it: None for an error line.

    None where no batch wrote the line.
    """
    try:
        found = json.loads(line)
        ours = line.startswith(b"%b%d," % (_HEAD, found["line"]))
        digest, answered = str(found["input"]), found.get("task") in TASKS
        by = _by(found["model"], found["features"]) if answered else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return (digest, by) if ours and (by or "error" in found) else None


def _by(model: str, features: str) -> str:
    return f"{model} with {features}"


def _numbered(line: bytes, number: int) -> bytes:
    """A line of the output with the number that its input has now."""
    return b"%b%d%b\n" % (_HEAD, number, line[line.index(b",") :])


def _in_order(out: Path) -> None:
    """Put the lines that a run appended behind those of an earlier one in their places."""
    lines = out.read_bytes().splitlines(keepends=True)
    ordered = sorted(lines, key=lambda line: int(json.loads(line)["line"]))
    if ordered != lines:
        atomic_write(out, b"".join(ordered))


def _result(line: _Line, writer: Writer) -> dict[str, Any]:
    head: dict[str, Any] = {"line": line.number, "id": None, "input": line.digest}
    try:
        request = _parsed(line.text)
        task, text = _request(request)
        head["id"] = request.get("id")
        with getattr(writer, task)(text) as reply:
            answer = reply.finish()
    except TwinError as error:
        if type(error) is not TwinError:  # what is wrong with a text has no kind of its own
            raise
        return head | {"error": str(error)}
    return {**head, "task": task, **answer.model_dump(mode="json")}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise TwinError(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets
        raise TwinError(f"not JSON that can be read: {error}") from None


def _request(request: Any) -> tuple[str, str]:
    """The task and its text. Raises TwinError naming what is wrong with the line."""
    if not isinstance(request, dict):
        raise TwinError(f"The line is a {type(request).__name__}, not an object", 'Write {"ask": "..."}')
    named = [task for task in TASKS if task in request]
    unknown = sorted(set(request) - {*TASKS, "id"})
    if len(named) != 1 or unknown:
        keys = ", ".join(request) or "no key"
        raise TwinError(
            f"The line holds {keys}", 'Give it one of "ask", "write", "rewrite", and an "id" if wanted'
        )
    if not isinstance(request[named[0]], str):
        raise TwinError(f'"{named[0]}" is not a text', f'Write {{"{named[0]}": "..."}}')
    try:
        json.dumps(request, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise TwinError(
            "The line holds half of a surrogate pair, which is not text", "Write it as UTF-8"
        ) from None
    return named[0], request[named[0]]
