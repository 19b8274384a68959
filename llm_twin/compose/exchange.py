"""Model versions compared, handed out, taken in and collected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.fit import check_base
from llm_twin.compose.parts import base_model
from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import refuse_tainted, taint, why_tainted
from llm_twin.contracts.versions import CARD, ModelVersion
from llm_twin.workspace import atomic_write

if TYPE_CHECKING:
    from llm_twin.registry.diff import Diff
    from llm_twin.registry.gc import Collected


def diff_models(space: Twinspace, old: str, new: str) -> Diff:
    """What differs between two versions. Raises VersionNotFound."""
    from llm_twin.registry.diff import diff

    return diff(space.registry.manifest(old), space.registry.manifest(new))


def export_model(space: Twinspace, name: str, target: Path, allow_tainted: bool = False) -> ModelVersion:
    """Copy a version to a folder, or a zip, in the format of PEFT.

    Raises VersionNotFound, IntegrityError, WorkspaceError where something is at `target` already, and Tainted
    where it learnt from a post that was forgotten since, unless that is allowed: then its card says so.
    """
    from llm_twin.registry import exchange

    version, note = _outgoing(space, name, allow_tainted)
    exchange.export(version, target, note)
    return version


def export_merged(space: Twinspace, name: str, target: Path, allow_tainted: bool = False) -> ModelVersion:
    """Write the base with a version's adapter merged into it to a folder, or a zip, with its tokenizer.

    Raises as `export_model`, and MismatchError where the version is for another base.
    """
    from llm_twin.adapters.merged_model import write_merged
    from llm_twin.registry import exchange
    from llm_twin.registry.card import model_card

    version, note = _outgoing(space, name, allow_tainted)
    exchange.refuse_existing(target)
    base = base_model(space)
    check_base(version, base)
    card = model_card(version.manifest, merged=True)
    with exchange.delivery(target) as folder:
        write_merged(base, version.folder, folder)
        (folder / CARD).write_text(f"{card}\n{note}\n" if note else card, encoding="utf-8")
    return version


def export_gguf(space: Twinspace, name: str, target: Path, allow_tainted: bool = False) -> ModelVersion:
    """Write the adapter as the GGUF file that llama.cpp loads beside its base.

    Raises as `export_merged`, and EngineError where llama.cpp cannot apply the adapter. It has no card.
    """
    from llm_twin.adapters.gguf_adapter import convert
    from llm_twin.registry import exchange

    version, _ = _outgoing(space, name, allow_tainted)
    exchange.refuse_existing(target)
    if version.gguf.is_file():
        atomic_write(target, version.gguf.read_bytes())
        return version
    base = base_model(space)
    check_base(version, base)
    convert(version.folder, base.folder, target)
    return version


def _outgoing(space: Twinspace, name: str, allow_tainted: bool) -> tuple[ModelVersion, str]:
    """A version that may leave, and what its card must say there: elsewhere nothing else tells its taint."""
    version = space.registry.get(name)
    if not allow_tainted:
        refuse_tainted(space, version.name, "exported", ["copy this one all the same: --allow-tainted"])
    posts = space.registry.tainted().get(version.name)
    return version, f"Tainted: it {why_tainted(posts)}." if posts else ""


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
