"""The stored versions as their readers see them: a sealed folder, verified when it is opened.

features/F0001/                      models/<content id>/
  manifest.json                        manifest.json
  posts.jsonl                          adapter_model.safetensors, adapter_config.json   (PEFT format)
  chunks.jsonl                         adapter.gguf                                     (llama.cpp)
  embeddings.safetensors               README.md                                        (model card)
  samples.jsonl
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from llm_twin.contracts.manifests import MANIFEST, FeatureManifest, ModelManifest, read_sealed, verify
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.records import Chunk, Post, Record, Sample, Split

R = TypeVar("R", bound=Record)

POSTS, CHUNKS, SAMPLES, EMBEDDINGS = "posts.jsonl", "chunks.jsonl", "samples.jsonl", "embeddings.safetensors"
ADAPTER, ADAPTER_CONFIG, ADAPTER_GGUF, CARD = (
    "adapter_model.safetensors",
    "adapter_config.json",
    "adapter.gguf",
    "README.md",
)
BASE = "base"  # the model name that means: no adapter


def write_lines(path: Path, records: Sequence[Record]) -> None:
    """One JSON object a line, UTF-8, in the given order."""
    path.write_text("".join(r.model_dump_json() + "\n" for r in records), encoding="utf-8")


def read_lines(kind: type[R], path: Path) -> list[R]:
    """The records of a JSON-lines file."""
    with path.open(encoding="utf-8") as lines:
        return [kind.model_validate_json(line) for line in lines]


@dataclass(frozen=True)
class FeatureVersion:
    """A sealed feature version, read lazily. Order of `chunks` and rows of `vectors` agree.

    `hold` is what keeps its files from being collected; it is kept for as long as this object lives.
    """

    folder: Path
    manifest: FeatureManifest
    hold: object = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path, hold: object = None) -> FeatureVersion:
        """Open and verify. Raises VersionNotFound, IntegrityError."""
        manifest = read_sealed(FeatureManifest, folder)
        verify(folder, manifest.files)
        return cls(folder, manifest, hold)

    @property
    def name(self) -> str:
        """The local name, "F0001"."""
        return self.manifest.version

    @cached_property
    def posts(self) -> dict[str, Post]:
        """All posts by id, oldest first."""
        return {p.id: p for p in read_lines(Post, self.folder / POSTS)}

    @cached_property
    def chunks(self) -> dict[str, Chunk]:
        """All chunks by id, in the order of the rows of `vectors`."""
        return {c.id: c for c in read_lines(Chunk, self.folder / CHUNKS)}

    @cached_property
    def samples(self) -> list[Sample]:
        """All training samples."""
        return read_lines(Sample, self.folder / SAMPLES)

    @cached_property
    def vectors(self) -> Vectors:
        """Unit vectors of the chunks, shape [chunks, dim], float32."""
        from safetensors.numpy import load_file

        vectors: Vectors = load_file(self.folder / EMBEDDINGS)["embeddings"]
        return vectors

    @cached_property
    def post_rows(self) -> dict[str, list[int]]:
        """The rows of `vectors` that are of each post, by post id."""
        rows: dict[str, list[int]] = {}
        for row, chunk in enumerate(self.chunks.values()):
            rows.setdefault(chunk.post_id, []).append(row)
        return rows

    @cached_property
    def post_vectors(self) -> dict[str, Vectors]:
        """The unit mean of each post's vectors, shape [dim], by post id."""
        means = {post: self.vectors[rows].mean(axis=0) for post, rows in self.post_rows.items()}
        return {post: mean / max(float((mean @ mean) ** 0.5), 1e-9) for post, mean in means.items()}

    def split(self, name: Split) -> list[Post]:
        """The posts of one split, oldest first."""
        return [self.posts[i] for i in self.manifest.splits[name]]


@dataclass(frozen=True)
class ModelVersion:
    """A sealed model version: a LoRA adapter for a base, in PEFT format and as GGUF."""

    folder: Path
    manifest: ModelManifest

    @property
    def name(self) -> str:
        """The local name, "v3"."""
        return self.manifest.version

    @property
    def files(self) -> list[Path]:
        """What belongs to it: its manifest, and what that names. A file manager may have left more."""
        return [self.folder / name for name in sorted((MANIFEST, *self.manifest.files))]

    @property
    def gguf(self) -> Path:
        """The adapter as llama.cpp loads it."""
        return self.folder / ADAPTER_GGUF
