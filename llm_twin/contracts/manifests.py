"""The manifests that seal a version: what went in, with which parts, and the hash of every file made.

`content_id` is a hash over all fields but the local name, the date and itself: two versions with one
content_id are the same version.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field

from llm_twin.contracts.records import Record, Split
from llm_twin.errors import IntegrityError, VersionNotFound

FEATURE_NAME = re.compile(r"F\d{4,}")
MODEL_NAME = re.compile(r"v\d+")
MANIFEST = "manifest.json"
_RESTORE = "Restore it from a copy, or delete the folder that it is in"


class PartId(Record):
    """Identity of a part that was used: a name for people, an id (hash) for machines."""

    name: str
    id: str


class PromptId(Record):
    """The rendering that the samples were made with."""

    version: str
    author: str


class Manifest(Record):
    """What both kinds of version record."""

    version: str
    content_id: str
    created_at: str
    parent: str | None
    parameters: dict[str, Any]
    prompt: PromptId
    files: dict[str, str]

    def sealed(self) -> Self:
        """This manifest with its content_id computed."""
        inputs = self.model_dump(
            exclude={"version", "content_id", "created_at", "parent"} | self._not_content
        )
        return self.model_copy(update={"content_id": digest(inputs)})

    @property
    def _not_content(self) -> set[str]:
        return set()


M = TypeVar("M", bound=Manifest)


class FeatureManifest(Manifest):
    """Seal of a feature version. `posts` maps post id to revision; `splits` names the posts of each split.

    `statistics` (see `feature.statistics`) follow from the content and are no part of its id, so that a
    figure more in a later release makes no new version.
    """

    posts: dict[str, str]
    splits: dict[Split, tuple[str, ...]]
    embedder: PartId
    counts: dict[str, int]
    statistics: dict[str, Any] = Field(default_factory=dict)

    @property
    def _not_content(self) -> set[str]:
        return {"statistics"}


class Tombstone(Record):
    """What stays of a version that was deleted, so that lineage still resolves. Its number is spent.

    `gone_at` is ISO 8601 in UTC; `reason` is for people.
    """

    version: str
    content_id: str
    created_at: str
    parent: str | None
    gone_at: str
    reason: str


class ModelManifest(Manifest):
    """Seal of a model version. `posts` were trained on; `scores` are of held-out posts, by split.

    `preferred` is how many own drafts the author's paragraphs were preferred to, after fine-tuning; not
    written where there was no such step, so that versions of before it keep their id.

    What says nothing of the content has no part in its id, and is empty in manifests of older programs:
    `scored_on` is the hash of the posts, with their revisions, that the scores of a split were measured on;
    `commit` is that of the program's checkout, if it ran from one.
    """

    base: PartId
    features: PartId
    posts: tuple[str, ...]
    tokens: int
    preferred: int = Field(0, exclude_if=lambda pairs: pairs == 0)
    seconds: float
    packages: dict[str, str]
    scores: dict[str, Any]
    scored_on: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None

    @property
    def _not_content(self) -> set[str]:
        return {"seconds", "scores", "scored_on", "commit"}


def digest(value: Any) -> str:
    """sha256 of a JSON value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def verify(folder: Path, files: dict[str, str]) -> None:
    """Check the files of a sealed folder. Raises IntegrityError naming the first bad one."""
    for name, recorded in files.items():
        path = folder / name
        if not path.is_file():
            raise IntegrityError(
                f"{path} is missing from a sealed version", "Restore it from a copy, or build a new version"
            )
        found = file_hash(path)
        if found != recorded:
            raise IntegrityError(
                f"{path} was changed after it was sealed (sha256 {found[:12]}, recorded {recorded[:12]})",
                "Restore it from a copy, or build a new version",
            )


def read_sealed(kind: type[M], folder: Path) -> M:
    """The manifest of a sealed folder, as it was sealed. Raises VersionNotFound, IntegrityError."""
    path = folder / MANIFEST
    try:
        manifest = kind.model_validate_json(_text(folder))
    except ValueError as error:  # no UTF-8 or no JSON, or of pydantic: not a manifest's
        raise IntegrityError(f"{path} cannot be read", _RESTORE) from error
    if manifest.sealed().content_id != manifest.content_id:
        raise IntegrityError(f"{path} was changed after it was sealed", _RESTORE)
    return manifest


def _text(folder: Path) -> str:
    """The manifest's JSON text. Raises VersionNotFound where the folder holds none."""
    try:
        return (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise VersionNotFound(
            f"No version at {folder}", "List what is there: llm-twin features list, models list"
        ) from None
