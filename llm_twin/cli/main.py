"""The entry point of the command line, and how errors become one line and an exit code."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from _thread import interrupt_main
from io import TextIOWrapper
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from typer import Typer

STOPPED = 130  # 128 + SIGINT, as shells count; Typer exits so on Ctrl-C
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
_AGAIN_S = 0.05


def main() -> None:
    """`llm-twin`. Exit codes: 0 done, 1 a clear error, 2 bad usage, 3 a gate refused, 130 Ctrl-C."""
    sys.unraisablehook = _unraisable
    try:
        from llm_twin.cli.app import app

        code = run(app)
    except KeyboardInterrupt:  # before Typer listens to it
        code = _stopped()
    sys.exit(code)


def run(app: Typer) -> int:
    """Run the command line and turn errors into exit codes; usage errors are told by Typer."""
    _settle_output()
    try:
        code = _run(app)
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in {*_UNWRITABLE, errno.EPIPE} or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where what is left in the buffer goes at the end
        if error.errno != errno.EPIPE:  # whoever read the output wants no more of it
            _say(f"The output cannot be written ({error.strerror}). Make room, or write it elsewhere.")
        return 1
    return code


def _run(app: Typer) -> int:
    try:
        app()
    except TwinError as error:
        if os.environ.get("LLM_TWIN_DEBUG"):
            raise
        _say(str(error))
        return error.exit_code
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # which is a file that is damaged; its kinds are not
            raise
        _say(
            f"A database of the workspace is damaged ({error}). "
            "Restore library.db or models/registry.db from a copy."
        )
        return 1
    except SystemExit as stop:
        if stop.code == STOPPED:
            return _stopped()
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _settle_output() -> None:
    """Output that was closed goes nowhere; a character that its encoding lacks is printed as a mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  to the end
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say(line: str) -> None:
    from llm_twin.cli import show

    show.say(f"llm-twin: {line}", file=sys.stderr)


def _stopped() -> int:
    print(
        "\nllm-twin: stopped; what was done is kept. Run the same command to go on, train with --resume.",
        file=sys.stderr,
    )
    return STOPPED


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Send a Ctrl-C again that fell into a callback that cannot raise, as those of a module's import lock."""
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    again = Timer(_AGAIN_S, interrupt_main)
    again.daemon = True  # a program that is over has nothing to stop
    again.start()
