"""Small real parts for the ports: exact index, word-hashing embedder, byte tokenizer, scripted engine."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from llm_twin.contracts import prompts
from llm_twin.contracts.manifests import MANIFEST, FeatureManifest, PartId, PromptId, file_hash
from llm_twin.contracts.ports import Filter, Piece, Ranked, Sampling, Vectors
from llm_twin.contracts.prose import blocks
from llm_twin.contracts.records import Chunk, Message, Post
from llm_twin.contracts.versions import CHUNKS, EMBEDDINGS, POSTS, SAMPLES, FeatureVersion, write_lines
from llm_twin.errors import VersionNotFound
from llm_twin.inference.words import content_words

EVERYTHING = Filter()
AUTHOR = "Ida Quill"


class HashEmbedder:
    """Unit vectors of hashed content words: the cosine of two texts grows with the words they share."""

    name, id, dim, max_tokens = "hash", "hash-256", 256, 256

    def embed(self, texts: Sequence[str], progress: object = None) -> Vectors:
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in content_words(text):
                digest = hashlib.sha256(word.encode()).digest()
                row[int.from_bytes(digest[:4]) % self.dim] += 1.0 if digest[4] % 2 else -1.0
            row /= np.linalg.norm(row) or 1.0
        return rows

    def count_tokens(self, text: str) -> int:
        return len(text.split())


class ExactIndex:
    """Exact cosine and BM25 (k1 1.2, b 0.75), fused by reciprocal rank with the paper's constant 60."""

    def __init__(self, chunks: Sequence[Chunk], vectors: Vectors) -> None:
        self.chunks, self.vectors, self.closed = list(chunks), vectors, False
        self._words = [Counter(content_words(c.indexed_text)) for c in self.chunks]
        self._seen = Counter(w for words in self._words for w in words)
        self._mean = sum(w.total() for w in self._words) / max(1, len(self._words))

    def dense(self, vector: Vectors, k: int, where: Filter = EVERYTHING) -> list[Ranked]:
        return self._top(list(self.vectors @ vector), k, where)

    def sparse(self, text: str, k: int, where: Filter = EVERYTHING) -> list[Ranked]:
        query = content_words(text)
        found = self._top([self._bm25(query, words) for words in self._words], k, where)
        return [r for r in found if r.score > 0]

    def hybrid(self, vector: Vectors, text: str, k: int, where: Filter = EVERYTHING) -> list[Ranked]:
        fused: Counter[str] = Counter()
        for leg in (self.dense(vector, k, where), self.sparse(text, k, where)):
            for rank, r in enumerate(leg, start=1):
                fused[r.chunk_id] += 1 / (60 + rank)  # type: ignore[assignment]
        return [Ranked(chunk_id, score) for chunk_id, score in fused.most_common(k)]

    def close(self) -> None:
        self.closed = True

    def _bm25(self, query: Sequence[str], words: Counter[str]) -> float:
        total, score = len(self.chunks), 0.0
        for word in query:
            n, tf = self._seen[word], words[word]
            idf = math.log(1 + (total - n + 0.5) / (n + 0.5))
            score += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * words.total() / self._mean))
        return score

    def _top(self, scores: Sequence[float], k: int, where: Filter) -> list[Ranked]:
        allowed = [
            (float(s), c.id)
            for s, c in zip(scores, self.chunks, strict=True)
            if (not where.posts or c.post_id in where.posts) and c.post_id not in where.without_posts
        ]
        return [Ranked(i, s) for s, i in sorted(allowed, key=lambda pair: -pair[0])[:k]]


class ByteTokenizer:
    """One token a UTF-8 byte; a turn costs four more."""

    eos_ids = (0,)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        return [i for m in messages for i in (1, 2, *self.encode(m.content), 3, 4)]

    def encode(self, text: str) -> list[int]:
        return [b + 8 for b in text.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - 8 for i in ids if i >= 8).decode()

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        ids = self.encode(text)
        return ids, list(range(1, len(ids) + 1))


class ScriptedEngine:
    """Says given words, a token each; records every request, and how many streams were stopped early."""

    name = "scripted"

    def __init__(
        self,
        text: str = " I read the board by hand. It says 1.82 m. ",
        models: tuple[str, ...] = ("base", "v1", "v3"),
        context: int = 4096,
        before: Callable[[int], None] = lambda n: None,
    ) -> None:
        self.text, self.models, self.context, self._before = text, models, context, before
        self.requests: list[tuple[tuple[int, ...], str, Sampling]] = []
        self.stopped = 0
        self.finished = 0

    def stream(self, prompt: Sequence[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        if model not in self.models:
            raise VersionNotFound(f"No model {model}", "See them: llm-twin models list")
        self.requests.append((tuple(prompt), model, sampling))
        return self._pieces(sampling)

    def _pieces(self, sampling: Sampling) -> Iterator[Piece]:
        done = False
        try:
            words = self.text.split(" ")
            for n, word in enumerate(words[: sampling.max_tokens], start=1):
                self._before(n)
                yield Piece(word if n == 1 else f" {word}", n)
            done = True
        finally:
            self.finished += done
            self.stopped += not done

    def next_token_logprobs(self, prompt: Sequence[int], model: str, top: int) -> dict[int, float]:
        return {8: 0.0}

    def close(self) -> None:
        self.models = ()


def post(title: str, markdown: str, date: str | None = "2024-03-02") -> Post:
    url = "https://quill.example/" + title.lower().replace(" ", "-")
    return Post(
        id=Post.id_of(url),
        url=url,
        title=title,
        published_at=date,
        markdown=markdown,
        revision=Post.revision_of(title, markdown),
    )


def chunks_of(post: Post) -> list[Chunk]:
    """A chunk a block."""
    return [
        Chunk(
            id=f"{post.id}:{n}",
            post_id=post.id,
            ordinal=n,
            start=b.start,
            end=b.end,
            text=post.markdown[b.start : b.end],
            context=f"{post.title} > {post.published_at}",
        )
        for n, b in enumerate(blocks(post.markdown))
    ]


def seal(
    folder: Path,
    posts: Sequence[Post],
    embedder: HashEmbedder,
    prompt_version: str = prompts.PROMPT_VERSION,
    name: str = "F0001",
) -> FeatureVersion:
    """A sealed feature version of these posts."""
    folder.mkdir(parents=True)
    chunks = [c for p in posts for c in chunks_of(p)]
    write_lines(folder / POSTS, posts)
    write_lines(folder / CHUNKS, chunks)
    write_lines(folder / SAMPLES, [])
    save_file({"embeddings": embedder.embed([c.indexed_text for c in chunks])}, folder / EMBEDDINGS)
    manifest = FeatureManifest(
        version=name,
        content_id="",
        created_at="2026-01-01T00:00:00+00:00",
        parent=None,
        parameters={},
        prompt=PromptId(version=prompt_version, author=AUTHOR),
        files={f: file_hash(folder / f) for f in (POSTS, CHUNKS, SAMPLES, EMBEDDINGS)},
        posts={p.id: p.revision for p in posts},
        splits={"train": tuple(p.id for p in posts), "validation": (), "test": ()},
        embedder=PartId(name=embedder.name, id=embedder.id),
        counts={"posts": len(posts), "chunks": len(chunks), "samples": 0},
    )
    (folder / MANIFEST).write_text(manifest.sealed().model_dump_json(), encoding="utf-8")
    return FeatureVersion.open(folder)
