"""Posts cut into chunks by their structure: headings and paragraphs packed up to a number of tokens.

No text is lost: every character that is not blank lies in exactly one chunk, and a chunk is a span of the
Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from llm_twin.contracts.ports import Embedder
from llm_twin.contracts.prose import Block, blocks
from llm_twin.contracts.records import Chunk, Post
from llm_twin.feature.quoted import quoted, within

Count = Callable[[str], int]
_CONTEXT_SHARE = 4  # the context line takes at most a quarter of what the model reads
_SECTION_SHARE = 4  # a heading opens a new chunk once the one before it is a quarter full
_CHARACTERS_A_TOKEN = 10  # WordPiece takes a word that it does not know, however long, for one token
# Of scripts without blanks a sentence needs none after it either.
_SENTENCE = re.compile(r"(?<=[.!?…।॥؟۔])[\"'”’)\]*_]*\s+|(?<=[。！？])[」』）”’]*(?![。！？」』）”’])\s*")
_LINE = re.compile(r"\n")
_WORD = re.compile(r"\s+")
_CUTS = {"paragraph": (_SENTENCE, _WORD), "heading": (_WORD,)}  # every other kind: by lines first


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that is not cut again: a block, or part of one too long; `path` is the headings above it."""

    start: int
    end: int
    tokens: int
    path: tuple[str, ...]
    heading: bool


def chunk(post: Post, embedder: Embedder, chunk_tokens: int) -> list[Chunk]:
    """The chunks of a post in order; none for a blank post.

    A chunk's text holds at most `chunk_tokens` tokens, and with its context line no more than the model
    reads (tokens of neighbouring pieces are added up, which is exact for WordPiece and within a token a
    piece elsewhere).
    """
    text = post.markdown

    def count(piece: str) -> int:
        return max(embedder.count_tokens(piece), sum(map(len, piece.split())) // _CHARACTERS_A_TOKEN)

    limit = min(chunk_tokens, embedder.max_tokens - embedder.max_tokens // _CONTEXT_SHARE)
    packed = _pack(_units(text, count, limit), limit)
    others = quoted(text)
    return [
        Chunk(
            id=f"{post.id}:{ordinal}",
            post_id=post.id,
            ordinal=ordinal,
            start=group[0].start,
            end=group[-1].end,
            text=text[group[0].start : group[-1].end],
            context=_context(post, group[0].path, count, embedder.max_tokens // _CONTEXT_SHARE),
            quoted=within(others, group[0].start, group[-1].end),
        )
        for ordinal, group in enumerate(packed)
    ]


def _units(text: str, count: Count, limit: int) -> Iterator[_Unit]:
    path: list[tuple[int, str]] = []
    for block in _with_gaps(text):
        if block.kind == "heading":
            path = [(level, title) for level, title in path if level < block.level]
            path.append((block.level, heading_text(text[block.start : block.end])))
        above = tuple(title for _, title in path)
        for start, end, tokens in _cut(
            text, block.start, block.end, _CUTS.get(block.kind, (_LINE, _WORD)), count, limit
        ):
            yield _Unit(start, end, tokens, above, block.kind == "heading")


def _with_gaps(text: str) -> Iterator[Block]:
    """The blocks, and what lies between them that no block holds (link definitions, for example)."""
    last = 0
    for block in [*blocks(text), Block("rule", len(text), len(text))]:
        gap = text[last : block.start]
        if gap.strip():
            start = last + len(gap) - len(gap.lstrip())
            yield Block("html", start, start + len(gap.strip()))
        if block.end > block.start:
            yield block
        last = max(last, block.end)


def _cut(
    text: str, start: int, end: int, cuts: tuple[re.Pattern[str], ...], count: Count, limit: int
) -> Iterator[tuple[int, int, int]]:
    """(start, end, tokens) of pieces of at most `limit` tokens: cut by each pattern in turn, then halved."""
    tokens = count(text[start:end])
    if tokens <= limit or end - start < 2:
        yield start, end, tokens
        return
    if not cuts:
        middle = (start + end) // 2
        yield from _cut(text, start, middle, (), count, limit)
        yield from _cut(text, middle, end, (), count, limit)
        return
    for first, last in _pieces(text, start, end, cuts[0]):
        yield from _cut(text, first, last, cuts[1:], count, limit)


def _pieces(text: str, start: int, end: int, pattern: re.Pattern[str]) -> Iterator[tuple[int, int]]:
    """Spans between the matches, without the blanks around them; closing quotes stay with their sentence."""
    first = start
    for match in pattern.finditer(text, start, end):
        last = match.start() + len(match.group().rstrip())
        if text[first:last].strip():
            yield first, last
        first = match.end()
    if text[first:end].strip():
        yield first, end


def _pack(units: Iterable[_Unit], limit: int) -> list[list[_Unit]]:
    groups: list[list[_Unit]] = []
    for unit in units:
        group = groups[-1] if groups else []
        size = sum(u.tokens for u in group)
        section = unit.heading and size * _SECTION_SHARE >= limit and not all(u.heading for u in group)
        if not group or section or size + unit.tokens > limit:
            # A heading belongs to what follows it: it does not end a chunk if it need not.
            carried = [*takewhile(lambda u: u.heading, reversed(group))][::-1]
            if len(carried) == len(group) or sum(u.tokens for u in carried) + unit.tokens > limit:
                carried = []
            del group[len(group) - len(carried) :]
            groups.append(carried)
        groups[-1].append(unit)
    return groups


def heading_text(block: str) -> str:
    """The words of a Markdown heading, in either style, on one line."""
    lines = [line for line in block.splitlines() if not re.fullmatch(r"\s*(=+|-+)\s*", line)]
    return re.sub(r"^#+\s*|\s+#+$", "", " ".join(" ".join(lines).split()))


def _context(post: Post, path: tuple[str, ...], count: Count, limit: int) -> str:
    """ "Title > Heading > Subheading (2021-04-18)", from the left as much of it as fits."""
    date = f" ({post.published_at[:10]})" if post.published_at else ""
    words = " > ".join([post.title, *path]).split()
    while len(words) > 1 and count(" ".join(words) + date) > limit:
        words.pop()
    return " ".join(words) + date
