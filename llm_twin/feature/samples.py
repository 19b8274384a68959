"""Training samples: prompts rendered as serving renders them, and the author's own words as the completion.

Five tasks. write: a post from its title. outline: a post from its title and an outline. continue: what
follows in a post. rewrite: a paragraph from plain notes, which teaches the voice, or from a draft of a local
model. answer: a paragraph from a question and passages, among them the one that holds it. Nothing is drawn at
random: what looks like chance is a hash of ids, so the same posts give the same samples. `feature.targets`
says which words of a post may be learnt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.prose import join, prose
from llm_twin.contracts.records import Chunk, Message, Origin, Post, Sample, Span, Split, Task
from llm_twin.feature.notes import facts, notes, topics, wordy
from llm_twin.feature.outline import outline
from llm_twin.feature.questions import about, question
from llm_twin.feature.targets import Paragraph, Source, answering, continued, number, sources, spans, written

_PASSAGES = (2, 4)
_GOLD = 2  # chunks of the paragraph's own post that are shown at most


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
    drafts: Mapping[str, str] | None = None,
) -> list[Sample]:
    """Samples of the training and validation posts, in the order of posts, tasks and blocks.

    `vectors` has one row a chunk; every completion equals `prose.join(markdown, spans)`. `drafts` restate
    paragraphs of training posts, by their text; each makes one more sample of the task "rewrite".
    """
    by_id = {post.id: post for post in posts}
    library = _library(by_id, splits["train"], chunks, vectors)
    made: list[Sample] = []
    for split, source in sources(by_id, splits):
        made += _write(source, split, author, tasks, library.vocabulary)
        if "continue" in tasks:
            made += _continue(source, split, author)
        if "rewrite" in tasks:
            made += _rewrite(source, split, author, library.vocabulary, drafts or {})
        if "answer" in tasks:
            made += _answer(source, split, author, library)
    return made


def most(
    posts: Mapping[str, Post], splits: Mapping[Split, Sequence[str]], tasks: Sequence[Task]
) -> dict[Task, int]:
    """How many training samples of each task the posts can give at most, drafts not counted.

    Notes that say too little make fewer of the task "rewrite".
    """
    words = vocabulary([posts[i] for i in splits["train"]])
    found: Counter[Task] = Counter()
    for source in (source for split, source in sources(posts, splits) if split == "train"):
        whole = _whole(source, tasks, words)
        if whole:
            found[whole.task] += 1
        found["continue"] += continued(source) is not None
        found["rewrite"] += len(source.paragraphs)
        found["answer"] += len(answering(source))
    return {task: found[task] for task in tasks}


def to_draft(
    posts: Sequence[Post], splits: Mapping[Split, Sequence[str]], words: frozenset[str]
) -> list[str]:
    """The paragraphs of training posts that a model may be asked to restate, in the order in which it is.

    Those come first whose notes say too little for a sample, then those with the fewest names and numbers:
    notes say least of them, and a small model loses least. Of equals a hash chooses. `words` is the
    vocabulary of the training posts.
    """
    by_id = {post.id: post for post in posts}
    found = {
        paragraph.text
        for split, source in sources(by_id, splits)
        if split == "train"
        for paragraph in source.paragraphs
    }

    def place(text: str) -> tuple[bool, int, int]:
        return notes(text, words) is not None, len(facts(text, words)), number(f"draft:{text}")

    return sorted(found, key=place)


def vocabulary(posts: Sequence[Post]) -> frozenset[str]:
    """Words that stand in lower case somewhere in the posts' prose."""
    found = (re.findall(r"\b[^\W\d_]{2,}\b", prose(post.markdown)) for post in posts)
    # Case-folded as `notes` asks for them, which makes "ss" of "ß".
    return frozenset(word.casefold() for words in found for word in words if word.islower())


@dataclass(frozen=True, slots=True)
class _Whole:
    """How a post is learnt as a whole: from its title alone, or from its title and `points`."""

    task: Task
    spans: list[Span]
    points: list[str]


def _whole(source: Source, tasks: Sequence[Task], words: frozenset[str]) -> _Whole | None:
    """One sample a post, so that no text is paid for twice.

    Where both tasks are wanted, a hash gives half of the posts an outline; a post of which no outline can be
    made is written from its title.
    """
    found = written(source)
    if not found:
        return None
    points = []
    if "outline" in tasks and ("write" not in tasks or number(f"{source.post.id}:outline") % 2):
        points = outline(source.post.markdown, found, words)
    if points:
        return _Whole("outline", spans(found), points)
    return _Whole("write", spans(found), []) if "write" in tasks else None


