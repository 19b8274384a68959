"""The seams between the rooms and the concrete parts: small Protocols, each with one real adapter or more.

Rooms receive these as arguments and never construct them; only `compose` picks an implementation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llm_twin.contracts.records import Chunk, Kind, Message, Post

Vectors = NDArray[np.float32]


class Progress(Protocol):
    """Where a long job reports. Stages follow one another; a stage is started again to replace the last."""

    def start(self, stage: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps (None where the number is not known)."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` is a short figure shown beside the bar."""

    def say(self, line: str) -> None:
        """A line for the person, kept above the bar."""


class Silent:
    """A `Progress` that shows nothing."""

    def start(self, stage: str, total: int | None = None) -> None:
        """Ignore."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignore."""

    def say(self, line: str) -> None:
        """Ignore."""


class Embedder(Protocol):
    """Turns text into unit vectors.

    Attributes:
        name: for people, "all-MiniLM-L6-v2".
        id: identity for caches and manifests: hash of the weights, the backend and its precision.
        dim: length of a vector.
        max_tokens: longer texts are cut by the model; the chunker keeps below it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def id(self) -> str: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def max_tokens(self) -> int: ...  # noqa: D102

    def embed(self, texts: Sequence[str], progress: Progress = ...) -> Vectors:
        """Rows of unit length, shape [len(texts), dim], float32; one `advance` a text."""

    def count_tokens(self, text: str) -> int:
        """Length of the text in the model's own tokens, without special tokens."""


class Reranker(Protocol):
    """Reads a query and a passage together, which no vector does; too slow for more than a few."""

    def scores(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """How well each passage answers, higher is better; comparable for one query alone."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Restricts a search. Empty fields restrict nothing.

    Attributes:
        posts, without_posts: post ids that alone, or never, are found.
        sources: hosts of the posts' addresses ("nullprogram.com").
        kinds, languages: as `Post` names them.
        since, until: ISO dates ("2021-04-18"), both inclusive; an undated post meets neither.
    """

    posts: frozenset[str] = frozenset()
    without_posts: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    languages: frozenset[str] = frozenset()
    since: str | None = None
    until: str | None = None


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Ranked:
    """One result of an index: a chunk id and its score in this result list, best first."""

    chunk_id: str
    score: float


class VectorIndex(Protocol):
    """The searchable index of one feature version; derived, rebuilt from the version when it is missing."""

    def hybrid(self, vector: Vectors, text: str, k: int, where: Filter = ...) -> list[Ranked]:
        """Dense and BM25 results fused by reciprocal rank; vector of shape [dim]."""

    def dense(self, vector: Vectors, k: int, where: Filter = ...) -> list[Ranked]:
        """By cosine similarity."""

    def sparse(self, text: str, k: int, where: Filter = ...) -> list[Ranked]:
        """By BM25."""

    def close(self) -> None:
        """Release files or connections."""


class VectorStore(Protocol):
    """Builds and opens indexes, one for each feature version.

    An index belongs to a content (`content_id`): what was built of another under the same name is not there.
    """

    def build(
        self,
        version: str,
        content_id: str,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        posts: Mapping[str, Post],
        progress: Progress = ...,
    ) -> None:
        """Index all chunks under this name; complete or not visible; replaces what is there.

        Vectors of shape [len(chunks), dim]; `posts` by id holds those that the chunks are of.
        """

    def has(self, version: str, content_id: str) -> bool:
        """Whether a complete index of this content is there."""

    def open(self, version: str, content_id: str) -> VectorIndex:
        """Open a complete index. Raises VersionNotFound."""

    def drop(self, version: str) -> None:
        """Delete the index of this version, if there is one."""

    def versions(self) -> list[str]:
        """Names of the versions of which there is an index, complete or not, of whatever content."""


class ChatTokenizer(Protocol):
    """The base model's tokenizer and chat template: messages of `contracts.prompts` to exact token ids."""

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """Ids of the tokens that end an answer."""

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the messages and the header of the assistant's turn, ready for its first word."""

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; control tokens inside the text are not recognised."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, without special tokens."""

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        """(ids, ends): `ends[i]` is the number of UTF-8 bytes of `text` that tokens 0..i cover."""


# Tokens in a row that a restated text may say again. Of the sample author's own tokens 3 in 10,000 go on with
# a longer run that stands within the 64 before them, and 10 with one of more than four; a model that goes
# round in circles does so at once.
LONGEST_REPEAT = 5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_tokens: bound of the text, which `stop` strings end before.
        temperature: 0 is greedy.
        repeat_penalty: on each of the last tokens, prompt included; 1 is none.
        longest_repeat: of the last tokens, how many in a row may be said once more; 0 is any number. To
            llama.cpp it is dry_allowed_length.
    """

    max_tokens: int = 320
    temperature: float = 0.7
    top_p: float = 0.9
    min_p: float = 0.05
    repeat_penalty: float = 1.1
    longest_repeat: int = 0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of generated text; `tokens` is how many tokens were generated up to and including it."""

    text: str
    tokens: int


class Engine(Protocol):
    """Generates text with the base model and any of the adapters it was started with.

    Attributes:
        name: "llama.cpp" or "transformers".
        models: names that a request may ask for: always "base", then versions such as "v3".
        context: tokens that prompt and answer may take together.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def models(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def context(self) -> int: ...  # noqa: D102

    def stream(self, prompt: Sequence[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        """Pieces as they are made. Closing the iterator stops the generation.

        Raises VersionNotFound for a name not in `models` (an unknown one must never answer as the base).
        """

    def next_token_logprobs(self, prompt: Sequence[int], model: str, top: int) -> dict[int, float]:
        """Natural-log probabilities of the `top` most likely next tokens."""

    def close(self) -> None:
        """Stop the engine."""


class Drafter(Protocol):
    """A local model that restates paragraphs; its word is checked before it is used.

    Attributes:
        id: identity for caches and manifests: the weights, the engine, and how words are chosen.
    """

    @property
    def id(self) -> str: ...  # noqa: D102

    def draft(self, messages: Sequence[Message]) -> str:
        """What the model answers to messages of `prompts.draft`; the same each time. Raises EngineError."""


class Scorer(Protocol):
    """Gives the probability of a given text; what bits per byte are measured with.

    Attributes:
        dtype: precision of the forward pass, recorded with every measure.
        context: tokens that prompt and completion may have together.
    """

    @property
    def dtype(self) -> str: ...  # noqa: D102

    @property
    def context(self) -> int: ...  # noqa: D102

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
        """Natural-log probability of each completion token after the prompt, shape [len(completion)]."""
