"""Vector store on a Qdrant server or cluster: one collection for each feature version and content.

A collection's name holds a digest of what it was made of, so that neither what another version of the same
name left nor another workspace's version is ever taken for it. It is complete when its metadata say so, which
are written last, after its points were counted. Points are numbered by their chunk, so that a batch sent
twice, or a build begun anew, changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from llm_twin.adapters.bm25 import Words
from llm_twin.adapters.payload import CHUNK, KEYWORDS, LAYOUT, PUBLISHED, Conditions, conditions, payload
from llm_twin.adapters.qdrant_calls import Calls
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
from llm_twin.errors import IntegrityError, StoreError, VersionNotFound

MARK = "llm_twin"  # key of the collection's metadata
LATEST = "latest"
_UPSERT = 256  # points of one request: about 1 MB of vectors of 384 dimensions in JSON


class QdrantServerStore:
    """Collections of one server whose names begin with a prefix.

    Args:
        calls: the client, as `qdrant_calls.connect` gives it.
        prefix: of the collections and the alias; another for each workspace.
        candidates: results of each leg before fusion.
        quantise_above: points from which on vectors are searched as int8; None never.
    """

    def __init__(
        self, calls: Calls, prefix: str, candidates: int = CANDIDATES, quantise_above: int | None = None
    ) -> None:
        self._calls = calls
        self._prefix = prefix
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
        """Index all chunks; `posts` by id holds those that they are of. Goes on where a build was cut off.

        Replaces what is there of another content, once the new collection is complete.
        The alias "<prefix>-latest" is moved to the collection at the end, unless it names a newer version.
        Raises ValueError where chunks and rows differ in number, StoreError.
        """
        if len(chunks) != len(vectors):
            raise ValueError(f"{len(chunks)} chunks but {len(vectors)} vectors")
        name = self._collection(version, content_id)
        if not self._calls("collection_exists", name):
            quantise = self._quantise_above is not None and len(chunks) > self._quantise_above
            self._create(name, vectors.shape[1], quantise)
        self._fill(name, chunks, vectors, posts, progress or Silent())
        held = self._count(name)
        if held != len(chunks):
            raise StoreError(
                f"{name} on {self._calls.url} holds {held} points, but {len(chunks)} were sent",
                "See the server's log, then run the same command again",
            )
        mark = {"points": len(chunks), "content_id": content_id}
        self._calls("update_collection", name, metadata={MARK: mark})
        if not self.has(version, content_id):
            raise StoreError(
                f"{self._calls.url} keeps no metadata of a collection",
                "Update the Qdrant server (1.16 or later)",
            )
        self._move_alias(name)
        for other in set(self._collections(version)) - {name}:
            self._calls("delete_collection", other)

    def has(self, version: str, content_id: str) -> bool:
        """Whether a complete collection of this version with this content is there."""
        return self._points(version, content_id) is not None

    def open(self, version: str, content_id: str) -> VectorIndex:
        """Open a complete collection. Raises VersionNotFound, IntegrityError, StoreError."""
        name, points = self._collection(version, content_id), self._points(version, content_id)
        if points is None:
            raise VersionNotFound(
                f"There is no complete index of {version} on {self._calls.url} ({name})",
                "Build it: llm-twin features build",
            )
        held = self._count(name)
        if held != points:
            raise IntegrityError(
                f"The collection {name} on {self._calls.url} is damaged (it holds {held} points of {points})",
                "Delete that collection; it is rebuilt from the feature version",
            )
        return HybridIndex(_Collection(self._calls, name), self._candidates)

    def drop(self, version: str) -> None:
        """Delete all collections of this version, whatever their content, and with them their alias."""
        for name in self._collections(version):
            self._calls("delete_collection", name)

    def versions(self) -> list[str]:
        """The versions that have a collection of this prefix."""
        return sorted({name.split("-")[-2] for name in self._named(FEATURE_NAME.pattern)})

    def _collections(self, version: str) -> list[str]:
        return self._named(re.escape(version))

    def _named(self, version: str) -> list[str]:
        """The collections of the versions whose name fits a pattern."""
        mine = re.compile(f"{re.escape(self._prefix)}-{version}-[0-9a-f]{{12}}")
        listed = self._calls("get_collections").collections
        return [found.name for found in listed if mine.fullmatch(found.name)]

    def _collection(self, version: str, content_id: str) -> str:
        digest = hashlib.sha256(f"{LAYOUT}:{content_id}".encode()).hexdigest()[:12]
        return f"{self._prefix}-{version}-{digest}"

    def _points(self, version: str, content_id: str) -> int | None:
        """How many points a complete collection of this content must hold; None where there is none."""
        name = self._collection(version, content_id)
        if not self._calls("collection_exists", name):
            return None
        mark = (self._calls("get_collection", name).config.metadata or {}).get(MARK, {})
        return int(mark["points"]) if mark.get("content_id") == content_id else None

    def _count(self, name: str) -> int:
        return int(self._calls("count", name, exact=True).count)

    def _create(self, name: str, dim: int, quantise: bool) -> None:
        from qdrant_client import models

        dense = models.VectorParams(size=dim, distance=models.Distance.COSINE, on_disk=quantise)
        int8 = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        graph = models.HnswConfigDiff(m=HNSW_M, ef_construct=HNSW_BUILD, full_scan_threshold=FULL_SCAN_KB)
        try:
            self._calls(
                "create_collection",
                name,
                vectors_config={DENSE: dense},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                hnsw_config=graph,
                quantization_config=models.ScalarQuantization(scalar=int8) if quantise else None,
            )
        except StoreError:
            # Made meanwhile by another process, or by a try whose answer was lost.
            if not self._calls("collection_exists", name):
                raise

    def _fill(
        self,
        name: str,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        posts: Mapping[str, Post],
        progress: Progress,
    ) -> None:
        from qdrant_client import models

        keyword = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
        day = models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER, lookup=False, range=True)
        for field, schema in [*((field, keyword) for field in KEYWORDS), (PUBLISHED, day)]:
            self._calls("create_payload_index", name, field, schema, wait=True)
        texts = [chunk.indexed_text for chunk in chunks]
        words = Words(texts)
        for first in range(0, len(chunks), _UPSERT):
            last = min(first + _UPSERT, len(chunks))
            points = [
                models.PointStruct(
                    id=row,
                    vector={DENSE: vector, SPARSE: _terms(words.document(texts[row]))},
                    payload=payload(chunks[row], posts[chunks[row].post_id]),
                )
                for row, vector in enumerate(vectors[first:last].tolist(), start=first)
            ]
            self._calls("upsert", name, points, wait=True)
            progress.advance(last - first)

    def _move_alias(self, name: str) -> None:
        """Point the alias for outside tools at this collection, in one step."""
        from qdrant_client import models

        alias = f"{self._prefix}-{LATEST}"
        for found in self._calls("get_aliases").aliases:
            if found.alias_name == alias and _newer(found.collection_name, name):
                return
        switch = [
            models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)),  # if it is there
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=name, alias_name=alias)
            ),
        ]
        self._calls("update_collection_aliases", switch)


class _Collection:
    """An open collection as an engine of `ranking`."""

    def __init__(self, calls: Calls, name: str) -> None:
        self._calls: Calls | None = calls
        self._name = name

    def ask(self, queries: Sequence[Any], limit: int, where: Filter | None) -> list[list[Found]]:
        """All in one request. Raises StoreError."""
        assert self._calls is not None, "the index is closed"
        wanted = conditions(where)
        condition, exact = _condition(wanted), wanted is not None and wanted.exact
        requests = [_request(query, limit, condition, exact) for query in queries]
        answers = self._calls("query_batch_points", self._name, requests)
        return [[Found(p.score, p.id, p.payload[CHUNK]) for p in answer.points] for answer in answers]

    def close(self) -> None:
        """Let go of the client, which closes its connections when nobody holds it any more."""
        self._calls = None


def _newer(collection: str, than: str) -> bool:
    """Whether a collection is of a newer version than another; both are named `<prefix>-F0012-<digest>`."""
    one, other = (name.split("-")[-2] for name in (collection, than))
    return (len(one), one) > (len(other), other)


def _terms(words: Any) -> Any:
    from qdrant_client import models

    return models.SparseVector(indices=words.indices, values=words.values)


def _request(query: Any, limit: int, condition: Any, exact: bool) -> Any:
    from qdrant_client import models

    if hasattr(query, "indices"):
        return models.QueryRequest(
            query=_terms(query), using=SPARSE, limit=limit, filter=condition, with_payload=[CHUNK]
        )
    params = models.SearchParams(
        hnsw_ef=HNSW_FILTERED if condition else None,
        exact=exact,
        quantization=models.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING),
    )
    return models.QueryRequest(
        query=query.tolist(),
        using=DENSE,
        limit=limit,
        filter=condition,
        with_payload=[CHUNK],
        params=params,
    )


def _condition(wanted: Conditions | None) -> Any:
    from qdrant_client import models

    if wanted is None:
        return None
    must, never = _any(wanted.among), _any(wanted.outside)
    if wanted.dated:
        bounds = models.Range(gte=wanted.first, lte=wanted.last)
        must.append(models.FieldCondition(key=PUBLISHED, range=bounds))
    return models.Filter(must=must, must_not=never)


def _any(fields: dict[str, list[str]]) -> list[Any]:
    from qdrant_client import models

    return [
        models.FieldCondition(key=name, match=models.MatchAny(any=values)) for name, values in fields.items()
    ]
