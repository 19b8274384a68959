"""Markdown seen as blocks with exact spans: what is the author's prose, and what is code, quotation or table.

The chunker, the sample builder and the bits-per-byte measure all read posts through this one file, so "prose"
means the same everywhere. Blocks are found with markdown-it (CommonMark plus tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from llm_twin.contracts.records import Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

BlockKind = Literal["heading", "paragraph", "list", "quote", "code", "table", "html", "rule"]
_KIND: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "blockquote_open": "quote",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "html_block": "html",
    "hr": "rule",
}
PROSE: frozenset[BlockKind] = frozenset({"heading", "paragraph", "list"})


@dataclass(frozen=True, slots=True)
class Block:
    """A top-level block of a Markdown text; `level` is the heading level 1-6, else 0."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")  # blocks only: twice as fast


def blocks(markdown: str) -> list[Block]:
    """The top-level blocks in order, with spans that exclude surrounding blank lines."""
    return list(_blocks(markdown))


@lru_cache(maxsize=1024)  # a build asks ten times for the blocks of each post
def _blocks(markdown: str) -> tuple[Block, ...]:
    starts = [0]
    for line in markdown.split("\n"):  # not splitlines: the parser knows no other line end
        starts.append(starts[-1] + len(line) + 1)
    found = []
    for token in _parser().parse(markdown):
        kind = _KIND.get(token.type)
        if kind is None or token.level != 0 or token.map is None:
            continue
        start, end = starts[token.map[0]], starts[token.map[1]]
        end = start + len(markdown[start:end].rstrip())
        level = int(token.tag[1]) if kind == "heading" else 0
        found.append(Block(kind, start, end, level))
    return tuple(found)


def prose_spans(markdown: str) -> list[Span]:
    """Spans of the author's own prose: headings, paragraphs, lists; no code, quotes, tables or HTML."""
    return [(b.start, b.end) for b in blocks(markdown) if b.kind in PROSE]


def join(markdown: str, spans: Iterable[Span]) -> str:
    """The text at the spans: a block is one line (a list one line an item), blocks a blank line apart."""
    return "\n\n".join(_unwrap(markdown[start:end]) for start, end in spans)


def prose(markdown: str) -> str:
    """All of a post's prose as one text, unwrapped."""
    return join(markdown, prose_spans(markdown))


def ending(markdown: str, words: int) -> str:
    """The last whole blocks of a text's prose that hold at most `words` words; of the last block all."""
    taken: list[Span] = []
    number = 0
    for start, end in reversed(prose_spans(markdown)):
        number += len(markdown[start:end].split())
        if taken and number > words:
            break
        taken.append((start, end))
    return join(markdown, reversed(taken))


_ITEM = re.compile(r"^\s*([-*+]|\d{1,9}[.)])\s")


def _unwrap(block: str) -> str:
    lines: list[str] = []
    for line in block.splitlines():
        if lines and line.strip() and not _ITEM.match(line):
            lines[-1] = f"{lines[-1].rstrip()} {line.strip()}"
        elif line.strip():
            lines.append(line.rstrip())
    return "\n".join(lines)
