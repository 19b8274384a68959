"""`llm-twin collect` and `llm-twin posts ...`: what the author has published, as it stands in the library."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llm_twin.cli import show
from llm_twin.cli.options import Json, Set, Workspace, space

if TYPE_CHECKING:
    from llm_twin.contracts.records import Post

posts = typer.Typer(help="What has been collected.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(metavar="POST", help="Its id (or the start of it) or its url.")]
_LISTED = {"id", "url", "title", "published_at", "kind"}
_EXPORTED = _LISTED | {"markdown"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(collect)
    app.add_typer(posts, name="posts")


def collect(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help="Site, feed, sitemap, export or folder.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken, and take nothing.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Permit loopback and private addresses.")
    ] = False,
    author: Annotated[
        str | None,
        typer.Option("--author", metavar="NAME", help="Only posts that name this author, or none."),
    ] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="List everything that was not taken, and why.")
    ] = False,
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Collect an author's posts into the library."""
    from dataclasses import asdict

    from llm_twin import compose

    said = ["collect.allow_private=true"] if allow_private else []
    said += [f"collect.author={json.dumps(author, ensure_ascii=False)}"] if author else []
    opened = space(workspace, [*(overrides or ()), *said])
    with show.progress() as progress:
        report = compose.collect(opened, sources, progress, dry_run)
    from llm_twin.contracts.private import in_words

    others = sum(report.refused.values())
    fate = "`features build` masks them" if opened.config.features.mask else "features.mask is off"
    private = [f"In the posts: {in_words(report.private)}; {fate}."] if report.private else []
    show.result(
        asdict(report),
        as_json,
        f"{'Would take' if dry_run else 'Posts'}: {report.posts_new} new, {report.posts_changed} changed, "
        f"{report.posts_unchanged} unchanged, {report.posts_removed} removed.",
        *(f"  {url}" for url in report.taken if dry_run),
        *private,
        *(f"  {each.reason}: {each.where}" for each in report.refusals if refused),
        f"{report.requests} requests in {report.seconds:.1f} s; {others} addresses or records were not taken"
        + "".join(f"\n  {count:5} {reason}" for reason, count in sorted(report.refused.items())),
    )


@posts.command("list")
def list_posts(workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """All posts, oldest first."""
    from llm_twin.contracts.prose import word_count

    found = [(p, word_count(p.markdown)) for p in _library_posts(workspace, overrides)]
    if as_json:
        show.result({"posts": [p.model_dump(include=_LISTED) | {"words": words} for p, words in found]}, True)
    else:
        rows = [(p.id, (p.published_at or "")[:10], words, p.title) for p, words in found]
        show.table(("id", "date", "words", "title"), rows)


@posts.command("show")
def show_post(post: Which, workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """One post, as it will be learned from."""
    found = _one(post, workspace, overrides)
    show.result(
        found.model_dump(mode="json"),
        as_json,
        f"# {found.title}",
        f"{(found.published_at or 'undated')[:10]}  {found.url}  {found.id}\n\n{found.markdown}",
    )


@posts.command("diff")
def diff_post(post: Which, workspace: Workspace = None, overrides: Set = None, as_json: Json = False) -> None:
    """What changed between a post's last two revisions."""
    from difflib import unified_diff

    from llm_twin import compose

    opened = space(workspace, overrides)
    with compose.open_library(opened) as library:
        history = library.history(library.get(post).id)
    if len(history) < 2:
        show.result({"revisions": len(history), "diff": []}, as_json, "There is one revision only.")
        return
    before, after = history[-2:]
    # Not splitlines: the library keeps other line ends, such as U+2028, within a line.
    old, new = ([f"# {r.title}", "", *r.markdown.split("\n")] for r in (before, after))
    lines = list(unified_diff(old, new, before.seen_at, after.seen_at, lineterm=""))
    show.result({"revisions": len(history), "diff": lines}, as_json, *lines)


@posts.command("export")
def export_posts(
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help="A file, or - for standard output.")],
    workspace: Workspace = None,
    overrides: Set = None,
    as_json: Json = False,
) -> None:
    """Write every post as one JSON object a line: the author's collection is theirs to take away."""
    from llm_twin.contracts.prose import prose
    from llm_twin.errors import WorkspaceError
    from llm_twin.workspace import atomic_write

    piped = str(out) == "-"
    if piped and as_json:
        raise typer.BadParameter("--json and - both want standard output; leave one of them out")
    if not piped and _is_foreign(out):
        raise WorkspaceError(
            f"{out} holds something that no export wrote", "Name another file for the output"
        )
    found = _library_posts(workspace, overrides)
    lines = [p.model_dump(include=_EXPORTED) | {"text": prose(p.markdown)} for p in found]
    written = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    if piped:
        sys.stdout.buffer.write(written)
        return
    atomic_write(out, written)
    show.result({"posts": len(found), "file": str(out)}, as_json, f"{len(found)} posts written to {out}.")


def _is_foreign(out: Path) -> bool:
    """Whether a file holds anything but an export, by its first line; one of no posts is empty."""
    from llm_twin.workspace import translate_disk_full

    if not out.is_file():
        return False
    with translate_disk_full(out), out.open("rb") as file:
        first = file.readline()
    try:
        return bool(first) and dict(json.loads(first)).keys() != {*_EXPORTED, "text"}
    except (ValueError, TypeError, RecursionError):
        return True


def _library_posts(workspace: Path | None, overrides: list[str] | None) -> list[Post]:
    from llm_twin import compose

    with compose.open_library(space(workspace, overrides)) as library:
        return library.posts()


def _one(post: str, workspace: Path | None, overrides: list[str] | None) -> Post:
    from llm_twin import compose

    with compose.open_library(space(workspace, overrides)) as library:
        return library.get(post)
