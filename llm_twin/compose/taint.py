"""Model versions that learnt from posts which were forgotten since: found, marked, and kept from serving."""

from __future__ import annotations

from collections.abc import Collection

from llm_twin.compose.features import list_features, open_library
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.versions import BASE
from llm_twin.errors import Tainted


def learnt_from(space: Twinspace, posts: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The versions that were trained on any of these posts, each with the ids of those, in order.

    Passages of other training posts stand in prompts, so a post counts too that gave no sample of its own.
    """
    if not posts:
        return {}
    shown = {m.content_id: m.splits["train"] for m in list_features(space)}
    found = {}
    for name, manifest in space.registry.manifests().items():
        seen = {*manifest.posts, *shown.get(manifest.features.id, ())} & set(posts)
        if seen:
            found[name] = tuple(sorted(seen))
    return found


def taint(space: Twinspace) -> dict[str, tuple[str, ...]]:
    """Mark the versions that learnt from posts which the library has forgotten; those that did."""
    if not space.workspace.library.is_file():
        return {}
    with open_library(space) as library:
        found = learnt_from(space, library.forgotten())
    marked = space.registry.tainted()
    for name, posts in found.items():
        if set(posts) - set(marked.get(name, ())):
            space.registry.taint(name, posts)
    return found


def refuse_tainted(space: Twinspace, model: str) -> None:
    """Raises Tainted, naming the ways out, where the version learnt from a post that was forgotten since."""
    posts = () if model == BASE else space.registry.tainted().get(model, ())
    if posts:
        raise Tainted(
            f"{model} {why_tainted(posts)}",
            "Train a clean one: llm-twin train; or go back: llm-twin models rollback; or use --model base; "
            "or this one all the same: --allow-tainted",
        )


def why_tainted(posts: Collection[str]) -> str:
    """What is wrong with a version that learnt from these posts, to follow its name."""
    which = f"post {min(posts)}, which was" if len(posts) == 1 else f"{len(posts)} posts, which were"
    return f"was trained on {which} forgotten since"
