"""Public extractors on the same pages. They read one page at a time and are told which pages are posts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from lxml import html

from blogs.score import compare, mean, plain
from blogs.texts import Text

Reader = Callable[[str, str], str]


def peers() -> dict[str, Reader | None]:
    """Each peer's reader of (page, url) to plain text; None where it is not installed."""
    return {
        "trafilatura": _trafilatura if _has("trafilatura") else None,
        "readability-lxml": _readability if _has("readability") else None,
        "newspaper4k": _newspaper if _has("newspaper") else None,
    }


def read_by_peers(pages: Mapping[str, str], addresses: Mapping[str, Text]) -> dict[str, Any]:
    """Mean F1 of every peer over a blog's posts; a page that it cannot read counts as 0.

    Args:
        pages: the HTML of every post's page by its path key.
        addresses: the texts by the same keys.
    """
    found: dict[str, Any] = {}
    for name, read in peers().items():
        if read is None:
            found[name] = "not installed"
            continue
        reads = [compare(_tried(read, page, path), addresses[path]) for path, page in pages.items()]
        found[name] = {"f1": mean([r.f1 for r in reads]), "paragraphs": mean([r.paragraphs for r in reads])}
    return found


def _tried(read: Reader, page: str, path: str) -> str:
    try:
        return read(page, f"https://blog.example{path}")
    except Exception:  # whatever a peer raises, it did not read the page
        return ""


def _trafilatura(page: str, url: str) -> str:
    import trafilatura

    return plain(trafilatura.extract(page, url=url, output_format="markdown", include_comments=False) or "")


def _readability(page: str, url: str) -> str:
    from readability import Document

    return "".join(html.fromstring(Document(page, url=url).summary()).itertext())


def _newspaper(page: str, url: str) -> str:
    from newspaper import Article

    article = Article(url)
    article.download(input_html=page)
    article.parse()
    return str(article.text)


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
