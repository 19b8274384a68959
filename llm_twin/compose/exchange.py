"""Model versions compared, handed out, taken in and collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.fit import check_base
from llm_twin.compose.parts import base_model
from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import taint
from llm_twin.contracts.versions import CARD, ModelVersion
from llm_twin.workspace import atomic_write

if TYPE_CHECKING:
    from llm_twin.registry.diff import Diff
    from llm_twin.registry.gc import Collected


def diff_models(space: Twinspace, old: str, new: str) -> Diff:
    """What differs between two versions. Raises VersionNotFound."""
    from llm_twin.registry.diff import diff

    return diff(space.registry.manifest(old), space.registry.manifest(new))


def export_model(space: Twinspace, name: str, target: Path) -> ModelVersion:
    """Copy a version to a folder, or a zip, in the format of PEFT.

    Raises VersionNotFound, IntegrityError, WorkspaceError where something is at `target` already.
    """
    from llm_twin.registry import exchange

    version = space.registry.get(name)
    exchange.export(version, target)
    return version


def export_merged(space: Twinspace, name: str, target: Path) -> ModelVersion:
    """Write the base with a version's adapter merged into it to a folder, or a zip, with its tokenizer.

    Raises as `export_model`, and MismatchError where the version is for another base.
    """
    from llm_twin.adapters.merged_model import write_merged
    from llm_twin.registry import exchange
    from llm_twin.registry.card import model_card

    version = space.registry.get(name)
    exchange.refuse_existing(target)
    base = base_model(space)
    check_base(version, base)
    with exchange.delivery(target) as folder:
        write_merged(base, version.folder, folder)
        (folder / CARD).write_text(model_card(version.manifest, merged=True), encoding="utf-8")
    return version


def export_gguf(space: Twinspace, name: str, target: Path) -> ModelVersion:
    """Write the adapter as the GGUF file that llama.cpp loads beside its base.

    Raises as `export_merged`, and EngineError where llama.cpp cannot apply the adapter.
    """
    from llm_twin.adapters.gguf_adapter import convert
    from llm_twin.registry import exchange

    version = space.registry.get(name)
    exchange.refuse_existing(target)
    if version.gguf.is_file():
        atomic_write(target, version.gguf.read_bytes())
        return version
    base = base_model(space)
    check_base(version, base)
    convert(version.folder, base.folder, target)
    return version


def import_model(space: Twinspace, source: Path) -> ModelVersion:
    """Register an exported version under the next number; it becomes the candidate.

    Its scores and what it was trained on are as its manifest says. Its parent was a name of another workspace
    and is left out. Raises WorkspaceError, VersionNotFound, IntegrityError.
    """
    from llm_twin.registry import exchange

    with exchange.delivered(source) as (folder, manifest):
        model = space.registry.register(folder, manifest.model_copy(update={"parent": None}))
    taint(space)
    return model


def collect_old_models(space: Twinspace, grace_days: float | None = None, dry_run: bool = False) -> Collected:
    """Delete the versions that are not live, candidate or where a rollback leads, after their grace."""
    from llm_twin.registry import gc

    return gc.run(space.registry, gc.GRACE_DAYS if grace_days is None else grace_days, dry_run)
