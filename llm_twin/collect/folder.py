"""Markdown files as a source: one file or a folder of them, with front matter in YAML or TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from llm_twin.collect import dates, urls
from llm_twin.contracts.records import Post

SUFFIXES = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_FRONT = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n(.*?)^\1[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"^(\d{4}-\d{2}-\d{2})[-_ ]?(.*)$")
_MAX_BYTES = 5_000_000  # a longer file is no post


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that was not taken."""

    path: str
    reason: str


def read(source: Path) -> Iterator[Post | Rejected]:
    """The posts of a Markdown file or folder, in the order of their paths.

    A post's url is what its front matter says, else "file:" with the path below the folder's own name, so
    that the collection keeps its identity where the folder is moved.
    """
    top = source if source.is_dir() else source.parent
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    for path in files:
        relative = path.relative_to(top).as_posix()
        if path.suffix.lower() in SUFFIXES and not any(part.startswith(".") for part in relative.split("/")):
            yield _read(path, f"file:{top.resolve().name}/{relative}")


def _read(path: Path, address: str) -> Post | Rejected:
    if path.stat().st_size > _MAX_BYTES:
        return Rejected(address, "too large")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return Rejected(address, "not UTF-8")
    front, body = _front_matter(text)
    if front is None:
        return Rejected(address, "broken front matter")
    if front.get("draft") is True or front.get("published") is False or str(front.get("status")) == "draft":
        return Rejected(address, "draft")
    title, body = _title(front, body.strip(), path)
    if not body:
        return Rejected(address, "no text")
    url = next(
        (c for k in ("url", "permalink", "canonical_url") if (c := urls.clean(str(front.get(k) or "")))), None
    )
    return Post(
        id=Post.id_of(urls.canonical(url) if url else address),
        url=url or address,
        title=title,
        published_at=_published(front, path),
        markdown=body,
        revision=Post.revision_of(title, body),
        author=front["author"] if isinstance(front.get("author"), str) else None,
        tags=_tags(front.get("tags")),
    )


def _front_matter(text: str) -> tuple[dict[str, Any] | None, str]:
    """Front matter and body; None for front matter that cannot be read."""
    found = _FRONT.match(text)
    if not found:
        return {}, text
    try:
        front = yaml.safe_load(found[2]) if found[1] == "---" else tomllib.loads(found[2])
    except (yaml.YAMLError, tomllib.TOMLDecodeError):
        return None, text
    return (front if isinstance(front, dict) else {}), text[found.end() :]


def _title(front: dict[str, Any], body: str, path: Path) -> tuple[str, str]:
    """The title, and the body without a first heading that only repeats it."""
    heading = re.match(r"#[ \t]+(.+?)[ \t#]*(?:\n+|\Z)", body)
    named = str(front.get("title") or "").strip()
    if heading and (not named or heading[1].strip() == named):
        return named or heading[1].strip(), body[heading.end() :].strip()
    stem = _NAMED.sub(r"\2", path.stem) or path.stem
    return named or stem.replace("-", " ").replace("_", " ").strip(), body


def _published(front: dict[str, Any], path: Path) -> str | None:
    for key in ("date", "published_at", "pubDate", "created"):
        value = front.get(key)
        if isinstance(value, date):
            return value.isoformat()
        if value and (found := dates.iso(str(value))):
            return found
    named = _NAMED.match(path.stem)
    return dates.iso(named[1]) if named else None


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"[,\s]+", value)
    return tuple(str(tag) for tag in value if str(tag).strip()) if isinstance(value, list) else ()
