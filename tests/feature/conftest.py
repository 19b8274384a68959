"""Posts and ports for the feature room's tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from llm_twin.contracts.ports import Progress, Ranked, Silent, Vectors
from llm_twin.contracts.records import Chunk, Post
from llm_twin.errors import VersionNotFound


class HashEmbedder:
    """A port's double: a text's vector is drawn from its hash, a token is a word or a mark."""

    name = "hash"
    id = "hash-1"
    dim = 16
    max_tokens = 120

    def __init__(self) -> None:
        self.seen: list[str] = []

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        rows = [np.frombuffer(hashlib.sha512(text.encode()).digest(), np.uint8)[: self.dim] for text in texts]
        found = np.array(rows, np.float32).reshape(len(texts), self.dim) - 127.5
        self.seen += texts
        (progress or Silent()).advance(len(texts))
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)

    def count_tokens(self, text: str) -> int:
        return len(re.findall(r"\w+|[^\w\s]", text))


class MemoryStore:
    """A port's double: remembers which chunks were indexed under which version."""

    def __init__(self) -> None:
        self.built: dict[str, list[str]] = {}
        self.contents: dict[str, str] = {}
        self.builds = 0

    def build(
        self,
        version: str,
        content_id: str,
        chunks: Sequence[Chunk],
        vectors: Vectors,
        posts: Mapping[str, Post],
        progress: Progress | None = None,
    ) -> None:
        assert len(chunks) == len(vectors)
        assert {chunk.post_id for chunk in chunks} <= set(posts)
        self.built[version] = [chunk.id for chunk in chunks]
        self.contents[version] = content_id
        self.builds += 1

    def has(self, version: str, content_id: str) -> bool:
        return self.contents.get(version) == content_id

    def open(self, version: str, content_id: str) -> MemoryStore:
        if not self.has(version, content_id):
            raise VersionNotFound(f"no index {version}")
        return self

    def drop(self, version: str) -> None:
        self.built.pop(version, None)
        self.contents.pop(version, None)

    def versions(self) -> list[str]:
        return sorted(self.built)

    def hybrid(self, vector: Vectors, text: str, k: int, where: object = None) -> list[Ranked]:
        return []

    dense = sparse = hybrid

    def close(self) -> None:
        return None


_MANNERS = """slowly quietly gladly soon twice again early late gently firmly plainly surely rarely often
barely nearly fairly kindly calmly briskly drily coldly warmly meekly boldly sadly wisely neatly idly duly
oddly partly mainly mostly merely simply truly wholly fully daily weekly yearly lightly heavily softly loudly
deeply freely openly badly nicely keenly vainly grimly wryly gravely promptly readily steadily bravely
"""
MANNERS = _MANNERS.split()


def make_post(
    number: int,
    markdown: str | None = None,
    title: str | None = None,
    date: str | None = "",
    kind: str = "post",
) -> Post:
    """A post whose text depends on its number alone, and of which no five words in a row stand in another."""
    title = f"Lock number {number}" if title is None else title
    if markdown is None:
        paragraphs = []
        for part in range(4):
            digest = hashlib.sha256(f"{number}:{part}".encode())
            w = [MANNERS[byte % len(MANNERS)] for byte in digest.digest()]
            paragraphs.append(
                f"I didn't {w[0]} open gate {digest.hexdigest()[:6]} before breakfast {w[1]} on {part + 3} "
                f"May, because {w[2]} Captain Yarrow {w[3]} had {number + 2} boxes of {w[4]} walnuts aboard "
                f"the {w[5]} barge; she wouldn't {w[6]} wait, and the {w[7]} paddles were stiff {w[8]} with "
                f"frost {w[9]} -- so we drank tea {w[10]} in the hut {w[11]} until the river fell to {w[12]} "
                f"{part}.{number} m and {w[13]} the geese had gone."
            )
        markdown = f"{paragraphs[0]}\n\n{paragraphs[1]}\n\n## The gate\n\n{paragraphs[2]}\n\n{paragraphs[3]}"
    url = f"https://lock.example/{number}/"
    return Post(
        id=Post.id_of(url),
        url=url,
        title=title,
        published_at=f"20{10 + number // 12:02d}-{number % 12 + 1:02d}-15" if date == "" else date,
        markdown=markdown,
        revision=Post.revision_of(title, markdown),
        kind=kind,
    )


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def post() -> Callable[..., Post]:
    return make_post


@pytest.fixture(scope="session")
def author(root: Path) -> list[Post]:
    """The posts of the sample author, as they were written."""
    found = []
    for path in sorted((root / "llm_twin/sample/truth/posts").glob("*.md")):
        _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
        title = re.search(r"^title: (.*)$", head, re.MULTILINE)
        date = re.search(r"^date: (.*)$", head, re.MULTILINE)
        assert title
        assert date
        number = len(found)
        found.append(make_post(number, body, title[1].strip("\"' "), date[1].strip()))
    assert len(found) >= 20
    return found
