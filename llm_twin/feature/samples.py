"""Training samples: prompts rendered as serving renders them, and the author's own words as the completion.

Three tasks. write: a post from its title. rewrite: a paragraph from plain notes, which teaches the voice.
answer: a paragraph from a question and passages, among them the one that holds it. Nothing is drawn at
random: what looks like chance is a hash of ids, so the same posts give the same samples. Test posts give
none, and neither does a block that is quoted, or that stands word for word in a post held out for later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.prose import PROSE, Block, blocks, join, prose
from llm_twin.contracts.records import Chunk, Message, Post, Sample, Span, Split, Task
from llm_twin.feature.chunk import heading_text
from llm_twin.feature.dedup import text_hash
from llm_twin.feature.near import BLOCK_WORDS, words
from llm_twin.feature.notes import notes, plain, wordy
from llm_twin.feature.questions import question
from llm_twin.feature.quoted import overlaps, quoted

# Of a completion, least and most. The most of a post is about what a training sequence of 1,024 tokens can
# hold, and some more.
WRITE_WORDS = (10, 900)
PARAGRAPH_WORDS = (30, 200)
TASK_WORDS: Mapping[Task, tuple[int, int]] = {
    "write": WRITE_WORDS,
    "rewrite": PARAGRAPH_WORDS,
    "answer": PARAGRAPH_WORDS,
}
ANSWERS_A_POST = 3
_PASSAGES = (2, 4)
_GOLD = 2  # chunks of the paragraph's own post that are shown at most


@dataclass(frozen=True, slots=True)
class _Paragraph:
    span: Span
    text: str
    heading: str  # of its section, "" before the first one
    leads: bool  # first paragraph of its section


@dataclass(frozen=True, slots=True)
class _Source:
    """A post, the blocks of it that may be targets, and of those the paragraphs of the right length."""

    post: Post
    prose: list[Block]
    paragraphs: list[_Paragraph]


@dataclass(frozen=True)
class _Library:
    """Chunks and vectors by post; those of the training posts as one matrix to find distractors in."""

    posts: Mapping[str, Post]
    chunks: Mapping[str, list[tuple[Chunk, int]]]
    vectors: Vectors
    vocabulary: frozenset[str]
    train: list[Chunk]
    train_vectors: Vectors


def build(
    posts: Sequence[Post],
    splits: Mapping[Split, Sequence[str]],
    chunks: Sequence[Chunk],
    vectors: Vectors,
    author: str,
    tasks: Sequence[Task],
) -> list[Sample]:
    """Samples of the training and validation posts, in the order of posts, tasks and blocks.

    `vectors` has one row a chunk; every completion equals `prose.join(markdown, spans)`.
    """
    by_id = {post.id: post for post in posts}
    library = _library(by_id, splits["train"], chunks, vectors)
    made: list[Sample] = []
    for split, source in _sources(by_id, splits):
        if "write" in tasks:
            made += _write(source, split, author)
        if "rewrite" in tasks:
            made += _rewrite(source, split, author, library.vocabulary)
        if "answer" in tasks:
            made += _answer(source, split, author, library)
    return made


def most(posts: Mapping[str, Post], splits: Mapping[Split, Sequence[str]]) -> dict[Task, int]:
    """How many training samples of each task the posts can give at most.

    Notes that say too little make fewer of the task "rewrite".
    """
    found = [source for split, source in _sources(posts, splits) if split == "train"]
    return {
        "write": sum(bool(_written(source)) for source in found),
        "rewrite": sum(len(source.paragraphs) for source in found),
        "answer": sum(len(_leading(source)) for source in found),
    }


def _sources(
    posts: Mapping[str, Post], splits: Mapping[Split, Sequence[str]]
) -> Iterator[tuple[Split, _Source]]:
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


def _source(post: Post, later: Container[str]) -> _Source:
    others = quoted(post.markdown)
    kept: list[Block] = []
    found: list[_Paragraph] = []
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
                found.append(_Paragraph(span, join(post.markdown, [span]), heading, leads))
                leads = False
    return _Source(post, kept, found)


def _repeated(text: str, later: Container[str]) -> bool:
    """Whether the block stands in a later split; short ones ("And the result:") do so by chance."""
    return len(words(text)) >= BLOCK_WORDS and text_hash(text) in later


def _write(source: _Source, split: Split, author: str) -> Iterator[Sample]:
    spans = _written(source)
    if spans:
        yield _sample(source.post, split, "write", prompts.write(author, source.post.title), spans)


def _written(source: _Source) -> list[Span]:
    """The first blocks of the post's prose, as many as one sample holds; none where they say too little."""
    least, most_words = WRITE_WORDS
    taken: list[Block] = []
    number = 0
    for block in source.prose if source.post.title else ():
        number += len(source.post.markdown[block.start : block.end].split())
        if number > most_words:
            break
        taken.append(block)
    while taken and taken[-1].kind == "heading":  # nothing would follow it
        taken.pop()
    spans = [(block.start, block.end) for block in taken]
    return spans if len(join(source.post.markdown, spans).split()) >= least else []


