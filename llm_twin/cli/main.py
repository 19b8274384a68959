"""The entry point of the command line, and how errors become one line and an exit code."""

from __future__ import annotations

import os
import sqlite3
import sys
from typing import TYPE_CHECKING

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from typer import Typer

STOPPED = 130  # 128 + SIGINT, as shells count; Typer exits so on Ctrl-C


def main() -> None:
    """`llm-twin`. Exit codes: 0 done, 1 a clear error, 2 bad usage, 3 a gate refused, 130 Ctrl-C."""
    from llm_twin.cli.app import app

    sys.exit(run(app))


def run(app: Typer) -> int:
    """Run the command line and turn errors into exit codes; usage errors are told by Typer."""
    try:
        app()
    except TwinError as error:
        if os.environ.get("LLM_TWIN_DEBUG"):
            raise
        print(f"llm-twin: {error}", file=sys.stderr)
        return error.exit_code
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # which is a file that is damaged; its kinds are not
            raise
        print(
            f"llm-twin: A database of the workspace is damaged ({error}). "
            "Restore library.db or models/registry.db from a copy.",
            file=sys.stderr,
        )
        return 1
    except SystemExit as stop:
        if stop.code == STOPPED:
            print(
                "\nllm-twin: stopped; what was done is kept. Run the same command to go on, "
                "train with --resume.",
                file=sys.stderr,
            )
        return stop.code if isinstance(stop.code, int) else 0
    return 0
