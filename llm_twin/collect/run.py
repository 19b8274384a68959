"""The room's runner: sources into the library."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from llm_twin.collect import folder, urls
from llm_twin.collect.library import Library
from llm_twin.collect.report import CollectReport, Tally
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress
from llm_twin.errors import CollectError, NothingFound, SourceUnreachable

ACCEPTED = "the address of a site, a page, a feed or a sitemap (http or https), or a Markdown file or folder"


def run(
    sources: Sequence[str],
    config: Collect,
    library: Library,
    progress: Progress,
    dry_run: bool = False,
    cache_dir: Path | None = None,
) -> CollectReport:
    """Collect every source into the library; posts are committed one by one as they are read.

    Args:
        sources: addresses and paths, see `ACCEPTED`.
        dry_run: write nothing; the report says what would be taken.
        cache_dir: where answers of servers are kept for the next run; `cache` beside the library by default.

    Raises CollectError for an unknown source (before anything is asked), SourceUnreachable, NothingFound.
    """
    started = time.perf_counter()
    tally = Tally(library, dry_run)
    kinds = [(source, *_kind(source)) for source in sources]
    if not kinds:
        raise CollectError("No source was given", f"Give {ACCEPTED}")
    with ExitStack() as stack:
        keep = cache_dir or library.path.parent / "cache"
        if dry_run:
            keep = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-twin-")))
        for source, url, path in kinds:
            if url:
                _site(url, keep, config, tally, progress)
            elif path:
                _files(source, path, tally, progress)
    return tally.report(time.perf_counter() - started)


def _kind(source: str) -> tuple[str | None, Path | None]:
    """A source as an address or as a path. Raises CollectError where it is neither."""
    if source.lower().startswith(("http://", "https://")):
        url = urls.clean(source)
        if url is None:
            raise SourceUnreachable(f"{source!r} is not a valid address", "Write it as https://example.org/")
        return url, None
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and path.suffix.lower() in folder.SUFFIXES):
        return None, path
    what = "is a kind of file that cannot be read" if path.exists() else "is no file, folder or address"
    raise CollectError(f"{source!r} {what}", f"Give {ACCEPTED}")


def _site(url: str, keep: Path, config: Collect, tally: Tally, progress: Progress) -> None:
    from llm_twin.collect.fetch import Client
    from llm_twin.collect.httpcache import HttpCache
    from llm_twin.collect.site import collect_site

    with HttpCache(keep) as cache, Client(config, cache) as client:
        try:
            collect_site(url, client, cache, config, tally, progress)
        finally:
            tally.requests += client.requests


def _files(source: str, path: Path, tally: Tally, progress: Progress) -> None:
    progress.start("files")
    before = len(tally.taken)
    for found in folder.read(path):
        if isinstance(found, folder.Rejected):
            tally.refuse(found.path, found.reason)
        else:
            tally.take(found)
        progress.advance()
    if len(tally.taken) == before:
        raise NothingFound(f"No post was found in {source}", "Give a folder with Markdown files")
