"""Vector store in process: one Qdrant Edge shard for each feature version.

A shard is derived from a sealed version and never sealed itself: opening and querying one rewrites small
files in it. It is made without a write-ahead log, so that several processes may open it at once, is built
under a temporary name and renamed when it is flushed, and carries a small file beside it that says how many
points it must hold.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from llm_twin.contracts.ports import Filter, Progress, Ranked, Silent, VectorIndex, Vectors
from llm_twin.contracts.records import Chunk
from llm_twin.errors import IntegrityError, VersionNotFound

DENSE, SPARSE = "dense", "bm25"
MARK = "complete.json"
SHARD = "shard"
CANDIDATES = 50
RRF_K = 60  # Cormack, Clarke and Buettcher (SIGIR 2009)
BM25_K1, BM25_B = (
    1.2,
    0.75,
)  # Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), section 3.4
_HNSW_M, _HNSW_EF, _FULL_SCAN_KB = (
    16,
    128,
    10_000,
)  # Qdrant's defaults, but a more careful construction (100 there)
_UPSERT = 512  # points of one update
_SPARE = 16  # results of a leg beyond those wanted: rows of equal scores longer than this need a second look


class EdgeStore:
    """Shards under one folder, each named after its feature version.

    Args:
        folder: where the shards lie; made when the first one is built.
        candidates: results of each leg before fusion.
    """

    def __init__(self, folder: Path, candidates: int = CANDIDATES) -> None:
        self._folder = folder
        self._candidates = candidates

    def build(
        self, version: str, chunks: Sequence[Chunk], vectors: Vectors, progress: Progress | None = None
    ) -> None:
        """Index all chunks.

        Replaces what is there. Raises ValueError where chunks and rows differ in number.
        """
        if len(chunks) != len(vectors):
            raise ValueError(f"{len(chunks)} chunks but {len(vectors)} vectors")
        self._folder.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=self._folder))
        try:
            _fill(building / SHARD, chunks, vectors, progress or Silent())
            (building / MARK).write_text(json.dumps({"points": len(chunks)}), encoding="utf-8")
            self.drop(version)
            building.rename(self._folder / version)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def has(self, version: str) -> bool:
        """Whether a complete index of this version is there."""
        return (self._folder / version / MARK).is_file() and (self._folder / version / SHARD).is_dir()

    def open(self, version: str) -> VectorIndex:
        """Open a complete index. Raises VersionNotFound, and IntegrityError where its files are damaged."""
        if not self.has(version):
            raise VersionNotFound(
                f"There is no complete index of {version} in {self._folder}",
                "Build it: llm-twin features build",
            )
        folder = self._folder / version
        try:
            points = int(json.loads((folder / MARK).read_text(encoding="utf-8"))["points"])
        except (ValueError, KeyError, TypeError):
            raise _damaged(folder, f"{MARK} is not readable") from None
        return EdgeIndex(_load(folder, points), self._candidates)

    def drop(self, version: str) -> None:
        """Delete the index of this version, if there is one; readers that hold it open keep their copy."""
        folder = self._folder / version
        if folder.exists():
            going = Path(tempfile.mkdtemp(prefix=".building-", dir=self._folder))
            folder.rename(going / version)  # out of sight in one step: a half-deleted index is never visible
            shutil.rmtree(going)


class EdgeIndex:
    """An open shard."""

    def __init__(self, shard: Any, candidates: int) -> None:
        self._shard = shard
        self._candidates = candidates

    def hybrid(self, vector: Vectors, text: str, k: int, where: Filter | None = None) -> list[Ranked]:
        """Dense and BM25 results fused by reciprocal rank; vector of shape [dim].

        Fused here and not in the engine, which orders equal scores by the shard's layout, another in each
        build: the same question must find the same passages wherever it is asked.
        """
        depth = max(k, self._candidates)
        return reciprocal_rank([self.dense(vector, depth, where), self.sparse(text, depth, where)])[:k]

    def dense(self, vector: Vectors, k: int, where: Filter | None = None) -> list[Ranked]:
        """By cosine similarity."""
        return self._search(_nearest(vector), k, where)

    def sparse(self, text: str, k: int, where: Filter | None = None) -> list[Ranked]:
        """By BM25; empty where the text holds stop words only."""
        return self._search(self._words(text), k, where)

    def close(self) -> None:
        """Release the shard's files."""
        self._shard.close()

    @cached_property
    def _bm25(self) -> Any:
        return _bm25()

    def _words(self, text: str) -> Any:
        import qdrant_edge as edge

        return edge.Query.Nearest(self._bm25.embed_query(_fold(text)), using=SPARSE)

    def _search(self, query: Any, k: int, where: Filter | None) -> list[Ranked]:
        """The best `k`, equal scores in the order of the chunks.

        The engine cuts a row of equals anywhere, so more are asked for until the row's end is seen.
        """
        import qdrant_edge as edge

        limit, condition = k + _SPARE, _condition(where)
        while True:
            request = edge.QueryRequest(limit, query=query, filter=condition, with_payload=True)
            points = self._shard.query(request)
            if len(points) < limit or min(p.score for p in points) < sorted(p.score for p in points)[-k]:
                best = sorted(points, key=lambda point: (-point.score, point.id))[:k]
                return [Ranked(point.payload["chunk_id"], point.score) for point in best]
            limit *= 4


