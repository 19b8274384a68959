"""The room's runner: sources into the library."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from llm_twin.collect import urls
from llm_twin.collect.item import DAMAGED, Export, Rejected
from llm_twin.collect.library import Library, when
from llm_twin.collect.report import CollectReport, Tally
from llm_twin.config import Collect
from llm_twin.contracts.ports import Progress
from llm_twin.errors import CollectError, NothingFound, SourceUnreachable

ACCEPTED = (
    "the address of a site, a page, a feed or a sitemap (http or https), or an official export, a folder of "
    "Markdown or HTML, or one such file"
)
_DOCUMENTS = frozenset({".txt", ".rtf", ".doc", ".docx", ".odt"})  # what writers have, and no reader takes


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
    tally = Tally(library, dry_run, config.author)
    kinds = [_kind(source) for source in sources]
    if not kinds:
        raise CollectError("No source was given", f"Give {ACCEPTED}")
    with ExitStack() as stack:
        keep = cache_dir or library.path.parent / "cache"
        if dry_run:
            keep = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-twin-")))
        for source in kinds:
            if isinstance(source, Path):
                _files(source, tally, progress)
            else:
                _site(source, keep, config, tally, progress)
    return tally.report(time.perf_counter() - started)


def _kind(source: str) -> str | Path:
    """A source as an address or as a path. Raises CollectError where it is neither."""
    if source.lower().startswith(("http://", "https://")):
        url = urls.clean(source)
        if url is None:
            raise SourceUnreachable(f"{source!r} is not a valid address", "Write it as https://example.org/")
        return url
    path = Path(source).expanduser()
    if not path.exists():
        raise CollectError(f"{source!r} is no file, folder or address", f"Give {ACCEPTED}")
    return path


def _site(url: str, keep: Path, config: Collect, tally: Tally, progress: Progress) -> None:
    from llm_twin.collect.site import collect_site
    from llm_twin.collect.web.fetch import Client
    from llm_twin.collect.web.httpcache import HttpCache

    with HttpCache(keep) as cache, Client(config, cache) as client:
        try:
            collect_site(url, client, cache, config, tally, progress)
        finally:
            tally.requests += client.requests


def _files(path: Path, tally: Tally, progress: Progress) -> None:
    from llm_twin.collect import exports
    from llm_twin.collect.exports.archive import Archive
    from llm_twin.collect.pages.judge import NO_DATE, UNLIKE

    with Archive(path) as archive:
        found, beside = exports.read(archive, tally.author)
        if not archive.names:
            raise NothingFound(f"No post was found in {path}: there is no file in it", f"Give {ACCEPTED}")
        if not found:
            raise _unknown(path, archive.names)
        before, removed, refusals = tally.posts, tally.removed, len(tally.refusals)
        tally.refuse_all([*archive.rejected, *beside])
        for export in found:
            _export(export, tally, progress)
    if (tally.posts, tally.removed) == (before, removed):
        refused = Counter(r.reason for r in tally.refusals[refusals:])
        counted = ", ".join(f"{reason} {n}" for reason, n in refused.most_common())
        raise NothingFound(
            f"No post was found in {path}" + (f" (refused: {counted})" if counted else ""),
            "Name the pages one by one, or give each its date (<time> or article:published_time)"
            if refused.keys() & {NO_DATE, UNLIKE}
            else "Give a folder or an export with published posts",
        )


def _unknown(path: Path, names: Sequence[str]) -> CollectError:
    what = f"Nothing in {path} is of a known kind"
    # A document of a word processor is itself an archive.
    documents = {Path(name).suffix.lower() for name in (path.name, *names)} & _DOCUMENTS
    if not documents:
        return CollectError(what, f"Give {ACCEPTED}")
    return CollectError(
        f"{what}, and {', '.join(sorted(documents))} files are not read",
        f"Save them as Markdown (rename plain text from .txt to .md), or give {ACCEPTED}",
    )


def _export(export: Export, tally: Tally, progress: Progress) -> None:
    """Take the posts of an export, and remove what is gone from it or is public no more."""
    progress.start(export.source.split(":")[0])
    if export.note:
        progress.say(export.note)
    before = tally.posts
    refused: list[Rejected] = []
    newest = ""
    library = tally.library
    missing = library.ids(export.source) if export.complete else set()
    for each in export.items:
        found = tally.at_home(each, export.source)
        tally.add(found, export.source)
        if isinstance(found, Rejected):
            refused.append(found)
        else:
            missing.discard(library.stored(found) or "")
            newest = max(newest, when(found))
        progress.advance(1, note=f"{tally.posts - before} posts")
    if missing and any(r.reason in DAMAGED for r in refused):
        number = f"{len(missing)} post{'s' * (len(missing) > 1)}"
        progress.say(f"{number} not found here any more, and kept: a part of it could not be read.")
        missing.clear()
    # Of two archives of one account, the older says nothing of what this run has found in the newer.
    found_before = filter(None, map(library.standing, missing & tally.present()))
    missing -= {post.id for post in found_before if when(post) > newest}
    for identity in missing | tally.withdrawn(refused):
        tally.gone(identity, for_good=True)
