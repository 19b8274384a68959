"""How well a text was read from a page, and how well a whole blog was collected."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import html
from markdown_it import MarkdownIt

from blogs.texts import Text
from llm_twin.collect import Library, run
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import TwinError

LOW = 0.95  # posts below are named one by one
# Engines set quotes, dashes and dots as they like; that is not what is measured here.
_FOLD = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\xa0": " "})


@dataclass(frozen=True)
class Read:
    """What was read of one text."""

    f1: float
    paragraphs: float


def plain(markdown: str) -> str:
    """The text that a reader of rendered Markdown sees."""
    rendered = MarkdownIt("commonmark").enable("table").enable("strikethrough").render(markdown)
    return str("".join(html.fromstring(f"<div>{rendered}</div>").itertext()))


def fold(text: str) -> str:
    """Text without differences of typesetting."""
    return " ".join(re.sub(r"-{2,3}", "-", text.translate(_FOLD)).split())


def tokens(text: str) -> Counter[str]:
    """Words and marks, each with how often it stands there."""
    return Counter(re.findall(r"\w+|[^\w\s]", fold(text)))


def compare(found: str, text: Text) -> Read:
    """Score a plain text against what the author wrote: multiset F1, share of its blocks that are whole."""
    truth = plain(text.truth)
    got, wanted = tokens(found), tokens(truth)
    f1 = 2 * (got & wanted).total() / max(1, got.total() + wanted.total())
    flat = fold(found)
    blocks = [b for b in _blocks(text.truth) if b]
    return Read(f1, sum(b in flat for b in blocks) / max(1, len(blocks)))


def _blocks(markdown: str) -> list[str]:
    rendered = MarkdownIt("commonmark").enable("table").render(markdown)
    root = html.fromstring(f"<div>{rendered}</div>")
    return [fold("".join(e.itertext())) for e in root.iter("p", "h1", "h2", "h3", "pre", "td")]


def collected(base: str, addresses: Mapping[str, Text]) -> dict[str, Any]:
    """Collect the blog at an address and score it.

    Args:
        base: where it is served, without a slash at the end.
        addresses: the paths of its posts, as `path_key` writes them.
    """
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder) / "library.db") as library:
        try:
            report = run([f"{base}/"], Collect(allow_private=True), library, Silent())
        except TwinError as error:
            return {"posts": len(addresses), "found": 0, "error": str(error).replace(base, "")}
        posts = list(library.posts())
    taken = {path_key(p.url): p for p in posts}
    refused = {path_key(r.where): r.reason for r in report.refusals}
    return _figures(taken, refused, addresses)


def _figures(
    taken: Mapping[str, Post], refused: Mapping[str, str], addresses: Mapping[str, Text]
) -> dict[str, Any]:
    hits = {p: (taken[p], t) for p, t in addresses.items() if p in taken}
    reads = {path: compare(plain(post.markdown), text) for path, (post, text) in hits.items()}
    many = max(1, len(hits))
    return {
        "posts": len(addresses),
        "found": len(hits),
        "f1": mean([r.f1 for r in reads.values()]),
        "paragraphs": mean([r.paragraphs for r in reads.values()]),
        "titles": round(sum(fold(p.title) == fold(t.title) for p, t in hits.values()) / many, 3),
        "dates": round(
            sum((p.published_at or "")[:10] == t.day.isoformat() for p, t in hits.values()) / many, 3
        ),
        "not_posts": sorted(taken.keys() - addresses.keys()),
        "missed": {p: refused.get(p, "not asked for") for p in sorted(addresses.keys() - taken.keys())},
        "low": {p: round(r.f1, 3) for p, r in reads.items() if r.f1 < LOW},
        "wrong_titles": {p: post.title for p, (post, t) in hits.items() if fold(post.title) != fold(t.title)},
        "wrong_dates": {
            p: post.published_at
            for p, (post, t) in hits.items()
            if (post.published_at or "")[:10] != t.day.isoformat()
        },
    }


def path_key(url: str) -> str:
    """The path of an address, decoded, without index.html, .html or a slash at its end."""
    path = unquote(urlsplit(url).path)
    return re.sub(r"(?:/index)?(?:\.html?)?/*$", "", path) or "/"


def mean(values: Sequence[float]) -> float:
    """The mean to three places, 0 of nothing."""
    return round(sum(values) / len(values), 3) if values else 0.0
