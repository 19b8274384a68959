"""How exactly posts are read from pages: F1 of the token multiset and paragraph recall, against three peers.

The blog is collected from its front page alone, as a user would; a post that was not found scores zero. The
peers get the pages of the posts, each by itself, which is what they are made for.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from blogs.peers import Reader, peers
from blogs.score import plain
from machine import Measured, run
from truth import Blog, Truth, f1, paragraph_recall, path_of, serve

from llm_twin.collect import Library
from llm_twin.collect import run as collect
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent

WORST = 5  # posts that are named


def main() -> None:
    run("extraction", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    with serve() as blog, tempfile.TemporaryDirectory() as folder:
        with Library(Path(folder) / "library.db") as library:
            report = collect([blog.base], Collect(allow_private=True), library, Silent())
            found = {path_of(p.url): p.markdown for p in library.posts()}
        judged = blog.posts[:: 8 if options.quick else 1]
        ours = score(judged, {path: plain(markdown) for path, markdown in found.items()})
        figures = {
            "blog": blog.name,
            "posts": len(judged),
            "found": sum(p.path in found for p in blog.posts),
            "not_posts": len(found.keys() - {p.path for p in blog.posts}),
            "requests": report.requests,
            **ours,
        }
        readers = {name: reader for name, reader in peers().items() if reader}
        scored = {name: score(judged, read(blog, judged, reader)) for name, reader in readers.items()}
    ratios = {f"f1 above {name}": round(ours["f1"] - peer["f1"], 4) for name, peer in scored.items()}
    return Measured(figures, scored, ratios)


def score(posts: list[Truth], texts: dict[str, str]) -> dict[str, Any]:
    each = {p.path: f1(texts.get(p.path, ""), p.text) for p in posts}
    return {
        "f1": round(mean(each.values()), 4),
        "paragraph_recall": round(mean(paragraph_recall(texts.get(p.path, ""), p.text) for p in posts), 4),
        "worst": {path: round(each[path], 3) for path in sorted(each, key=each.__getitem__)[:WORST]},
    }


def read(blog: Blog, posts: list[Truth], reader: Reader) -> dict[str, str]:
    return {p.path: reader(blog.html(p), f"https://blog.example{p.path}") for p in posts}


if __name__ == "__main__":
    main()
