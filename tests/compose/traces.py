"""A small workspace full of one post, and a search of its every byte and store for that post's words."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from llm_twin import compose
from llm_twin.adapters.edge import SHARD
from llm_twin.collect.web.httpcache import HttpCache, Kept
from llm_twin.contracts.manifests import PartId
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.records import Post
from llm_twin.registry import Pair
from tests.feature.conftest import MANNERS, make_post
from tests.registry.test_registry import adapter, manifest

TARGET = 3  # of the posts, the one that is forgotten
POSTS = 9


def write_posts(folder: Path, *numbers: int) -> None:
    folder.mkdir(exist_ok=True)
    for n in numbers:
        words = [MANNERS[byte % len(MANNERS)] for byte in hashlib.sha256(b"%d" % n).digest()]
        title = f"What {words[0]} the {words[1]} müller of gate {n} {words[2]} said"
        said = f'Jürgen {words[3]} said "näh, {words[4]}" — and {words[5]} I believed gate {n} {words[6]}.'
        text = f"---\ntitle: {title}\ndate: 20{n + 10}-05-15\n---\n{make_post(n).markdown}\n\n{said}\n"
        (folder / f"{n}.md").write_text(text, encoding="utf-8")


def furnish(folder: Path) -> compose.Twinspace:
    """A workspace in `folder`/twin of the posts in `folder`/blog, the target in all that can hold it.

    F0001 lacks the last post. v1 learnt from the target and is live with F0002, v2 did not; before them the
    base was live with F0001. Chat, report, runs, pages and drafts hold it, and a file of the author's own.
    """
    blog = folder / "blog"
    write_posts(blog, *range(POSTS - 1))
    compose.init(folder / "twin")
    space = compose.open_workspace(folder / "twin")
    compose.collect(space, [str(blog)])
    compose.build_features(space)
    write_posts(blog, POSTS - 1)
    compose.collect(space, [str(blog)])
    compose.build_features(space)
    first, second = (compose.feature_version(space, name) for name in ("F0001", "F0002"))
    prompt, features = second.manifest.prompt, PartId(name="F0002", id=second.manifest.content_id)
    clean = tuple(i for i in second.posts if i != target(space).id)
    learnt = manifest(posts=tuple(second.posts), prompt=prompt, features=features)
    space.registry.register(adapter(folder / "a", "one"), learnt)
    space.registry.register(adapter(folder / "b", "two"), manifest(posts=clean, prompt=prompt))
    pairs = [None, Pair("base", "F0001"), Pair("v1", "F0001"), Pair("v1", "F0002")]
    for old, new in pairwise(pairs):
        assert new
        assert space.registry.switch(new, "a test", expected=old)
    _quote(space, first.manifest.content_id)
    return space


def target(space: compose.Twinspace) -> Post:
    with compose.open_library(space) as library:
        return next(p for p in library.posts() if f"gate {TARGET} " in p.title)


def _quote(space: compose.Twinspace, features: str) -> None:
    root, post = space.workspace.root, target(space)
    paragraph = post.markdown.split("\n\n")[-1]
    page = f"<article>{post.markdown}</article>".encode()
    with HttpCache(space.workspace.cache / "http") as cache:
        cache.put(Kept("https://lock.example/feed", None, None, "text/html", page))
    draft = {"key": "k", "paragraph": "0" * 64, "draft": paragraph}
    files = {
        "chats/quoting.md": f"> What did he say?\n\n{paragraph}\n",
        "chats/other.md": "> What did he say?\n\nNothing that I remember, and I was there.\n",
        "reports/quoting.json": json.dumps({"sample": paragraph}),
        "reports/other.json": json.dumps({"bits": 1.2}),
        "cache/drafts.jsonl": json.dumps(draft, ensure_ascii=False) + "\n",
        "runs/of-f0001/features.txt": f"{features}\n",
        "runs/of-before/checkpoint-00001/state.json": "{}",
        "answers.jsonl": json.dumps({"line": 1, "text": post.markdown}) + "\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


class Search:
    """Finds five words in a row that only one post has, in bytes: as UTF-8, escaped by JSON, as UTF-16."""

    def __init__(self, post: Post, others: str, vectors: Vectors) -> None:
        """`others` is what all other posts say; `vectors` [passages, dim] are those of the post."""
        self._vectors = vectors
        self._id = post.id
        needles: set[bytes] = set()
        for text in (post.title, post.markdown):
            found = [match.span() for match in re.finditer(r"\w+", text)]
            for (start, _), (_, end) in zip(found, found[4:], strict=False):
                run = text[start:end]
                if run in others:
                    continue
                needles |= {run.encode(), json.dumps(run)[1:-1].encode(), run.encode("utf-16-le")}
        self._needles = re.compile(b"|".join(re.escape(needle) for needle in sorted(needles)))

    def bytes(self, root: Path) -> set[str]:
        """The files in which any byte sequence of it stands."""
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)) for path in files if self._in(path.read_bytes())}

    def stores(self, root: Path) -> set[str]:
        """Where the stores give it back when they are asked, decompressed as they keep it."""
        return {*self._databases(root), *self._shards(root), *self._arrays(root)}

    def _in(self, data: bytes) -> bool:
        # Shards keep files of 32 MB that are nearly all zeros.
        return self._needles.search(re.sub(rb"\0{16,}", b"\0", data)) is not None

    def _databases(self, root: Path) -> Iterator[str]:
        for path in root.rglob("*.db"):
            with closing(sqlite3.connect(path)) as db:
                for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    for row in db.execute(f"SELECT * FROM {table}"):
                        if any(self._in(_unpacked(value)) or self._is_vector(value) for value in row):
                            yield f"{path.relative_to(root)}: {table}"

    def _shards(self, root: Path) -> Iterator[str]:
        import qdrant_edge as edge

        for folder in root.glob(f"index/*/{SHARD}"):
            shard = edge.EdgeShard.load(str(folder))
            points, _ = shard.scroll(edge.ScrollRequest(limit=10_000, with_payload=True, with_vector=True))
            held = [np.array(p.vector["dense"], np.float32) for p in points]
            payloads = any(p.payload["post_id"] == self._id for p in points)
            if payloads or any(self._is_vector(vector.tobytes()) for vector in held):
                yield str(folder.parent.relative_to(root))
            shard.close()

    def _arrays(self, root: Path) -> Iterator[str]:
        for path in root.rglob("*.safetensors"):
            try:
                arrays = load_file(path)
            except Exception:  # the weights of the test's adapters are a word
                continue
            if any(self._is_vector(row.tobytes()) for array in arrays.values() for row in array):
                yield str(path.relative_to(root))

    def _is_vector(self, value: object) -> bool:
        if not isinstance(value, bytes) or len(value) != self._vectors.shape[1] * 4:
            return False
        return bool((self._vectors @ np.frombuffer(value, np.float32)).max() > 0.999)


def _unpacked(value: object) -> bytes:
    if isinstance(value, bytes):
        try:
            return zlib.decompress(value)
        except zlib.error:
            return value
    return str(value).encode()


def search_for_target(space: compose.Twinspace) -> Search:
    """A search for all that F0002 made of the target."""
    version, post = compose.feature_version(space, "F0002"), target(space)
    others = "\n".join(f"{p.title}\n{p.markdown}" for p in version.posts.values() if p.id != post.id)
    rows = [row for row, chunk in enumerate(version.chunks.values()) if chunk.post_id == post.id]
    return Search(post, others, version.vectors[rows].copy())
