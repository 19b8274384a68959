"""Forget: a post is taken out of everything that this workspace keeps, and what learnt from it is named.

The library comes first and last. First it refuses the post, so that no run collects it and no build takes it
again, but keeps its words: they are what chats and reports are searched for. Last it erases them. Every step
between can be done twice, and looks for all posts ever forgotten: killed anywhere, the same command again,
or the next one, ends what was begun.

Versions, indexes and caches are never mended in place, since all of them compress or leave deleted pages
behind: what may hold the post is deleted whole, and a successor is built. Where it is not known what
something holds (the vectors and runs of versions of long ago, answers of servers), it goes too.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.features import build_features, list_features, open_library
from llm_twin.compose.models import RUN_FEATURES, TrainReport, train
from llm_twin.compose.parts import vector_store
from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import learnt_from, taint
from llm_twin.contracts.manifests import FeatureManifest
from llm_twin.contracts.ports import Progress, Silent
from llm_twin.contracts.versions import BASE, FeatureVersion
from llm_twin.errors import (
    CollectError,
    EmptyStore,
    IntegrityError,
    MissingDependency,
    StoreError,
    VersionNotFound,
)
from llm_twin.registry import Pair
from llm_twin.workspace import Workspace

if TYPE_CHECKING:
    from llm_twin.collect.library import Library
    from llm_twin.contracts.records import Post
    from llm_twin.feature.traces import Traces

REASON = "a post was forgotten"
_AGAIN = "when it can be reached, forget the post again"


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """What forgetting a post did or, in a dry run, would do.

    Attributes:
        id: of the post that was named.
        posts: id and title of what is forgotten: the post, and its text under other addresses. Empty where
            the library had erased it before.
        alike: id and title of the posts that say nearly the same; they stay.
        versions: the feature versions that held it, which go. `successor` takes their place; None where no
            post is left to build one of, and in a dry run.
        tainted: the model versions that learnt from it, or from posts forgotten before.
        live: the pair that serves from now on.
        files: saved chats and reports that hold words of it, which go.
        yours: other files of the workspace that hold words of it; they are the author's own and stay.
        unread: zip files of the workspace that cannot be read whole, and may hold words of it; they stay.
        runs, embeddings: numbers of training runs and of kept vectors that go.
        unreached: why what a Qdrant server may still hold is not known to be gone; "" where none was used.
        retrained: the clean model version, where one was asked for.
    """

    id: str
    posts: dict[str, str]
    alike: dict[str, str]
    versions: tuple[str, ...]
    successor: str | None
    tainted: tuple[str, ...]
    live: Pair | None
    files: tuple[str, ...]
    yours: tuple[str, ...]
    unread: tuple[str, ...]
    runs: int
    embeddings: int
    dry_run: bool
    unreached: str = ""
    retrained: TrainReport | None = None


def forget(
    space: Twinspace,
    post: str,
    progress: Progress | None = None,
    dry_run: bool = False,
    retrain: bool = False,
) -> ForgetReport:
    """Forget the post of an id, the start of an id, or a url; one that was forgotten before is finished.

    `retrain` trains a clean model version afterwards. Raises CollectError where no post or several fit,
    WorkspaceLocked while something is collected, built or trained, WorkspaceError where a file cannot be
    erased: run it again then.
    """
    progress = progress or Silent()
    with ExitStack() as held:
        if not dry_run:
            for part in ("training", "library"):
                held.enter_context(space.workspace.lock(part))
            with space.workspace.lock("features"):  # a build in progress is noticed before anything is done
                pass
        library = held.enter_context(open_library(space))
        progress.start("find")
        report, traces = _look(space, library, _identity(library, post))
        if dry_run:
            return report
        report = _carry_out(space, library, report, traces, progress)
    if not retrain:
        return report
    new = train(space, progress)
    return replace(report, retrained=new, live=space.registry.live())


def _identity(library: Library, post: str) -> str:
    try:
        return library.get(post).id
    except CollectError:
        known = library.forgotten_id(post)
        if known is None:
            raise
        return known


def _look(space: Twinspace, library: Library, identity: str) -> tuple[ForgetReport, Traces]:
    """What forgetting would do; changes nothing."""
    from llm_twin.feature.traces import Traces

    ids = {*library.same(identity), *library.forgotten(), identity}
    posts = library.posts(include_removed=True)
    going = [p for p in posts if p.id in ids]
    texts = [text for p in going for r in library.history(p.id) for text in (r.title, r.markdown)]
    traces = Traces(going, texts, [p for p in posts if p.id not in ids])
    ours, yours, unread = _quoting(space.workspace, traces)
    tainted = learnt_from(space, ids) | space.registry.tainted()
    report = ForgetReport(
        id=identity,
        posts=_titles(going),
        alike=_titles(traces.alike),
        versions=tuple(m.version for m in _holding(space, ids)),
        successor=None,
        tainted=tuple(e.version for e in space.registry.entries() if e.version in tainted),
        live=space.registry.live(),
        files=tuple(_relative(space, ours)),
        yours=tuple(_relative(space, yours)),
        unread=tuple(_relative(space, unread)),
        runs=len(_runs(space, ids)),
        embeddings=_keep_embeddings(space, ids, dry_run=True),
        dry_run=True,
    )
    return report, traces


def _carry_out(
    space: Twinspace, library: Library, report: ForgetReport, traces: Traces, progress: Progress
) -> ForgetReport:
    from llm_twin.feature import gc

    progress.start("refuse")
    library.forget(report.id)
    ids = library.forgotten() | {report.id}
    taint(space)
    progress.start("files")
    for path in _quoting(space.workspace, traces)[0]:
        path.unlink(missing_ok=True)
    _empty_cache(space.workspace)
    successor = _successor(space, ids, progress)
    progress.start("versions")
    holding = _holding(space, ids)
    _leave(space, holding, successor)
    gc.remove(space.workspace, vector_store(space), holding, REASON)
    unreached = _clear_server(space)
    progress.start("caches and runs")
    _keep_embeddings(space, ids)
    _keep_drafts(space)
    for run in _runs(space, ids):
        shutil.rmtree(run)
    progress.start("erase")
    library.erase()
    return replace(
        report,
        successor=successor.version if successor else None,
        live=space.registry.live(),
        dry_run=False,
        unreached=unreached,
    )


def _holding(space: Twinspace, ids: Collection[str]) -> list[FeatureManifest]:
    return [m for m in list_features(space) if not m.posts.keys().isdisjoint(ids)]


def _successor(space: Twinspace, ids: Collection[str], progress: Progress) -> FeatureManifest | None:
    """The newest version that holds none of the posts; built first where the newest of all does."""
    versions = list_features(space)
    if versions and versions[-1] in _holding(space, ids):
        with suppress(EmptyStore):  # nothing is left that a version could be built of
            build_features(space, progress)
    clean = [m for m in list_features(space) if m.posts.keys().isdisjoint(ids)]
    return clean[-1] if clean else None


def _leave(space: Twinspace, going: list[FeatureManifest], successor: FeatureManifest | None) -> None:
    """Lead what is live, and all rollbacks, from the versions that go to the successor."""
    name, prompt = (successor.version, successor.prompt) if successor else (None, None)
    fitting = [BASE]
    for entry in space.registry.entries():
        with suppress(VersionNotFound, IntegrityError):  # gone or damaged, it cannot serve
            if space.registry.manifest(entry.version).prompt == prompt:
                fitting.append(entry.version)
    space.registry.leave_features([m.version for m in going], name, fitting)


def _clear_server(space: Twinspace) -> str:
    """Drop what is on the Qdrant server on which the vectors lay before; why not, where it is not reached."""
    from llm_twin.feature import gc

    store = space.config.store
    if store.kind == "qdrant":
        return ""
    if store.prefix and store.url:  # another workspace may have been given the same prefix
        return f"collections {store.prefix}-F... at {store.url} stay: delete those that are this workspace's"
    if store.prefix or not space.workspace.identity_file.is_file():
        return ""
    if store.url is None:
        return f"store.url does not name the Qdrant server on which the vectors lay before; {_AGAIN}"
    there = store.model_copy(update={"kind": "qdrant"})
    server = replace(space, config=space.config.model_copy(update={"store": there}))
    try:
        gc.remove(space.workspace, vector_store(server), [], REASON)
    except (StoreError, MissingDependency) as error:
        return f"{error.what}; {_AGAIN}"
    return ""


def _empty_cache(workspace: Workspace) -> None:
    """Delete what may be deleted at any time: answers of servers hold the post, receipts may quote it."""
    from llm_twin.feature.drafts import CACHE as DRAFTS
    from llm_twin.feature.embed import CACHE as EMBEDDINGS

    for path in workspace.cache.glob("*"):
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith((EMBEDDINGS, DRAFTS)):  # those are kept in part, once it is known which
            path.unlink()


def _keep_embeddings(space: Twinspace, ids: Collection[str], dry_run: bool = False) -> int:
    """Erase all vectors but those of passages of other posts in versions that are there; their number."""
    from llm_twin.feature import embed

    def texts() -> Iterator[str]:
        for version in _versions(space):
            with suppress(OSError, ValueError):  # damaged: its vectors go, and can be made again
                yield from (c.indexed_text for c in version.chunks.values() if c.post_id not in ids)

    with nullcontext() if dry_run else space.workspace.lock("features"):
        return embed.keep(space.workspace.cache / embed.CACHE, texts(), dry_run)


def _keep_drafts(space: Twinspace) -> None:
    """Delete the drafts of paragraphs that no version has a sample of."""
    from llm_twin.feature import drafts

    paragraphs = []
    with space.workspace.lock("features"):
        for version in _versions(space):
            with suppress(OSError, ValueError):
                paragraphs += [s.completion for s in version.samples if s.task == "rewrite"]
        drafts.keep(space.workspace.cache / drafts.CACHE, paragraphs)


def _versions(space: Twinspace) -> Iterator[FeatureVersion]:
    """All versions, not verified: reading them to see what stays must not fail for what is damaged."""
    return (FeatureVersion(space.workspace.features / m.version, m) for m in list_features(space))


def _runs(space: Twinspace, ids: Collection[str]) -> list[Path]:
    """The training runs whose features are not known to hold none of the posts."""
    clean = {m.content_id for m in list_features(space) if m.posts.keys().isdisjoint(ids)}

    def features(run: Path) -> str:
        with suppress(OSError):
            return (run / RUN_FEATURES).read_text(encoding="utf-8").strip()
        return ""

    folders = sorted(path for path in space.workspace.runs.glob("*") if path.is_dir())
    return [run for run in folders if features(run) not in clean]


def _quoting(workspace: Workspace, traces: Traces) -> tuple[list[Path], list[Path], list[Path]]:
    """(the twin's own texts, the author's own files) of the workspace that hold words of the posts.

    Third, the files of which that cannot be told.
    """
    ours: list[Path] = []
    yours: list[Path] = []
    unread: list[Path] = []
    written = (workspace.chats, workspace.reports)
    for path in _files(workspace):
        found = traces.within(path)
        if found:
            (ours if any(path.is_relative_to(folder) for folder in written) else yours).append(path)
        elif found is None:
            unread.append(path)
    return ours, yours, unread


def _files(workspace: Workspace) -> Iterator[Path]:
    """All files but those of the stores, which are dealt with by themselves, and hidden ones (.git)."""
    stores = {workspace.features, workspace.index, workspace.models, workspace.runs, workspace.cache}
    own = {workspace.root / "locks", workspace.config_file, workspace.identity_file}
    for top in sorted(workspace.root.glob("*")):
        if top in stores | own or top.name.startswith((workspace.library.name, ".")):
            continue
        yield from (path for path in [top, *sorted(top.rglob("*"))] if path.is_file())


def _titles(posts: Collection[Post]) -> dict[str, str]:
    return {post.id: post.title for post in posts}


def _relative(space: Twinspace, paths: list[Path]) -> Iterator[str]:
    return (str(path.relative_to(space.workspace.root)) for path in paths)
