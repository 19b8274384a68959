"""The entry point of the command line, and how errors become one line and an exit code."""

from __future__ import annotations

import sys


def main() -> None:
    """`llm-twin`. Exit codes: 0 done, 1 a clear error, 2 bad usage, 3 a gate refused, 130 Ctrl-C."""
    from llm_twin.cli.app import app

    sys.exit(run(app))


def run(app: object) -> int:
    """Run the command line and turn errors into exit codes."""
    import os

    import click
    import typer

    from llm_twin.errors import TwinError

    assert isinstance(app, typer.Typer)
    try:
        result = app(standalone_mode=False)
    except TwinError as error:
        if os.environ.get("LLM_TWIN_DEBUG"):
            raise
        print(f"llm-twin: {error}", file=sys.stderr)
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print(
            "\nllm-twin: stopped; what was done is kept. Run the same command to go on.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # the reader of our output went away, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0
