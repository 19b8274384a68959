"""Vector store in process: one Qdrant Edge shard for each feature version.

A shard is derived from a sealed version and never sealed itself: opening and querying one rewrites small
files in it. It is made without a write-ahead log, so that several processes may open it at once, is built
under a temporary name and renamed when it is flushed, and carries a small file beside it that says what it
was made of and how many points it must hold.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from llm_twin.adapters.bm25 import Words
from llm_twin.adapters.payload import CHUNK, KEYWORDS, LAYOUT, PUBLISHED, Conditions, conditions, of_post
from llm_twin.adapters.ranking import (
    CANDIDATES,
    DENSE,
    FULL_SCAN_KB,
    HNSW_BUILD,
    HNSW_FILTERED,
    HNSW_M,
    OVERSAMPLING,
    SPARSE,
    Found,
    HybridIndex,
)
from llm_twin.contracts.manifests import FEATURE_NAME
from llm_twin.contracts.ports import Filter, Progress, Silent, VectorIndex, Vectors
from llm_twin.contracts.records import Chunk, Post
from llm_twin.errors import DiskFull, IntegrityError, StoreError, VersionNotFound

MARK = "complete.json"
SHARD = "shard"
_UPSERT = 512  # points of one update
# The graph, the vectors in both precisions, and the payload, whose chunk ids all answers read. Of more bytes
# than this, what is largest is left to be read as it is needed: 400 MB take 0.1 s from the system's cache.
_SEARCHED = ("vector_index-dense", "vector_storage-dense", "payload_storage")
_READ_AHEAD = 400_000_000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class EdgeStore:
    """Shards under one folder, each named after its feature version.

    Args:
        folder: where the shards lie; made when the first one is built.
        candidates: results of each leg before fusion.
        quantise_above: points from which on vectors are searched as int8; None never.
    """

    def __init__(self, folder: Path, candidates: int = CANDIDATES, quantise_above: int | None = None) -> None:
        self._folder = folder
        self._candidates = candidates
        self._quantise_above = quantise_above

    def build(
        self,
        version: str,
        content_id: str,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        posts: Mapping[str, Post],
        progress: Progress | None = None,
    ) -> None:
        """Index all chunks; `posts` by id holds those that they are of.

        Replaces what is there. Raises ValueError where chunks and rows differ in number, DiskFull, and
        StoreError where the engine cannot write.
        """
        if len(chunks) != len(vectors):
            raise ValueError(f"{len(chunks)} chunks but {len(vectors)} vectors")
        self._folder.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=self._folder))
        try:
            quantise = self._quantise_above is not None and len(chunks) > self._quantise_above
            with _writing(self._folder):
                shard = _create(building / SHARD, vectors.shape[1], quantise)
                try:
                    _fill(shard, chunks, vectors, posts, progress or Silent())
                finally:
                    shard.close()
            mark = {"points": len(chunks), "content_id": content_id, "layout": LAYOUT}
            (building / MARK).write_text(json.dumps(mark), encoding="utf-8")
            self.drop(version)
            building.rename(self._folder / version)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise

    def has(self, version: str, content_id: str) -> bool:
        """Whether a complete index of this version with this content is there."""
        return self._points(version, content_id) is not None

    def open(self, version: str, content_id: str) -> VectorIndex:
        """Open a complete index. Raises VersionNotFound, and IntegrityError where its files are damaged."""
        points = self._points(version, content_id)
        if points is None:
            raise VersionNotFound(
                f"There is no complete index of {version} in {self._folder}",
                "Build it: llm-twin features build",
            )
        return HybridIndex(_Shard(_load(self._folder / version, points)), self._candidates)

    def drop(self, version: str) -> None:
        """Delete the index of this version, if there is one; readers that hold it open keep their copy."""
        folder = self._folder / version
        if folder.exists():
            going = Path(tempfile.mkdtemp(prefix=".building-", dir=self._folder))
            folder.rename(going / version)  # out of sight in one step: a half-deleted index is never visible
            shutil.rmtree(going)

    def versions(self) -> list[str]:
        """The versions that have a folder here."""
        return sorted(f.name for f in self._folder.glob("F*") if FEATURE_NAME.fullmatch(f.name))

    def _points(self, version: str, content_id: str) -> int | None:
        """How many points a complete index of this content must hold; None where there is none."""
        folder = self._folder / version
        try:
            mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
            fits = (mark["content_id"], mark["layout"]) == (content_id, LAYOUT)
            return int(mark["points"]) if fits and (folder / SHARD).is_dir() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


class _Shard:
    """An open shard as an engine of `ranking`."""

    def __init__(self, shard: Any) -> None:
        self._shard = shard

    def ask(self, queries: Sequence[Any], limit: int, where: Filter | None) -> list[list[Found]]:
        """Planned as one batch: cheaper than one by one."""
        import qdrant_edge as edge

        wanted = conditions(where)
        condition, exact = _condition(wanted), wanted is not None and wanted.exact
        requests = [_request(query, limit, condition, exact) for query in queries]
        answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [[Found(p.score, p.id, p.payload[CHUNK]) for p in points] for points in answers]

    def close(self) -> None:
        """Release the shard's files."""
        self._shard.close()


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the engine raises into errors for people: a plain Exception, with the reason in its text."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception:
            raise
        reason = " ".join(str(error).split())
        code = re.search(r"\(os error (\d+)\)", reason)
        what = f"The index in {folder} cannot be written ({reason[-200:]})"
        if code and int(code[1]) in _FULL:
            raise DiskFull(what, "Free some space and run the same command again") from error
        raise StoreError(what, "Check that folder, then run the same command again") from error


