"""Training samples: prompts rendered as serving renders them, and the author's own words as the completion.

Three tasks. write: a post from its title. rewrite: a paragraph from plain notes, which teaches the voice.
answer: a paragraph from a question and passages, among them the one that holds it. Nothing is drawn at
random: what looks like chance is a hash of ids, so the same posts give the same samples. Test posts give
none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.prose import PROSE, Block, blocks, join, prose
from llm_twin.contracts.records import Chunk, Message, Post, Sample, Span, Split, Task
from llm_twin.feature.chunk import heading_text
from llm_twin.feature.notes import notes, plain, wordy
from llm_twin.feature.questions import question

WRITE_WORDS = 900  # of a post's prose; about what a training sequence of 1,024 tokens can hold, and some more
PARAGRAPH_WORDS = (30, 200)
ANSWERS_A_POST = 3
_PASSAGES = (2, 4)
_GOLD = 2  # chunks of the paragraph's own post that are shown at most


@dataclass(frozen=True, slots=True)
class _Paragraph:
    span: Span
    text: str
    heading: str  # of its section, "" before the first one
    leads: bool  # first paragraph of its section


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
    names: tuple[Split, ...] = ("train", "validation")
    for split in names:
        for post in (by_id[i] for i in splits[split]):
            found = list(_paragraphs(post))
            if "write" in tasks:
                made += _write(post, split, author)
            if "rewrite" in tasks:
                made += _rewrite(post, split, author, found, library.vocabulary)
            if "answer" in tasks:
                made += _answer(post, split, author, found, library)
    return made


def _write(post: Post, split: Split, author: str) -> Iterator[Sample]:
    taken: list[Block] = []
    words = 0
    for block in (b for b in blocks(post.markdown) if b.kind in PROSE):
        words += len(post.markdown[block.start : block.end].split())
        if taken and words > WRITE_WORDS:
            break
        taken.append(block)
    while taken and taken[-1].kind == "heading":  # nothing would follow it
        taken.pop()
    if taken and post.title:
        yield _sample(
            post, split, "write", prompts.write(author, post.title), [(b.start, b.end) for b in taken]
        )


def _rewrite(
    post: Post, split: Split, author: str, found: Sequence[_Paragraph], vocabulary: frozenset[str]
) -> Iterator[Sample]:
    for paragraph in found:
        noted = notes(paragraph.text, vocabulary)
        if noted:
            yield _sample(post, split, "rewrite", prompts.rewrite(author, noted), [paragraph.span])


def _answer(
    post: Post, split: Split, author: str, found: Sequence[_Paragraph], library: _Library
) -> Iterator[Sample]:
    leading = [p for p in found if p.leads and wordy(p.heading or post.title)] if post.title else []
    for paragraph in leading[:ANSWERS_A_POST]:
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


def _paragraphs(post: Post) -> Iterator[_Paragraph]:
    heading, leads = "", True
    for block in blocks(post.markdown):
        if block.kind == "heading":
            heading, leads = heading_text(post.markdown[block.start : block.end]), True
        elif _is_prose(post.markdown, block):
            span = (block.start, block.end)
            yield _Paragraph(span, join(post.markdown, [span]), heading, leads)
            leads = False


def _is_prose(markdown: str, block: Block) -> bool:
    """Whether the block is a paragraph of the right length and of words (unfenced code parses as one too)."""
    text = markdown[block.start : block.end]
    least, most = PARAGRAPH_WORDS
    if block.kind != "paragraph" or text.startswith("[^") or not least <= len(text.split()) <= most:
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
