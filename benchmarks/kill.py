"""kill -9 at random moments of a build: does the last version serve, and does the next build end the work?

A version of the sample author's posts stands; of some posts the text changes. A build of the second version,
index and all, is killed at a moment drawn evenly from the time that it takes, and a reader opens the newest
version, checks its hashes and searches it; then the build is run again. It must end with the version that an
undisturbed build makes, and leave no litter. The builds run in processes that have loaded the libraries
already, so that the moments lie in the work and not in the imports. Needs POSIX.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

from machine import Measured, run

from llm_twin import compose, sample
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import TwinError
from llm_twin.feature.index import open_index

KILLS, QUICK = 50, 5
CHANGED = 6  # every so many posts change for the second version
SEED = 20261126
LOADED = ["sentence_transformers", "qdrant_edge", "llm_twin.compose", "llm_twin.feature.seal"]


class Stages(Silent):
    """Notes each stage in a file outside the workspace, since a killed process says nothing more."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def start(self, stage: str, total: int | None = None) -> None:
        """Note the stage."""
        with self._log.open("a") as log:
            log.write(f"{stage}\n")


def main() -> None:
    run("kill", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    kills, draw, counts, stages = QUICK if options.quick else KILLS, random.Random(SEED), Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        before, after, log = Path(name) / "before", Path(name) / "after", Path(name) / "stages"
        prepare(context, before, log)
        shutil.copytree(before, after)
        seconds = build(context, after, log)
        wanted = content_ids(after)
        for _ in range(kills):
            folder = Path(name) / "twin"
            shutil.copytree(before, folder)
            log.unlink(missing_ok=True)
            build(context, folder, log, kill_after_s=draw.uniform(0, seconds))
            stages.append(log.read_text().split()[-1] if log.exists() else "begin")
            visible = content_ids(folder)
            counts["second_version_was_sealed"] += visible == wanted
            counts["half_built_visible"] += broken(folder) or visible != wanted[: len(visible)]
            counts["served_after"] += serves(folder)
            build(context, folder, log)
            counts["resumed_ok"] += content_ids(folder) == wanted and serves(folder)
            counts["litter_after_resuming"] += len(
                [*folder.rglob(".building-*"), *folder.rglob(".writing-*")]
            )
            shutil.rmtree(folder)
    names = (
        "half_built_visible",
        "served_after",
        "resumed_ok",
        "litter_after_resuming",
        "second_version_was_sealed",
    )
    figures = {
        "kills": kills,
        **{key: counts[key] for key in names},
        "killed_in": dict(Counter(stages)),
        "undisturbed_build_s": round(seconds, 2),
    }
    return Measured(figures, {}, {})


def prepare(context: ForkServerContext, folder: Path, log: Path) -> None:
    """A workspace with one version, and a library in which every sixth post has changed since."""
    space = compose.open_workspace(compose.init(folder).root)
    posts = [record(entry) for entry in sample.posts()]
    with compose.open_library(space) as library:
        for post in posts:
            library.upsert(post)
    build(context, folder, log)
    with compose.open_library(space) as library:
        for post in posts[::CHANGED]:
            library.upsert(record_of(post, f"{post.markdown}\n\nI would write all of this otherwise today."))


def record(entry: sample.SamplePost) -> Post:
    """A post of the sample author as it lies in a library."""
    url = f"https://blog.example{entry.path}"
    empty = Post(
        id=Post.id_of(url),
        url=url,
        title=entry.title,
        published_at=entry.date.isoformat(),
        markdown="",
        revision="",
    )
    return record_of(empty, entry.markdown)


def record_of(post: Post, markdown: str) -> Post:
    """The post with another text."""
    return post.model_copy(update={"markdown": markdown, "revision": Post.revision_of(post.title, markdown)})


def build(context: ForkServerContext, folder: Path, log: Path, kill_after_s: float | None = None) -> float:
    """Seconds of a build in a process of its own."""
    return in_process(context, work, folder, log, kill_after_s)


def in_process(
    context: ForkServerContext,
    work: Callable[[Path, Path], None],
    folder: Path,
    log: Path,
    kill_after_s: float | None = None,
    since: Callable[[], bool] | None = None,
) -> float:
    """Seconds of some work in a process of its own, which is killed after some, or ends well.

    They are counted from its start, or from when `since` comes true.
    """
    process = context.Process(target=work, args=(folder, log))
    began = time.perf_counter()
    process.start()
    if since is not None:
        while process.is_alive() and not since():
            time.sleep(0.001)
        began = time.perf_counter()
    process.join(kill_after_s)
    process.kill() if kill_after_s is not None else None
    process.join()
    allowed = (0,) if kill_after_s is None else (0, -signal.SIGKILL)  # it may have been done
    if process.exitcode not in allowed:
        raise RuntimeError(f"{work.__name__} ended with {process.exitcode}")
    return time.perf_counter() - began


def work(folder: Path, log: Path) -> None:
    compose.build_features(compose.open_workspace(folder), Stages(log))


def content_ids(folder: Path) -> list[str]:
    return [manifest.content_id for manifest in compose.list_features(compose.open_workspace(folder))]


def broken(folder: Path) -> bool:
    """Whether a version that can be seen is not whole."""
    try:
        for path in (folder / "features").glob("F*"):
            FeatureVersion.open(path)
    except TwinError:
        return True
    return False


def serves(folder: Path) -> bool:
    """Whether the newest version opens, verified, and its index answers."""
    space = compose.open_workspace(folder)
    try:
        version = compose.feature_version(space)
        index = open_index(version, compose.vector_store(space), space.workspace)
    except TwinError:
        return False
    found = index.hybrid(version.vectors[0], "a morning by the river", 5)
    index.close()
    return len(found) == 5 and {hit.chunk_id for hit in found} <= version.chunks.keys()


if __name__ == "__main__":
    main()