def _create(folder: Path, dim: int, quantise: bool) -> Any:
    """An empty shard.

    Vectors are mapped from disk, so that processes share one copy. Float32 ones are read ahead ("cached"),
    lest the first questions wait for them. Int8 ones are a quarter of that; kept in the memory of the process
    ("pinned") they made an opening of 100,000 take 1.2 s instead of 0.03. The indexes of the payload are
    pinned: 9 MB there, for which filters take a third less time. They come first, so that the graph gets
    links among the points of each value. They double the time of its construction; without them, filters that
    let 10 to 15 % of the points pass found 0 to 70 % of the nearest.
    """
    import qdrant_edge as edge

    folder.mkdir()
    int8 = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=0.99, memory=edge.Memory.Cold)
    dense = edge.EdgeVectorParams(
        size=dim,
        distance=edge.Distance.Cosine,
        quantization_config=int8 if quantise else None,
        memory=edge.Memory.Cold if quantise else edge.Memory.Cached,
    )
    words = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf, memory=edge.Memory.Cached)
    config = edge.EdgeConfig(
        vectors={DENSE: dense},
        sparse_vectors={SPARSE: words},
        hnsw_config=edge.HnswIndexConfig(m=HNSW_M, ef_construct=HNSW_BUILD, full_scan_threshold=FULL_SCAN_KB),
        wal_enabled=False,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    keyword = edge.KeywordIndexParams(memory=edge.Memory.Pinned)
    day = edge.IntegerIndexParams(lookup=False, range=True, memory=edge.Memory.Pinned)
    for field in KEYWORDS:
        shard.update(edge.UpdateOperation.create_field_index(field, keyword))
    shard.update(edge.UpdateOperation.create_field_index(PUBLISHED, day))
    return shard


def _fill(
    shard: Any, chunks: Sequence[Chunk], vectors: Vectors, posts: Mapping[str, Post], progress: Progress
) -> None:
    import qdrant_edge as edge

    texts = [chunk.indexed_text for chunk in chunks]
    words = Words(texts)
    for first in range(0, len(chunks), _UPSERT):
        rows = range(first, min(first + _UPSERT, len(chunks)))
        points = [
            edge.Point(row, {DENSE: vector, SPARSE: words.document(texts[row])}, {CHUNK: chunks[row].id})
            for row, vector in zip(rows, vectors[rows.start : rows.stop].tolist(), strict=True)
        ]
        shard.update(edge.UpdateOperation.upsert_points(points))
        # What a post's chunks share is handed over once: with each point it took a sixth of the time.
        for post_id, of_one in groupby(rows, key=lambda row: chunks[row].post_id):
            shard.update(edge.UpdateOperation.set_payload(list(of_one), of_post(posts[post_id])))
        progress.advance(len(rows))
    progress.start("graph")
    shard.optimize()
    shard.flush()  # without a write-ahead log, nothing is on disk before this returns


def _load(folder: Path, points: int) -> Any:
    import qdrant_edge as edge

    try:
        _read_ahead(folder)
        shard = edge.EdgeShard.load(str(folder / SHARD))
        held = shard.info().points_count
    except Exception as error:  # the engine raises nothing narrower, whatever is wrong with the files
        raise _damaged(folder, " ".join(str(error).split())[:160]) from error
    if held != points:
        shard.close()
        raise _damaged(folder, f"it holds {held} points of {points}")
    return shard


def _read_ahead(folder: Path) -> None:
    """Bring the files that a search jumps about in into the system's cache, the small ones first.

    Read only as they are needed, page by page, they made the slowest of the first 500 questions about
    100,000 chunks take 31 ms; read ahead, 6.
    """
    files = [f for part in _SEARCHED for place in folder.rglob(part) for f in place.rglob("*") if f.is_file()]
    left = _READ_AHEAD
    for file in sorted(files, key=lambda file: file.stat().st_size):
        left -= file.stat().st_size
        if left < 0:
            break
        with file.open("rb") as data:
            while data.read(1 << 20):
                pass


def _damaged(folder: Path, reason: str) -> IntegrityError:
    return IntegrityError(
        f"The index {folder} is damaged ({reason})",
        "Delete that folder; it is rebuilt from the feature version",
    )


def _request(query: Any, limit: int, condition: Any, exact: bool) -> Any:
    import qdrant_edge as edge

    if isinstance(query, edge.SparseVector):
        nearest, params = edge.Query.Nearest(query, using=SPARSE), None
    else:
        nearest = edge.Query.Nearest(query.tolist(), using=DENSE)
        params = edge.SearchParams(
            hnsw_ef=HNSW_FILTERED if condition else None,
            exact=exact,
            quantization=edge.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING),
        )
    return edge.QueryRequest(limit, query=nearest, filter=condition, with_payload=[CHUNK], params=params)


def _condition(wanted: Conditions | None) -> Any:
    import qdrant_edge as edge

    if wanted is None:
        return None
    must, never = _any(wanted.among), _any(wanted.outside)
    if wanted.dated:
        must.append(edge.FieldCondition(PUBLISHED, range=edge.RangeFloat(gte=wanted.first, lte=wanted.last)))
    return edge.Filter(must=must, must_not=never)


def _any(fields: dict[str, list[str]]) -> list[Any]:
    import qdrant_edge as edge

    return [edge.FieldCondition(name, match=edge.MatchAny(values)) for name, values in fields.items()]