def _rewrite(source: _Source, split: Split, author: str, vocabulary: frozenset[str]) -> Iterator[Sample]:
    for paragraph in source.paragraphs:
        noted = notes(paragraph.text, vocabulary)
        if noted:
            yield _sample(source.post, split, "rewrite", prompts.rewrite(author, noted), [paragraph.span])


def _leading(source: _Source) -> list[_Paragraph]:
    """The paragraphs that answer what the title or a heading asks about."""
    title = source.post.title
    leading = [p for p in source.paragraphs if p.leads and wordy(p.heading or title)] if title else []
    return leading[:ANSWERS_A_POST]


def _answer(source: _Source, split: Split, author: str, library: _Library) -> Iterator[Sample]:
    post = source.post
    for paragraph in _leading(source):
        key = f"{post.id}:{paragraph.span[0]}"
        passages = _passages(post, paragraph.span, key, library)
        asked = question(post.title, paragraph.heading, key, library.vocabulary)
        yield _sample(post, split, "answer", prompts.answer(author, asked, passages), [paragraph.span])


def _passages(post: Post, span: Span, key: str, library: _Library) -> list[prompts.Passage]:
    """The chunks that hold the paragraph, and the nearest ones of other training posts, ordered by hash."""
    own = [
        (min(c.end, span[1]) - max(c.start, span[0]), -c.ordinal, c, row)
        for c, row in library.chunks[post.id]
    ]
    gold = sorted((entry for entry in own if entry[0] > 0), reverse=True)[:_GOLD]
    number = max(_PASSAGES[0] + _hash(key) % (_PASSAGES[1] - _PASSAGES[0] + 1), len(gold) + 1)
    shown = [entry[2] for entry in gold]
    seen = {post.id}
    nearness = library.train_vectors @ library.vectors[gold[0][3]]
    for row in np.argsort(-nearness, kind="stable"):
        candidate = library.train[int(row)]
        if len(shown) >= number:
            break
        if candidate.post_id not in seen:
            seen.add(candidate.post_id)
            shown.append(candidate)
    shown.sort(key=lambda c: _hash(f"{key}:{c.id}"))
    sources = [(library.posts[c.post_id], c) for c in shown]
    return [prompts.Passage(source.title, source.published_at, c.text) for source, c in sources]


def _is_prose(block: Block, text: str) -> bool:
    """Whether the block is a paragraph of the right length and of words (unfenced code parses as one too)."""
    low, high = PARAGRAPH_WORDS
    if block.kind != "paragraph" or text.startswith("[^") or not low <= len(text.split()) <= high:
        return False
    return wordy(plain(text))


def _library(
    posts: Mapping[str, Post], train: Sequence[str], chunks: Sequence[Chunk], vectors: Vectors
) -> _Library:
    by_post: dict[str, list[tuple[Chunk, int]]] = {}
    for row, chunk in enumerate(chunks):
        by_post.setdefault(chunk.post_id, []).append((chunk, row))
    learnt = set(train)
    rows = [row for row, chunk in enumerate(chunks) if chunk.post_id in learnt]
    vocabulary = _vocabulary([posts[i] for i in train])
    return _Library(posts, by_post, vectors, vocabulary, [chunks[row] for row in rows], vectors[rows])


def _vocabulary(posts: Sequence[Post]) -> frozenset[str]:
    """Words that stand in lower case somewhere in the posts' prose."""
    return frozenset(word for post in posts for word in re.findall(r"\b[a-z][a-z]+\b", prose(post.markdown)))


def _sample(
    post: Post, split: Split, task: Task, messages: tuple[Message, ...], spans: Sequence[Span]
) -> Sample:
    return Sample(
        id=f"{post.id}:{task}:{spans[0][0]}",
        task=task,
        post_id=post.id,
        split=split,
        messages=messages,
        completion=join(post.markdown, spans),
        spans=tuple(spans),
    )


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
