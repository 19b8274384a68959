"""What the commands print: progress bars with an ETA for people, one JSON object for machines.

With --json the result is the only thing on stdout; bars and lines for people always go to stderr. Whatever is
printed for people goes through `plain`: a title, or what a model wrote, must not command their terminal.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID
    from rich.text import Text

    from llm_twin.contracts.ports import Progress
    from llm_twin.contracts.records import Hit


_TELL_S = 30.0  # between lines about one stage
_RATE_S = 300.0  # that the rate is of: over less, a pause to measure or to save doubled the time left
# Control characters (of them ESC and, in C1, what stands for it) and those that turn the direction of text.
_OBEYED = (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = dict.fromkeys(_OBEYED, "\ufffd") | {ord("\n"): "\n", ord("\t"): "\t", ord("\r"): " "}


def plain(text: str) -> str:
    """The text with a mark in place of each character that a terminal would obey; as long as it was."""
    return text.translate(_SHOWN)


def say(line: str | Text = "", end: str = "\n", file: TextIO | None = None) -> None:
    """Print a line for people, on stdout unless `file` is given; bold where it is so, on a terminal."""
    if isinstance(line, str):
        print(plain(line), end=end, file=file, flush=True)
        return
    from rich.console import Console

    line.plain = plain(line.plain)
    Console(file=file, soft_wrap=True).print(line, end=end)


class Bars:
    """The `Progress` port on a terminal: one bar a stage, with figures, rate and time left."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, stage: str, total: int | None = None) -> None:
        """Finish the bar of the last stage and begin another."""
        self._finish()
        self._task = self._bars.add_task(stage, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar."""
        if self._task is not None:
            if note:
                self._bars.update(self._task, advance=steps, note=plain(note))
            else:
                self._bars.advance(self._task, steps)

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._bars.console.print(plain(line), highlight=False, markup=False)

    def _finish(self) -> None:
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=max(task.completed, 1), completed=max(task.completed, 1))


class Lines:
    """The `Progress` port in a file: where a long stage stands and how long it still takes, now and then."""

    def __init__(self, file: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self.start("")

    def start(self, stage: str, total: int | None = None) -> None:
        """Begin another stage."""
        self._stage, self._total = stage, total
        self._done = 0
        self._began = self._told_at = self._clock()
        self._marks = deque[tuple[float, int]](maxlen=round(_RATE_S / _TELL_S))

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count, and tell after each half minute; the time left is by the rate of the last five."""
        self._done += steps
        now = self._clock()
        if not self._marks:  # from here on: what a resumed run had done before took none of its time
            self._marks.append((now, self._done))
        if now - self._told_at < _TELL_S:
            return
        line = f"{self._stage}: {self._done}"
        if self._total is not None:
            since, before = self._marks[0] if self._marks[0][0] < now else (self._began, 0)
            left = (self._total - self._done) * (now - since) / max(1, self._done - before)
            line += f" of {self._total}, {_minutes(now - self._began)} elapsed, eta {_minutes(left)}"
        self._marks.append((now, self._done))
        self._told_at = now
        self.say(f"{line}  {note}".rstrip())

    def say(self, line: str) -> None:
        """A line at once."""
        say(line, file=self._file)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress on stderr while the block runs: bars on a terminal, a line now and then where it is none."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(sys.stderr)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, speed_estimate_period=_RATE_S) as bars:
        shown = Bars(bars)
        yield shown
        shown._finish()


def result(value: dict[str, Any], as_json: bool, *lines: str | Text) -> None:
    """Print the result: JSON for machines, else the lines."""
    if as_json:
        every = (sys.stdout.encoding or "utf-8").lower().startswith("utf")  # character can be printed
        print(json.dumps(value, ensure_ascii=not every, default=list), flush=True)
    else:
        for line in lines:
            say(line)


def stream(pieces: Iterable[str]) -> None:
    """Print a text while it is being made; on a terminal no word is broken."""
    if sys.stdout.isatty():
        pieces = wrapped(pieces, shutil.get_terminal_size().columns)
    for piece in pieces:
        say(piece, end="")


def wrapped(pieces: Iterable[str], width: int) -> Iterator[str]:
    """Word after word; a line begins before one that would not fit on a line of `width` columns."""
    from rich.cells import cell_len

    column, gap, word = 0, "", ""
    for character in chain(chain.from_iterable(pieces), " "):  # the last one ends the last word
        if not character.isspace():
            word += character
            continue
        if word:
            if "\n" not in gap and column and column + cell_len(gap + word) > width:
                gap = "\n"
            _, broken, line = (gap + word).rpartition("\n")
            column = cell_len(line) + (0 if broken else column)
            yield gap + word
            gap, word = "", ""
        gap += character


def excerpt(hit: Hit, lead: str = "", width: int = 160) -> Text:
    """The part of the passage where most of the query's words stand, on one line after `lead`; these bold."""
    from rich.text import Text

    first = max(hit.matches, key=lambda m: (_within(hit, m[0], width), -m[0]), default=(0, 0))[0]
    start = hit.text.rfind(" ", 0, max(0, first - width // 8)) + 1 if first > width // 2 else 0
    end = len(hit.text) if len(hit.text) <= start + width else hit.text.rfind(" ", start, start + width)
    shown = Text(plain(hit.text[start:end]).replace("\n", " "))  # before Text takes any character out
    for begin, stop in hit.matches:
        if start <= begin and stop <= end:
            shown.stylize("bold", begin - start, stop - start)
    return Text(plain(lead) + ("… " if start else "")) + shown + Text(" …" if end < len(hit.text) else "")


def _within(hit: Hit, start: int, width: int) -> int:
    """Different words of the query in so many characters from `start`."""
    return len({hit.text[a:b].lower() for a, b in hit.matches if start <= a and b <= start + width})


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout, cut to the width of the terminal only where there is one."""
    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else max(120, shutil.get_terminal_size().columns)
    grid = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*("" if cell is None else plain(str(cell)) for cell in row))
    Console(width=width).print(grid, highlight=False, markup=False)