def reciprocal_rank(legs: Sequence[Sequence[Ranked]]) -> list[Ranked]:
    """All results of the legs by the sum of 1 / (60 + rank), ranks from 1.

    Cormack, Clarke and Buettcher, Reciprocal Rank Fusion (SIGIR 2009). Equal sums stay in the order in which
    the legs gave them.
    """
    scores: dict[str, float] = {}
    for leg in legs:
        for rank, hit in enumerate(leg, start=1):
            scores[hit.chunk_id] = scores.get(hit.chunk_id, 0.0) + 1 / (RRF_K + rank)
    return [Ranked(chunk, score) for chunk, score in sorted(scores.items(), key=lambda item: -item[1])]


def _fill(folder: Path, chunks: Sequence[Chunk], vectors: Vectors, progress: Progress) -> None:
    import qdrant_edge as edge

    folder.mkdir()
    config = edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=vectors.shape[1], distance=edge.Distance.Cosine)},
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(m=_HNSW_M, ef_construct=_HNSW_EF, full_scan_threshold=_FULL_SCAN_KB),
        wal_enabled=False,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    try:
        shard.update(edge.UpdateOperation.create_field_index("post_id", edge.PayloadSchemaType.Keyword))
        texts = [_fold(chunk.indexed_text) for chunk in chunks]
        words = _bm25(_mean_length(texts))
        for first in range(0, len(chunks), _UPSERT):
            rows = range(first, min(first + _UPSERT, len(chunks)))
            shard.update(
                edge.UpdateOperation.upsert_points(
                    [
                        edge.Point(
                            row,
                            {DENSE: vectors[row].tolist(), SPARSE: words.embed_document(texts[row])},
                            {"post_id": chunks[row].post_id, "chunk_id": chunks[row].id},
                        )
                        for row in rows
                    ]
                )
            )
            progress.advance(len(rows))
        shard.optimize()
        shard.flush()  # without a write-ahead log, nothing is on disk before this returns
    finally:
        shard.close()


def _load(folder: Path, points: int) -> Any:
    import qdrant_edge as edge

    try:
        shard = edge.EdgeShard.load(str(folder / SHARD))
        held = shard.info().points_count
    except Exception as error:  # the engine raises nothing narrower, whatever is wrong with the files
        raise _damaged(folder, " ".join(str(error).split())[:160]) from error
    if held != points:
        shard.close()
        raise _damaged(folder, f"it holds {held} points of {points}")
    return shard


def _damaged(folder: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"The index {folder} is damaged ({reason})",
        "Delete that folder; it is rebuilt from the feature version",
    )


def _nearest(vector: Vectors) -> Any:
    import qdrant_edge as edge

    return edge.Query.Nearest(vector.tolist(), using=DENSE)


def _condition(where: Filter | None) -> Any:
    import qdrant_edge as edge

    if where is None or not (where.posts or where.without_posts):
        return None
    among = edge.FieldCondition("post_id", match=edge.MatchAny(sorted(where.posts)))
    outside = edge.FieldCondition("post_id", match=edge.MatchAny(sorted(where.without_posts)))
    return edge.Filter(must=[among] if where.posts else [], must_not=[outside] if where.without_posts else [])


def _bm25(mean_length: float = 1.0) -> Any:
    """The engine's own tokens: lower case, English stop words, Snowball stems.

    Queries do not use the length.
    """
    import qdrant_edge as edge

    return edge.Bm25(edge.Bm25Config(k=BM25_K1, b=BM25_B, avg_len=mean_length, language="english"))


def _mean_length(texts: Sequence[str]) -> float:
    """Mean tokens of a text as the engine counts them; at least 1.

    With b = 0 and a very large k a term's weight is its frequency, so the weights of a text sum to its
    length.
    """
    import qdrant_edge as edge

    counter = edge.Bm25(edge.Bm25Config(k=1e9, b=0.0, language="english"))
    total = math.fsum(sum(counter.embed_document(text).values) for text in texts)
    return max(1.0, total / len(texts)) if texts else 1.0


def _fold(text: str) -> str:
    """Curly apostrophes as straight ones, so that both spellings are one word."""
    return text.replace("’", "'")
