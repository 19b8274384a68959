"""What of a post may be learnt: the blocks and paragraphs that samples take as their targets.

Test posts give none, and neither does a block that is quoted, or that stands word for word in a post held
out for later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_twin.contracts.prompts import CONTEXT_WORDS
from llm_twin.contracts.prose import PROSE, Block, blocks, ending, join, word_count
from llm_twin.contracts.records import Post, Span, Split, Task
from llm_twin.feature.chunk import heading_text
from llm_twin.feature.dedup import text_hash
from llm_twin.feature.near import BLOCK_WORDS, words
from llm_twin.feature.notes import plain, spaced, wordy
from llm_twin.feature.quoted import overlaps, quoted

# Of a completion, least and most. The most of a post is about what a training sequence of 1,024 tokens can
# hold, and some more; that of a continuation leaves room in it for the text that is continued.
WRITE_WORDS = (10, 900)
CONTINUE_WORDS = (30, 300)
PARAGRAPH_WORDS = (30, 200)
TASK_WORDS: Mapping[Task, tuple[int, int]] = {
    "write": WRITE_WORDS,
    "outline": WRITE_WORDS,
    "continue": CONTINUE_WORDS,
    "rewrite": PARAGRAPH_WORDS,
    "answer": PARAGRAPH_WORDS,
}
ANSWERS_A_POST = 6
_LEAST_CONTEXT = 30  # words that a text to be continued has at least


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of the right length; `heading` is "" before the first one, `leads` its section if so."""

    span: Span
    text: str
    heading: str
    leads: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A post, the blocks of it that may be targets, and of those the paragraphs of the right length."""

    post: Post
    prose: list[Block]
    paragraphs: list[Paragraph]


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where a post is continued: the text that leads up to it, and the blocks that follow."""

    before: str
    after: tuple[Span, ...]


def sources(
    posts: Mapping[str, Post], splits: Mapping[Split, Sequence[str]]
) -> Iterator[tuple[Split, Source]]:
    """The posts of training and validation, without the blocks that a split held out for later holds too."""
    order: tuple[Split, ...] = ("train", "validation", "test")
    later = {
        split: {
            text_hash(posts[i].markdown[b.start : b.end])
            for other in order[place + 1 :]
            for i in splits[other]
            for b in blocks(posts[i].markdown)
        }
        for place, split in enumerate(order)
    }
    for split in order[:-1]:
        for post in (posts[i] for i in splits[split]):
            yield split, _source(post, later[split])


def written(source: Source) -> list[Block]:
    """The first blocks of the post's prose, as many as one sample holds; none where they say too little."""
    least, most = WRITE_WORDS
    taken = _first(source.post, source.prose, most) if source.post.title else []
    return taken if word_count(join(source.post.markdown, spans(taken))) >= least else []


def answering(source: Source) -> list[Paragraph]:
    """The paragraphs that questions are asked about, in their order; where there are many, a hash chooses."""
    if not source.post.title:
        return []
    drawn = sorted(source.paragraphs, key=lambda p: number(f"{source.post.id}:answer:{p.span[0]}"))
    return sorted(drawn[:ANSWERS_A_POST], key=lambda p: p.span)


def continued(source: Source) -> Cut | None:
    """The one place where the post is continued, or None where it is too short for that.

    Both sides are the author's own and touch: no code, quotation or table lies between or within them. What
    a sample of the whole post cannot hold comes first, so that least is learnt twice; a hash chooses.
    """
    post, least = source.post, CONTINUE_WORDS[0]
    known = max((block.end for block in written(source)), default=0)
    found: list[tuple[bool, int, Cut]] = []
    for run in _runs(source) if post.title else ():
        for place in range(1, len(run)):
            after = tuple(spans(_first(post, run[place:], CONTINUE_WORDS[1])))
            before = post.markdown[run[0].start : run[place - 1].end]
            context = word_count(ending(before, CONTEXT_WORDS))
            if context >= _LEAST_CONTEXT and word_count(join(post.markdown, after)) >= least:
                start = after[0][0]
                found.append((start < known, number(f"{post.id}:continue:{start}"), Cut(before, after)))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def overlong(posts: Iterable[Post]) -> str:
    """A remark for the person on posts that open with a block which no sample holds; "" where none does."""
    found = [post.id for post in posts if post.title and _opens_too_long(post)]
    return (
        f"{len(found)} posts open with a block of more than {WRITE_WORDS[1]} words and are not learnt whole "
        f"({', '.join(found[:3])}{', ...' if len(found) > 3 else ''}): divide it into paragraphs"
        if found
        else ""
    )


def spans(found: Sequence[Block]) -> list[Span]:
    """Where the blocks lie in their post."""
    return [(block.start, block.end) for block in found]


def number(key: str) -> int:
    """A number that looks like chance and is always the same for one key."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


def _source(post: Post, later: Container[str]) -> Source:
    others = quoted(post.markdown)
    kept: list[Block] = []
    found: list[Paragraph] = []
    heading, leads = "", True
    for block in blocks(post.markdown):
        text = post.markdown[block.start : block.end]
        span = (block.start, block.end)
        if block.kind == "heading":
            heading, leads = heading_text(text), True
            kept.append(block)
        elif block.kind in PROSE and not overlaps(others, [span]) and not _repeated(text, later):
            kept.append(block)
            if _is_prose(block, text):
                found.append(Paragraph(span, join(post.markdown, [span]), heading, leads))
                leads = False
    return Source(post, kept, found)


def _repeated(text: str, later: Container[str]) -> bool:
    """Whether the block stands in a later split; short ones ("And the result:") do so by chance."""
    return len(words(text)) >= BLOCK_WORDS and text_hash(text) in later


def _is_prose(block: Block, text: str) -> bool:
    """Whether the block is a paragraph of the right length and of words (unfenced code parses as one too).

    Notes and questions are made of its words, so that blanks must divide them.
    """
    low, high = PARAGRAPH_WORDS
    return block.kind == "paragraph" and low <= word_count(text) <= high and spaced(text) and _reads_on(text)


def _reads_on(text: str) -> bool:
    """Whether a text reads on from what is before it: footnotes and code that lost its fence do not."""
    return not text.startswith("[^") and wordy(plain(text))


def _first(post: Post, found: Sequence[Block], most: int) -> list[Block]:
    """The first of the blocks that hold `most` words at most, without a heading that nothing follows."""
    taken: list[Block] = []
    count = 0
    for block in found:
        count += word_count(post.markdown[block.start : block.end])
        if count > most:
            break
        taken.append(block)
    while taken and taken[-1].kind == "heading":
        taken.pop()
    return taken


def _opens_too_long(post: Post) -> bool:
    own = [block for block in blocks(post.markdown) if block.kind in PROSE]
    return any(block.kind != "heading" for block in own) and not _first(post, own, WRITE_WORDS[1])


def _runs(source: Source) -> list[list[Block]]:
    """The blocks that may be targets, in runs that nothing else interrupts."""
    own, runs = set(source.prose), [list[Block]()]
    for block in blocks(source.post.markdown):
        text = source.post.markdown[block.start : block.end]
        if block in own and (block.kind == "heading" or _reads_on(text)):
            runs[-1].append(block)
        else:
            runs.append([])
    return runs
