"""Markdown seen as blocks with exact spans: what is the author's prose, and what is code, quotation or table.

The chunker, the sample builder and the bits-per-byte measure all read posts through this one file, so "prose"
means the same everywhere. Blocks are found with markdown-it (CommonMark plus tables).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from llm_twin.contracts.records import Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

BlockKind = Literal["heading", "paragraph", "list", "quote", "code", "table", "html", "rule"]
_KIND: dict[str, BlockKind] = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "blockquote_open": "quote",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
    "html_block": "html",
    "hr": "rule",
}
_LIST_TAGS = {"ul", "ol", "li"}
PROSE: frozenset[BlockKind] = frozenset({"heading", "paragraph", "list"})
# Scripts that put no blank between words: Thai, Lao, Burmese, Khmer, kana and Han.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a Markdown text; `level` is the heading level 1-6, else 0.

    What a list holds beside its items' paragraphs (code, quotations, tables) is a block of its own, and parts
    the list in two.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@cache
def parser() -> MarkdownIt:
    """What finds the blocks of a text: CommonMark and tables; one for all, since making it takes a while."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")  # blocks only: twice as fast


def blocks(markdown: str) -> list[Block]:
    """The blocks in order, with spans that exclude surrounding blank lines."""
    return list(_blocks(markdown))


@lru_cache(maxsize=1024)  # a build asks ten times for the blocks of each post
def _blocks(markdown: str) -> tuple[Block, ...]:
    # Not splitlines: the parser knows no other line end.
    starts = [0, *(match.end() for match in re.finditer(r"\r\n?|\n", markdown)), len(markdown)]
    found: list[Block] = []
    lists, goes_on = 0, False  # lists and items that are open; whether the last block is a part of them
    for token in parser().parse(markdown):
        if token.tag in _LIST_TAGS:
            lists += token.nesting
            goes_on = goes_on and lists > 0
            continue
        kind = _KIND.get(token.type)
        if kind is None or token.level != lists or token.map is None:
            continue
        start, end = starts[token.map[0]], starts[token.map[1]]
        end = start + len(markdown[start:end].rstrip())
        listed = lists > 0 and kind in PROSE
        if listed and goes_on:
            found[-1] = replace(found[-1], end=end)
        elif listed:
            found.append(Block("list", start, end))
        else:
            found.append(Block(kind, start, end, int(token.tag[1]) if kind == "heading" else 0))
        goes_on = listed
    return tuple(found)


def prose_spans(markdown: str) -> list[Span]:
    """Spans of the author's own prose: headings, paragraphs, lists; no code, quotes, tables or HTML."""
    return [(b.start, b.end) for b in blocks(markdown) if b.kind in PROSE]


def join(markdown: str, spans: Iterable[Span]) -> str:
    """The text at the spans: a block is one line (a list one line an item), blocks a blank line apart.

    The author's line breaks stay, and so do those between the paragraphs of an item.
    """
    return "\n\n".join(_unwrap(markdown[start:end]) for start, end in spans)


def prose(markdown: str) -> str:
    """All of a post's prose as one text, unwrapped."""
    return join(markdown, prose_spans(markdown))


def ending(markdown: str, words: int) -> str:
    """The last whole blocks of a text's prose that hold at most `words` words; of the last block all."""
    taken: list[Span] = []
    number = 0
    for start, end in reversed(prose_spans(markdown)):
        number += word_count(markdown[start:end])
        if taken and number > words:
            break
        taken.append((start, end))
    return join(markdown, reversed(taken))


def word_count(text: str) -> int:
    """How many words blanks divide the text into; of a script that has none, each character is one."""
    return len(_WORD.findall(text))


# The backslash by which a paragraph begins no block of another kind (`collect.pages.markdown`).
_ESCAPE = re.compile(
    r"^((?:[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t])*[ \t]*)(?:(\d{1,9})\\(?=[.)](?:\s|$))"
    r"|\\(?=(?:#{1,6}|[-+*>]|`{3,}|~{3,}|={2,}|-{2,})(?:\s|$)|<[A-Za-z/!?]))"
)
_ITEM = re.compile(r"^\s*([-*+]|\d{1,9}[.)])\s")
# A backslash after a blank goes on a line of a shell or of C, which stands in prose where it lost its fence.
_HARD_BREAK = re.compile(r"(?:(?<! ) {2,}|(?<![\\\s])\\)$")
# Kana, Han and their punctuation: a line that ends between two of them ends within a sentence without blanks.
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")


def _unwrap(block: str) -> str:
    parts: list[str] = []  # lines, and what stands between one and the next
    apart = False
    for line in _outdented(block).splitlines():
        if not line.strip():
            apart = True
            continue
        if parts:
            before = parts[-1]
            if _ITEM.match(line):
                between = "\n"
            elif apart:
                between = "\n\n"
            else:
                line = line.lstrip()
                between, before = _between(before, line), _HARD_BREAK.sub("", before)
            parts[-1:] = [before.rstrip(), between]
        parts.append(_ESCAPE.sub(r"\1\2", line))  # no author typed it
        apart = False
    return "".join(parts).rstrip()


def _outdented(block: str) -> str:
    """The block without the margin of its first line: a part of a list stands by itself."""
    margin = len(block) - len(block.lstrip(" \t"))
    return re.sub(rf"^[ \t]{{1,{margin}}}", "", block, flags=re.MULTILINE) if margin else block


def _between(line: str, following: str) -> str:
    """What stands between two lines of one paragraph once it is unwrapped."""
    if _HARD_BREAK.search(line):
        return "\n"
    return "" if _WIDE.match(line.rstrip()[-1:]) and _WIDE.match(following) else " "
