"""The receipt of the last build: what went in and what came of it, so that nothing is done again.

A build is determined by its posts, its configuration, its models and the code that runs. Where all four
are those of the last build, the newest version is what a new build would make: on 461 posts, that is seen in
half a second, while cutting, masking and rendering them again takes fourteen. The receipt lies in the cache
and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llm_twin.config import Config
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import Drafter, Embedder
from llm_twin.contracts.records import Post
from llm_twin.workspace import atomic_write

RECEIPT = "features.json"


def inputs(posts: Sequence[Post], config: Config, embedder: Embedder, drafter: Drafter | None = None) -> str:
    """Identity of everything that decides what a build makes; the order of the posts is of no weight."""
    return digest(
        {
            "posts": sorted(hashlib.sha256(p.model_dump_json().encode()).hexdigest() for p in posts),
            "config": config.model_dump(mode="json", include={"author", "features"}),
            "embedder": embedder.id,
            "drafter": drafter.id if drafter else None,
            "code": _code(),
        }
    )


def read(cache: Path, key: str, content_id: str) -> dict[str, Any] | None:
    """The report that was kept, if it is of these inputs and of the version with this content."""
    try:
        kept = json.loads((cache / RECEIPT).read_text(encoding="utf-8"))
        report = kept["report"] if (kept["inputs"], kept["content_id"]) == (key, content_id) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged: the build is done in full
    return report if isinstance(report, dict) else None


def write(cache: Path, key: str, content_id: str, report: dict[str, Any]) -> None:
    """Keep a report. Raises DiskFull, WorkspaceError."""
    atomic_write(cache / RECEIPT, json.dumps({"inputs": key, "content_id": content_id, "report": report}))


def _code() -> str:
    """This package's sources and the names and versions of all that is installed beside it."""
    package = Path(__file__).parents[1]
    sources = {str(p.relative_to(package)): p.read_bytes() for p in package.rglob("*.py")}
    installed = {p.name for folder in sys.path if folder for p in Path(folder).glob("*.dist-info")}
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in sources.items()}
    return digest([sys.version, hashes, sorted(installed)])
