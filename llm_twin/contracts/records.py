"""The records that cross rooms and lie in stored artifacts: posts, chunks, samples, hits and answers.

All are immutable and serialise to one JSON object a line (`model_dump_json`, `model_validate_json`).
Character offsets are Python string offsets into `Post.markdown`, start inclusive, end exclusive.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "validation", "test"]
Task = Literal["write", "outline", "continue", "rewrite", "answer"]
Origin = Literal["rule", "draft"]
Kind = Literal["post", "note", "reply"]
Role = Literal["system", "user", "assistant"]
Span = tuple[int, int]


class Record(BaseModel):
    """Base of the stored records: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Post(Record):
    """One post of the author as it stands in the library.

    Attributes:
        id: first 12 hex digits of sha256 of the canonical url.
        published_at: ISO 8601 date or date-time, or None where the source gives none.
        markdown: the body without its title; what the author wrote and nothing else.
        revision: sha256 of title and markdown; another revision is another text.
        language: ISO 639-1 code of the text ("en"), set when a feature version is built; None before, and
            where it cannot be told.
    """

    id: str
    url: str
    title: str
    published_at: str | None
    markdown: str
    revision: str
    kind: Kind = "post"
    author: str | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None

    @staticmethod
    def id_of(canonical_url: str) -> str:
        """The post id that belongs to a canonical url."""
        return hashlib.sha256(canonical_url.encode()).hexdigest()[:12]

    @staticmethod
    def revision_of(title: str, markdown: str) -> str:
        """The revision hash of a title and body."""
        return hashlib.sha256(f"{title}\n\n{markdown}".encode()).hexdigest()


class Chunk(Record):
    """A passage of a post: the unit that is embedded, retrieved and cited.

    Attributes:
        id: "<post id>:<ordinal>".
        start, end: span in the post's markdown; `text` equals `markdown[start:end]`.
        quoted: spans of the post's markdown inside this one that are the words of others.
        context: title > headings > date; put before the text for dense and sparse retrieval alike.
    """

    id: str
    post_id: str
    ordinal: int
    start: int
    end: int
    text: str
    context: str
    quoted: tuple[Span, ...] = ()

    @property
    def indexed_text(self) -> str:
        """What is embedded and tokenised for BM25: the context line, then the text."""
        return f"{self.context}\n{self.text}"


class Message(Record):
    """One chat message."""

    role: Role
    content: str


class Sample(Record):
    """One supervised training sample: a prompt made by `contracts.prompts`, then the author's own words.

    Attributes:
        spans: the blocks of the post's markdown that the completion is made of, in order;
            the completion is `prose.join(markdown, spans)`, so every target can be checked in its source.
        source: who made the input of a rewrite: the rules of `feature.notes`, or a local model, whose draft
            was checked. Not written where it is "rule", so that versions of before drafts keep their id.
    """

    id: str
    task: Task
    post_id: str
    split: Split
    messages: tuple[Message, ...]
    completion: str
    spans: tuple[Span, ...]
    source: Origin = Field("rule", exclude_if=lambda origin: origin == "rule")


class Hit(Record):
    """One search result.

    Attributes:
        score: the fused rank score; comparable within one result list only.
        cosine: cosine similarity of the query and this chunk, in [-1, 1].
        start, end: span of `text` in the post's markdown.
        matches: spans in `text` of the words that the query holds too, in any of their forms.
    """

    post_id: str
    url: str
    title: str
    published_at: str | None
    chunk_id: str
    text: str
    start: int
    end: int
    score: float
    cosine: float
    matches: tuple[Span, ...] = ()


class Citation(Record):
    """A passage that was put before the model, numbered as in the prompt."""

    number: int
    post_id: str
    url: str
    title: str
    chunk_id: str
    start: int
    end: int
    text: str


class Answer(Record):
    """What the twin said, and everything it came from.

    Attributes:
        refused: True when retrieval found nothing that answers, and the text says so.
        model, features: local names of the versions ("v3" or "base", "F0002").
        timings_ms: embed, retrieve, first_token, total; milliseconds.
        tokens: generated tokens; tokens_per_s: decode rate without the prompt.
    """

    text: str
    refused: bool
    citations: tuple[Citation, ...]
    model: str
    features: str
    timings_ms: dict[str, float]
    tokens: int
    tokens_per_s: float

    @property
    def timings(self) -> dict[str, float]:
        """The timings in milliseconds, under their short name."""
        return self.timings_ms