def _write(
    source: Source, split: Split, author: str, tasks: Sequence[Task], words: frozenset[str]
) -> Iterator[Sample]:
    whole, title = _whole(source, tasks, words), source.post.title
    if whole:
        outlined = prompts.outlined(author, title, whole.points)
        messages = outlined if whole.points else prompts.write(author, title)
        yield _sample(source.post, split, whole.task, messages, whole.spans)


def _continue(source: Source, split: Split, author: str) -> Iterator[Sample]:
    cut = continued(source)
    if cut:
        messages = prompts.continued(author, source.post.title, cut.before)
        yield _sample(source.post, split, "continue", messages, cut.after)


def _rewrite(
    source: Source, split: Split, author: str, words: frozenset[str], drafts: Mapping[str, str]
) -> Iterator[Sample]:
    for paragraph in source.paragraphs:
        noted = notes(paragraph.text, words)
        drafted = drafts.get(paragraph.text) if split == "train" else None
        inputs: tuple[tuple[str | None, Origin], ...] = ((noted, "rule"), (drafted, "draft"))
        for text, origin in inputs:
            if text:
                messages = prompts.rewrite(author, text)
                yield _sample(source.post, split, "rewrite", messages, [paragraph.span], origin)


def _answer(source: Source, split: Split, author: str, library: _Library) -> Iterator[Sample]:
    post = source.post
    for paragraph in answering(source):
        key = f"{post.id}:{paragraph.span[0]}"
        asked = _asked(post, paragraph, key, library.vocabulary)
        if asked:
            passages = _passages(post, paragraph, key, library)
            yield _sample(post, split, "answer", prompts.answer(author, asked, passages), [paragraph.span])


def _asked(post: Post, paragraph: Paragraph, key: str, words: frozenset[str]) -> str | None:
    """What the paragraph answers.

    Of those that lead a section, half are asked for by its heading or the post's title, all others by their
    own topics.
    """
    headed = paragraph.leads and wordy(paragraph.heading or post.title)
    found = topics(paragraph.text, words)
    if headed and (not found or number(f"{key}:headed") % 2):
        return question(post.title, paragraph.heading, key, words)
    return about(found, key) if found else None


def _passages(post: Post, paragraph: Paragraph, key: str, library: _Library) -> list[prompts.Passage]:
    """The chunks that hold the paragraph, and the nearest ones of other training posts, ordered by hash."""
    start, end = paragraph.span
    own = [(min(c.end, end) - max(c.start, start), -c.ordinal, c, row) for c, row in library.chunks[post.id]]
    gold = sorted((entry for entry in own if entry[0] > 0), reverse=True)[:_GOLD]
    wanted = max(_PASSAGES[0] + number(key) % (_PASSAGES[1] - _PASSAGES[0] + 1), len(gold) + 1)
    shown = [entry[2] for entry in gold]
    seen = {post.id}
    nearness = library.train_vectors @ library.vectors[gold[0][3]]
    for row in np.argsort(-nearness, kind="stable"):
        candidate = library.train[int(row)]
        if len(shown) >= wanted:
            break
        if candidate.post_id not in seen:
            seen.add(candidate.post_id)
            shown.append(candidate)
    shown.sort(key=lambda c: number(f"{key}:{c.id}"))
    found = [(library.posts[c.post_id], c) for c in shown]
    return [prompts.Passage(source.title, source.published_at, c.text) for source, c in found]


def _library(
    posts: Mapping[str, Post], train: Sequence[str], chunks: Sequence[Chunk], vectors: Vectors
) -> _Library:
    by_post: dict[str, list[tuple[Chunk, int]]] = {}
    for row, chunk in enumerate(chunks):
        by_post.setdefault(chunk.post_id, []).append((chunk, row))
    learnt = set(train)
    rows = [row for row, chunk in enumerate(chunks) if chunk.post_id in learnt]
    words = vocabulary([posts[i] for i in train])
    return _Library(posts, by_post, vectors, words, [chunks[row] for row in rows], vectors[rows])


def _sample(
    post: Post,
    split: Split,
    task: Task,
    messages: tuple[Message, ...],
    found: Sequence[Span],
    origin: Origin = "rule",
) -> Sample:
    drafted = ":draft" if origin == "draft" else ""
    return Sample(
        id=f"{post.id}:{task}:{found[0][0]}{drafted}",
        task=task,
        post_id=post.id,
        split=split,
        messages=messages,
        completion=join(post.markdown, found),
        spans=tuple(found),
        source=origin,
    )
