"""What the commands print: progress bars with an ETA for people, one JSON object for machines.

With --json the result is the only thing on stdout; bars and lines for people always go to stderr.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from llm_twin.contracts.ports import Progress
    from llm_twin.contracts.records import Hit


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
            self._bars.update(self._task, advance=steps, note=note) if note else self._bars.advance(
                self._task, steps
            )

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._bars.console.print(line, highlight=False, markup=False)

    def _finish(self) -> None:
        if self._task is not None:
            task = self._bars.tasks[self._task]
            self._bars.update(self._task, total=max(task.completed, 1), completed=max(task.completed, 1))


@contextmanager
def progress(as_json: bool = False) -> Iterator[Progress]:
    """Progress on stderr while the block runs; nothing where stderr is no terminal and JSON is asked for."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, quiet=as_json and not Console(stderr=True).is_terminal)
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        shown = Bars(bars)
        yield shown
        shown._finish()


def result(value: dict[str, Any], as_json: bool, *lines: str) -> None:
    """Print the result: JSON for machines, else the lines."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False, default=list))
    else:
        for line in lines:
            print(line)


def excerpt(hit: Hit, width: int = 160) -> str:
    """The part of the passage where most of the query's words stand, on one line; bold on a terminal."""
    import sys

    from rich.console import Console
    from rich.text import Text

    first = max(hit.matches, key=lambda m: (_within(hit, m[0], width), -m[0]), default=(0, 0))[0]
    start = hit.text.rfind(" ", 0, max(0, first - width // 8)) + 1 if first > width // 2 else 0
    end = len(hit.text) if len(hit.text) <= start + width else hit.text.rfind(" ", start, start + width)
    shown = Text(hit.text[start:end].replace("\n", " "))
    for begin, stop in hit.matches:
        if start <= begin and stop <= end:
            shown.stylize("bold", begin - start, stop - start)
    shown = Text("… " if start else "") + shown + Text(" …" if end < len(hit.text) else "")
    console = Console(file=sys.stdout, width=2 * width, soft_wrap=True)
    with console.capture() as printed:
        console.print(shown, end="")
    return printed.get()


def _within(hit: Hit, start: int, width: int) -> int:
    """Different words of the query in so many characters from `start`."""
    return len({hit.text[a:b].lower() for a, b in hit.matches if start <= a and b <= start + width})


def table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table on stdout, cut to the width of the terminal only where there is one."""
    import shutil
    import sys

    from rich.console import Console
    from rich.table import Table

    width = None if sys.stdout.isatty() else max(120, shutil.get_terminal_size().columns)
    grid = Table(*headings, title=title or None, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    Console(width=width).print(grid, highlight=False, markup=False)
