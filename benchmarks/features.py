"""How little a build does again: chunks embedded after one changed post, seconds where nothing changed.

A blog is collected from its front page (461 posts where the test data is there, else the sample author's) and
built; one post of median length gets a sentence more in its middle paragraph, and is built; then nothing
changes, and the command is timed from its start to its end. There is no peer: none of them has versions.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from machine import Measured, run
from truth import serve

from llm_twin import compose
from llm_twin.collect import Library
from llm_twin.collect import run as collect
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post

QUICK = 16  # every so many posts
REPEATS = 3
SENTENCE = "I have since changed my mind about this, and I would do it differently today."


def main() -> None:
    run("features", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "twin"
        space = compose.open_workspace(compose.init(folder).root)
        posts = collected(Path(name) / "library.db")[:: QUICK if options.quick else 1]
        with compose.open_library(space) as library:
            for post in posts:
                library.upsert(post)
        first = compose.build_features(space)
        chunks = Counter(c.post_id for c in compose.feature_version(space).chunks.values())
        typical = sorted(posts, key=lambda post: chunks[post.id])[len(posts) // 2]
        with compose.open_library(space) as library:
            library.upsert(changed(typical))
        second = compose.build_features(space)
        figures: dict[str, Any] = {
            "posts": first.posts,
            "chunks": first.chunks,
            "first_build_s": round(first.seconds, 1),
            "one_changed_post_s": round(second.seconds, 1),
            "embedded_after_one_change": second.embedded,
            "embedded_after_one_change_share": round(second.embedded / second.chunks, 5),
            "largest_post_share": round(max(chunks.values()) / first.chunks, 5),
            "unchanged_s": unchanged(folder),
            "versions": [manifest.version for manifest in compose.list_features(space)],
        }
    return Measured(figures, {}, {})


def collected(path: Path) -> list[Post]:
    with serve() as blog, Library(path) as library:
        collect([blog.base], Collect(allow_private=True), library, Silent())
        return library.posts()


def changed(post: Post) -> Post:
    """The post with a sentence more at the end of its middle paragraph."""
    paragraphs = post.markdown.split("\n\n")
    paragraphs[len(paragraphs) // 2] += f" {SENTENCE}"
    text = "\n\n".join(paragraphs)
    return post.model_copy(update={"markdown": text, "revision": Post.revision_of(post.title, text)})


def unchanged(folder: Path) -> float:
    """Median seconds of the whole command."""
    command = [Path(sys.executable).parent / "llm-twin", "features", "build", "--workspace", folder, "--json"]
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return round(median(took), 2)


if __name__ == "__main__":
    main()
