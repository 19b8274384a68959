"""The sample author that ships with LLM Twin: invented posts and questions whose truth is known.

Importing this package reads nothing; every function reads the files when it is called.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

TRUTH = Path(__file__).parent / "truth"
AUTHOR = "Maud Orrick"


@dataclass(frozen=True)
class SamplePost:
    """One post as the author wrote it, before any blog engine touched it."""

    slug: str
    title: str
    date: date
    tags: tuple[str, ...]
    markdown: str

    @property
    def path(self) -> str:
        """The path of the post on the rendered site."""
        return f"/{self.date:%Y/%m}/{self.slug}/"


@dataclass(frozen=True)
class Question:
    """A question that one post answers, with the exact words of that post that answer it."""

    id: str
    question: str
    post: str
    answer_span: str


@dataclass(frozen=True)
class Unanswerable:
    """A question that sounds like the blog's business but that no post answers."""

    id: str
    question: str


def front_matter(text: str) -> tuple[dict[str, Any], str]:
    """Split a Markdown file into its YAML front matter and its body."""
    opening, header, body = text.split("---\n", 2)
    if opening.strip():
        raise ValueError("the file does not open with front matter")
    return yaml.safe_load(header), body.strip() + "\n"


def posts() -> list[SamplePost]:
    """Read the posts, oldest first."""
    found = [_post(path) for path in sorted((TRUTH / "posts").glob("*.md"))]
    return sorted(found, key=lambda post: (post.date, post.slug))


def questions() -> list[Question]:
    """Read the questions that the posts answer."""
    return [Question(**row) for row in _rows(TRUTH / "questions.jsonl")]


def unanswerable() -> list[Unanswerable]:
    """Read the questions that no post answers."""
    return [Unanswerable(**row) for row in _rows(TRUTH / "unanswerable.jsonl")]


def _post(path: Path) -> SamplePost:
    """Read one post; its slug is the file name without the date in front."""
    meta, body = front_matter(path.read_text(encoding="utf-8"))
    return SamplePost(
        slug=path.stem[len("YYYY-MM-DD-") :],
        title=str(meta["title"]),
        date=meta["date"],
        tags=tuple(str(tag) for tag in meta["tags"]),
        markdown=body,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    """Read a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
