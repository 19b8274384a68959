"""How fast a site is collected, and in how much memory, against a plain loop of httpx and trafilatura.

Both start at the front page of the same site, served by a process of its own. The plain loop follows every
link of the site and extracts each page as it comes; it reads no robots.txt, feed or sitemap, learns nothing,
keeps no cache and judges no page. `pages_s` counts HTML pages. `memory` is of a fresh process that collects
5,000 posts and does nothing else: what it holds after 100 pages, the most that it is seen to hold, and what
it gains from the 100th page on (`pages`) and from the 100th post on (`posts`). Between the two lies what is
loaded once, such as the names of months, and the sample that the layout is learned from.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import socket
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urljoin

import psutil
from machine import Measured, run
from truth import prepare

from llm_twin import sample
from llm_twin.collect import Library
from llm_twin.collect import run as collect
from llm_twin.config import Collect
from llm_twin.sample.serve import serving

REPEATS = 3
LARGE, QUICK = 5000, 500  # posts of the site on which memory is watched
LISTED = 100  # links on one of its index pages
PARAGRAPHS = 6
FIRST_DAY = date(2000, 1, 1)


class Watch:
    """The `Progress` port as a stopwatch: seconds of each stage, and memory after every 100 of its steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.rss_mb: dict[str, list[float]] = defaultdict(list)
        self._stage, self._since, self._steps = "", time.perf_counter(), 0

    def start(self, stage: str, total: int | None = None) -> None:
        """Begin a stage."""
        self.stop()
        self._stage, self._steps = stage, 0

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Look at the memory now and then."""
        self._steps += steps
        if self._steps % 100 == 0:
            self.rss_mb[self._stage].append(psutil.Process().memory_info().rss / 1e6)

    def say(self, line: str) -> None:
        """Nothing is said."""

    def stop(self) -> None:
        """End the stage."""
        now = time.perf_counter()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._since = now


def main() -> None:
    run("crawl", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    repeats = 1 if options.quick else REPEATS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with served(folder) as base:
            blog = prepare(folder, base)
            ours, plain = [], []
            for _ in range(repeats):  # in turns, so that a busy moment hits both
                ours.append(ours_once(blog.base))
                plain.append(plain_once(blog.base))
    ours_s, plain_s = median(r["pages_s"] for r in ours), median(r["pages_s"] for r in plain)
    figures = {"blog": blog.name, **middle(ours), "memory": memory(QUICK if options.quick else LARGE)}
    return Measured(figures, {"httpx + trafilatura": middle(plain)}, {"pages_s": round(ours_s / plain_s, 2)})


def middle(runs: list[dict[str, float]]) -> dict[str, float]:
    return sorted(runs, key=lambda r: r["pages_s"])[len(runs) // 2]


def ours_once(base: str) -> dict[str, float]:
    watch, began = Watch(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name, Library(Path(name) / "library.db") as library:
        report = collect([base], Collect(allow_private=True, max_pages=10_000), library, watch)
        first = time.perf_counter() - began
        watch.stop()
        again = collect([base], Collect(allow_private=True, max_pages=10_000), library, Watch())
    pages = report.posts + sum(n for reason, n in report.refused.items() if "404" not in reason)
    return {
        "pages": pages,
        "posts": report.posts,
        "requests": report.requests,
        "pages_s": round(pages / first, 1),
        "extraction_share": round(watch.seconds.get("posts", 0.0) / first, 2),
        "second_run_changed": again.posts_new + again.posts_changed,
        "second_run_s": round(again.seconds, 1),
    }


def plain_once(base: str) -> dict[str, float]:
    import httpx
    from lxml import html
    from trafilatura import extract

    began, texts = time.perf_counter(), {}
    queue, seen = deque([f"{base}/"]), {f"{base}/"}
    with httpx.Client(follow_redirects=True) as client:
        while queue:
            answer = client.get(queue.popleft())
            if answer.status_code != 200 or "html" not in answer.headers.get("Content-Type", ""):
                continue
            root = html.fromstring(answer.content)
            texts[str(answer.url)] = extract(answer.text, output_format="markdown", include_comments=False)
            for link in root.iter("a"):
                url = urljoin(str(answer.url), link.get("href") or "").split("#")[0]
                if url.startswith(f"{base}/") and url not in seen:
                    seen.add(url)
                    queue.append(url)
    return {"pages": len(texts), "pages_s": round(len(texts) / (time.perf_counter() - began), 1)}


def memory(posts: int) -> dict[str, Any]:
    """What a fresh process holds while it collects so many posts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "site"
        grow(folder, posts)
        with served(folder) as base, multiprocessing.get_context("spawn").Pool(1) as fresh:
            return dict(fresh.apply(watched, (base, Path(name) / "library.db", posts)))


def watched(base: str, library_path: Path, posts: int) -> dict[str, Any]:
    """Memory of this process along a collection."""
    watch = Watch()
    with Library(library_path) as library:
        report = collect([base], Collect(allow_private=True, max_pages=2 * posts), library, watch)
    pages, read = watch.rss_mb["pages"], watch.rss_mb["posts"]
    return {
        "posts": report.posts,
        "rss_mb_after_100_pages": round(pages[0]),
        "rss_mb_highest": round(max(pages + read)),
        "rss_mb_gained": {stage: round(max(mb) - mb[0], 1) for stage, mb in watch.rss_mb.items()},
    }


def grow(folder: Path, posts: int) -> None:
    """A blog of so many posts of the sample author's paragraphs in ever new order, with index pages."""
    from markdown_it import MarkdownIt

    chance = random.Random(0)
    paragraphs = [p for post in sample.posts() for p in post.markdown.split("\n\n")]
    shown = MarkdownIt("commonmark")
    for number in range(posts):
        body = shown.render("\n\n".join(chance.sample(paragraphs, PARAGRAPHS)))
        day = FIRST_DAY + timedelta(number)
        head = f"<h1>Entry {number}</h1><time datetime='{day}'>{day:%d %B %Y}</time>"
        write(folder / "entry" / f"n{number}", f"<article>{head}<div class='text'>{body}</div></article>")
    for first in range(0, posts, LISTED):
        links = "".join(
            f"<li><a href='/entry/n{n}/'>Entry {n}</a>" for n in range(first, min(first + LISTED, posts))
        )
        older = f"<a href='/page/{first // LISTED + 2}/'>older</a>" if first + LISTED < posts else ""
        page = folder if first == 0 else folder / "page" / str(first // LISTED + 1)
        write(page, f"<ul>{links}</ul>{older}")


def write(folder: Path, body: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = f"<!DOCTYPE html><html><head><title>Blog</title></head><body>{body}</body></html>"
    (folder / "index.html").write_text(page, encoding="utf-8")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder served by a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = multiprocessing.get_context("spawn").Process(
        target=serve_forever, args=(folder, port), daemon=True
    )
    server.start()
    base = f"http://127.0.0.1:{port}"
    while not listening(port):
        time.sleep(0.05)
    try:
        yield base
    finally:
        server.terminate()
        server.join()


def serve_forever(folder: Path, port: int) -> None:
    with serving(folder, port):
        time.sleep(3600)


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
