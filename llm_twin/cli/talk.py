"""`llm-twin search`, `ask`, `write`, `rewrite`, `chat`, `batch` and `serve`: using the twin."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_twin.cli import show
from llm_twin.cli.options import FeatureVersion, Json, Model, Set, Tainted, Workspace, space

if TYPE_CHECKING:
    from llm_twin.api import Twin
    from llm_twin.contracts.records import Answer, Kind
    from llm_twin.inference.reply import Reply

_KINDS: tuple[Kind, ...] = ("post", "note")  # that features hold: replies are left out of them


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (search, ask, write, rewrite, chat, batch, serve):
        app.command()(command)


def search(
    query: str,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many results.")] = 5,
    by: Annotated[str, typer.Option("--by", help="post or chunk.")] = "post",
    sources: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="HOST", help="Only posts of this site, with or without www."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only this kind: post or note."),
    ] = None,
    languages: Annotated[
        list[str] | None, typer.Option("--language", metavar="CODE", help="Only this language, such as en.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only posts of this day or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only posts of this day or earlier.")
    ] = None,
    features: FeatureVersion = "live",
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Retrieval alone: the passages that a question finds."""
    from llm_twin.contracts.ports import Filter

    if by not in ("post", "chunk"):
        raise typer.BadParameter(f"{by!r} is neither post nor chunk", param_hint="--by")
    if wrong := set(kinds or ()) - set(_KINDS):
        raise typer.BadParameter(f"{min(wrong)!r} is neither {' nor '.join(_KINDS)}", param_hint="--kind")
    hosts = {host.lower().removeprefix("www.") for host in sources or ()}
    where = Filter(
        sources=frozenset(hosts | {f"www.{host}" for host in hosts}),
        kinds=frozenset(kind for kind in _KINDS if kind in (kinds or ())),
        languages=frozenset(code.lower() for code in languages or ()),
        since=since.date().isoformat() if since else None,
        until=until.date().isoformat() if until else None,
    )
    with _twin(workspace, overrides, "base", features) as twin:
        hits = twin.search(query, k, by="post" if by == "post" else "chunk", where=where)
    lines = [
        show.excerpt(hit, f"{n}. {hit.title} ({(hit.published_at or 'undated')[:10]})  {hit.url}\n   ")
        for n, hit in enumerate(hits, start=1)
    ]
    none = [] if hits else ["Nothing found."]
    show.result({"hits": [h.model_dump(mode="json") for h in hits]}, as_json, *lines, *none)


def ask(
    question: str,
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Answer a question from the author's posts, in the author's voice."""
    with _twin(workspace, overrides, model, features, allow_tainted) as twin:
        _print(twin.stream(question), as_json)


def write(
    topic: str,
    outline: Annotated[
        Path | None,
        typer.Option(
            "--outline",
            metavar="FILE",
            help="Points to follow, one a line; - for standard input. "
            "Better where features.tasks has outline.",
        ),
    ] = None,
    so_far: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            metavar="FILE",
            help="A post that was begun; only what follows is written. "
            "Better where features.tasks has continue.",
        ),
    ] = None,
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write a short post on a topic, by an outline, or what follows in one that was begun.

    It is written from these words alone: no posts are looked up, so that it names none as its sources.
    """
    if outline and so_far:
        raise typer.BadParameter("give --outline or --continue, not both", param_hint="--continue")
    points, begun = (_read(file) if file else None for file in (outline, so_far))
    with _twin(workspace, overrides, model, features, allow_tainted) as twin:
        _print(twin.stream_write(topic, points, begun), as_json)


def rewrite(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Notes or plain text; - for standard input.")],
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write plain notes up in the author's voice."""
    text = _read(file)
    with _twin(workspace, overrides, model, features, allow_tainted) as twin:
        _print(twin.stream_rewrite(text), as_json)


def chat(
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
) -> None:
    """Talk with the twin. /help names the commands; Ctrl-C stops an answer, Ctrl-D ends the chat."""
    from llm_twin.cli.chat import talk

    opened = space(workspace, overrides)
    talk(opened, model, features, allow_tainted)


def batch(
    source: Annotated[Path, typer.Argument(metavar="IN.jsonl", help='Lines such as {"ask": "..."}.')],
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl")],
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Answer every line of a file; interrupted, the same command goes on. Exit 1 where a line failed."""
    from dataclasses import asdict

    from llm_twin.errors import TwinError

    with (
        _twin(workspace, overrides, model, features, allow_tainted) as twin,
        show.progress() as progress,
    ):
        report = twin.batch(source, out, progress)
    others = ", ".join(f"{number} by {by}" for by, number in report.others.items())
    there = f"{report.skipped} were there already" + (f" ({others})" if others else "")
    told = [f"{report.done} answered, {there}, {report.failed} failed; {out}"]
    if others:
        told.append("To have those answered anew, name another file for the output.")
    show.result(asdict(report), as_json, *told)
    if report.failed:
        raise TwinError(
            f"{report.failed} lines could not be answered, and {out} says why",
            "Correct them, or run the same command to try them again",
        )


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on (default: 127.0.0.1).")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 chooses a free one.")
    ] = None,
    allow_remote: Annotated[
        bool,
        typer.Option("--allow-remote", help="Let others reach it, with the key in $LLM_TWIN_API_KEY."),
    ] = False,
    model: Model = "live",
    features: FeatureVersion = "live",
    allow_tainted: Tainted = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Serve an OpenAI-compatible API and a web page on this machine; --json tells the address."""
    opened = space(workspace, overrides)
    from llm_twin.api import Twin

    settings, listening = opened.config.serve, _tell_address if as_json else None
    with Twin(opened, model, features, allow_tainted, show.Lines(sys.stderr)) as twin:
        twin.serve(host or settings.host, settings.port if port is None else port, allow_remote, listening)


def _tell_address(url: str) -> None:
    show.result({"url": url}, True)


def _twin(
    workspace: Path | None,
    overrides: list[str] | None,
    model: str,
    features: str,
    allow_tainted: bool = False,
) -> Twin:
    from llm_twin.api import Twin

    return Twin(space(workspace, overrides), model, features, allow_tainted, show.Lines(sys.stderr))


def _print(reply: Reply, as_json: bool) -> None:
    if as_json:
        for _ in reply:
            pass
        show.result(reply.answer.model_dump(mode="json"), True)
        return
    try:
        show.stream(reply)
    finally:
        print()
        reply.close()
    show.say(sources(reply.answer), file=sys.stderr)


def sources(answer: Answer) -> str:
    """The lines under an answer: the posts that it came from, once each, and what made it."""
    numbers: dict[tuple[str, str], list[str]] = {}
    for c in answer.citations:
        numbers.setdefault((c.title, c.url), []).append(str(c.number))
    lines = [f"[{', '.join(found)}] {title}  {url}" for (title, url), found in numbers.items()]
    timings = answer.timings_ms
    lines.append(
        f"{answer.model} with {answer.features}; first word after {timings['first_token']:.0f} ms, "
        f"{answer.tokens} tokens at {answer.tokens_per_s:.0f}/s"
    )
    return "\n" + "\n".join(lines)


def _read(file: Path) -> str:
    from llm_twin.errors import TwinError

    piped = str(file) == "-"
    try:
        # By its number: as sys.stdin it may make halves of surrogate pairs of what is no text.
        with open(0 if piped else file, encoding="utf-8-sig", closefd=not piped) as text:
            return text.read()
    except (OSError, UnicodeDecodeError) as error:
        raise TwinError(
            f"{'Standard input' if piped else file} cannot be read ({error})",
            "Name a UTF-8 text file, or - for standard input",
        ) from None
