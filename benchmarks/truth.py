"""Blogs with exactly known text, served on loopback, and the measures by which an extraction is judged."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from blogs.score import plain
from blogs.texts import DATA

from llm_twin import sample
from llm_twin.sample.serve import serving
from llm_twin.sample.site import render

HOST = re.compile(r"https?://(www\.)?nullprogram\.com")
FEWEST_WORDS = 5  # a shorter paragraph may stand by chance


@dataclass(frozen=True)
class Truth:
    """A post as its author wrote it."""

    path: str
    title: str
    date: str
    text: str


@dataclass(frozen=True)
class Blog:
    """A blog that is being served from `folder` at `base`."""

    name: str
    base: str
    folder: Path
    posts: list[Truth]

    def html(self, post: Truth) -> str:
        """The page of a post."""
        return (self.folder / post.path.strip("/") / "index.html").read_text(encoding="utf-8")


@contextmanager
def serve() -> Iterator[Blog]:
    """The 461 posts of a real blog where the test data is there, else the sample author's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder) as base:
            yield prepare(folder, base)


def prepare(folder: Path, base: str) -> Blog:
    """Write the site into an empty folder that is served at `base`."""
    source = DATA / "authors" / "skeeto"
    if not source.is_dir():
        render(folder, base)
        known = sample.posts()
        posts = [Truth(p.path, p.title, p.date.isoformat(), plain(p.markdown)) for p in known]
        return Blog("sample", base, folder, posts)
    _copy(source / "site", folder, base)
    rows = [json.loads(line) for line in (source / "posts.jsonl").open(encoding="utf-8")]
    return Blog(
        "skeeto",
        base,
        folder,
        [Truth("/" + r["path"].removesuffix("index.html"), r["title"], r["date"], r["text"]) for r in rows],
    )


def _copy(source: Path, target: Path, base: str) -> None:
    """The site with its own links rewritten; what was a feed's folder stays one."""
    for file in source.rglob("*"):
        if file.is_file():
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            body = file.read_bytes()
            if file.suffix in (".html", ".xml", ".rss"):
                body = HOST.sub(base, body.decode()).encode()
            copy.write_bytes(body)


def path_of(url: str) -> str:
    """The path of a collected post's address."""
    return urlsplit(url).path


def tokens(text: str) -> list[str]:
    """Words and marks, each by itself."""
    return re.findall(r"\w+|[^\w\s]", text)


def f1(text: str, truth: str) -> float:
    """F1 of the token multisets, 0 to 1."""
    found, wanted = Counter(tokens(text)), Counter(tokens(truth))
    return 2 * (found & wanted).total() / max(1, found.total() + wanted.total())


def paragraph_recall(text: str, truth: str) -> float:
    """Share of the paragraphs of the truth that stand in the text word for word, 0 to 1."""
    whole = " ".join(tokens(text))
    wanted = [" ".join(tokens(p)) for p in re.split(r"\n\s*\n", truth)]
    wanted = [p for p in wanted if p.count(" ") >= FEWEST_WORDS - 1]
    return sum(p in whole for p in wanted) / len(wanted) if wanted else 1.0
