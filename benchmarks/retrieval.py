"""What a search finds: nDCG@10, recall@10 and MRR@10 of posts, leg by leg.

Two sets of queries. `links` are the words with which a real blog's author links to own posts, the linked
post being the right one; its queries are split in two by the linked post. Constants were tuned on the one
half and on `questions`, the sample author's 60 questions; the other half, `held_out`, is only reported on.
The intervals are of 95 %, by bootstrap over the right posts. The linking post holds the words too; nothing
is done about that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from blogs.texts import DATA
from machine import Measured, run

from llm_twin import sample
from llm_twin.adapters.edge import EdgeStore
from llm_twin.adapters.sentence_embedder import SentenceEmbedder
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.config import Config
from llm_twin.contracts.ports import Silent, VectorIndex
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature import build
from llm_twin.inference.about import Aboutness
from llm_twin.inference.retrieve import Retriever
from llm_twin.workspace import Workspace

LINKS = DATA / "retrieval-anchor-skeeto"
DEPTH = 10
RESAMPLES = 2000
SHIPPED = "shipped"

Ranking = Callable[[str], list[str]]  # a query's posts by id, best first


@dataclass(frozen=True)
class Query:
    """A query, the address of the post that it should find, and whether anything was tuned on that post."""

    text: str
    url: str

    @property
    def post(self) -> str:
        """The id of the right post."""
        return Post.id_of(self.url)

    @property
    def held_out(self) -> bool:
        """Whether its post is of the half that nothing was tuned on."""
        return hashlib.sha256(self.url.encode()).digest()[-1] % 2 == 1


@dataclass(frozen=True)
class Corpus:
    """Posts, and queries with the right post of each."""

    posts: list[Post]
    queries: list[Query]


def main() -> None:
    run("retrieval", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    step = 10 if options.quick else 1
    figures = {"questions": ablation(sample_author(), {"all": lambda q: True}, step)["all"]}
    if LINKS.is_dir() and not options.quick:
        halves = {"tuned_on": lambda q: not q.held_out, "held_out": lambda q: q.held_out}
        figures |= ablation(links(), halves, step)
    legs = figures.get("held_out", figures["questions"])
    best = max(legs[name]["ndcg@10"] for name in ("bm25", "dense", "rrf"))
    return Measured(figures, {}, {"ndcg over the best leg": round(legs[SHIPPED]["ndcg@10"] / best, 3)})


def ablation(
    corpus: Corpus, parts: dict[str, Callable[[Query], bool]], step: int
) -> dict[str, dict[str, dict[str, float]]]:
    """The measures of every ranking for each part of the queries."""
    with tempfile.TemporaryDirectory() as folder:
        retriever, index = build_version(corpus.posts, Path(folder))
        found = {
            name: {q: ranking(q.text) for q in corpus.queries[::step]}
            for name, ranking in rankings(retriever, index).items()
        }
    return {
        part: {
            name: measures([(q, ids) for q, ids in ranked.items() if belongs(q)])
            for name, ranked in found.items()
        }
        for part, belongs in parts.items()
    }


def rankings(retriever: Retriever, index: VectorIndex) -> dict[str, Ranking]:
    """What a query finds by each leg alone, by both, and as shipped."""
    chunks, posts = retriever.features.chunks, retriever.features.posts
    about, many = Aboutness(posts), 10 * DEPTH

    def of_posts(ids: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(chunks[i].post_id for i in ids))

    def by_words(query: str) -> list[str]:
        shares = about.shares(query, posts)
        return sorted(posts, key=lambda i: -shares[i])

    return {
        "bm25": lambda q: of_posts([r.chunk_id for r in index.sparse(q, many)]),
        "dense": lambda q: of_posts([r.chunk_id for r in index.dense(retriever.vector(q), many)]),
        "rrf": lambda q: of_posts([r.chunk_id for r in index.hybrid(retriever.vector(q), q, many)]),
        "words of whole posts": by_words,
        SHIPPED: lambda q: [hit.post_id for hit in retriever.search(q, DEPTH)],
    }


def measures(found: Sequence[tuple[Query, Sequence[str]]]) -> dict[str, float]:
    """Means over the queries; each has one right post, so that nDCG is 1 / log2(1 + its rank)."""
    ranks = [list(ids[:DEPTH]).index(q.post) + 1 if q.post in ids[:DEPTH] else None for q, ids in found]
    gains = np.array([1 / np.log2(1 + rank) if rank else 0.0 for rank in ranks])
    low, high = interval(gains, [q.post for q, _ in found])
    return {
        "queries": len(ranks),
        "ndcg@10": round(float(gains.mean()), 4),
        "ndcg@10 low": low,
        "ndcg@10 high": high,
        "recall@10": round(sum(rank is not None for rank in ranks) / len(ranks), 4),
        "mrr@10": round(sum(1 / rank for rank in ranks if rank) / len(ranks), 4),
        "among 5": sum(rank is not None and rank <= 5 for rank in ranks),
    }


def interval(gains: np.ndarray, posts: Sequence[str]) -> tuple[float, float]:
    """95 % of the mean, by drawing linked posts with replacement: queries of one post are not independent."""
    names = sorted(set(posts))
    sums = np.array([sum(g for g, p in zip(gains, posts, strict=True) if p == name) for name in names])
    counts = np.array([list(posts).count(name) for name in names])
    drawn = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def build_version(posts: Sequence[Post], folder: Path) -> tuple[Retriever, VectorIndex]:
    """The posts through the feature pipeline; none is left out for its length."""
    workspace, config = Workspace(folder), Config()
    config = config.model_copy(update={"features": config.features.model_copy(update={"min_words": 0})})
    embedder, store = SentenceEmbedder(packaged_embedder(), "all-MiniLM-L6-v2"), EdgeStore(folder / "index")
    report = build.run(posts, config, embedder, store, workspace, Silent())
    features = FeatureVersion.open(workspace.features / report.version)
    index = store.open(report.version, features.manifest.content_id)
    return Retriever(features, index, embedder, config.retrieval), index


def sample_author() -> Corpus:
    posts = [post(p.slug, p.title, p.date.isoformat(), p.markdown) for p in sample.posts()]
    return Corpus(posts, [Query(q.question, q.post) for q in sample.questions()])


def links() -> Corpus:
    rows = [json.loads(line) for line in (LINKS / "corpus.jsonl").open(encoding="utf-8")]
    posts = [post(r["_id"], r["title"], "-".join(r["_id"].split("/")[1:4]), r["text"]) for r in rows]
    texts = {r["_id"]: r["text"] for r in map(json.loads, (LINKS / "queries.jsonl").open(encoding="utf-8"))}
    pairs = [line.split("\t")[:2] for line in (LINKS / "qrels" / "test.tsv").open(encoding="utf-8")][1:]
    return Corpus(posts, [Query(texts[query], target) for query, target in pairs])


def post(url: str, title: str, date: str, markdown: str) -> Post:
    return Post(
        id=Post.id_of(url),
        url=url,
        title=title,
        published_at=date,
        markdown=markdown,
        revision=Post.revision_of(title, markdown),
    )


if __name__ == "__main__":
    main()
