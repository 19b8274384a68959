"""All commands, gathered. Each module registers its own; none of them loads anything heavy until it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from llm_twin import __version__
from llm_twin.cli import build, forget, models, posts, start, talk

app = typer.Typer(
    name="llm-twin",
    help="Learns to write like one author from that author's own posts, on the author's own machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"llm-twin {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        # Eager: it answers before a missing command is complained about.
        typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    del version


for module in (start, posts, build, models, forget, talk):
    module.register(app)
