"""Model versions that learnt from posts which were forgotten since: found, marked, and kept from serving."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from llm_twin.compose.features import list_features, open_library
from llm_twin.compose.space import Twinspace
from llm_twin.errors import Tainted

_BACK = "go back: llm-twin models rollback"
_TO_SERVE = (_BACK, "use --model base", "this one all the same: --allow-tainted")


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


def refuse_tainted(
    space: Twinspace, model: str, undone: str = "served", besides: Sequence[str] = _TO_SERVE
) -> None:
    """Raises Tainted where the version learnt from a post that was forgotten since.

    The error says what was not done with it, and what there is to do besides training a clean one: going back
    only where that is possible.
    """
    posts = space.registry.tainted().get(model)
    if posts:
        live = space.registry.live()
        back = live is not None and live.model == model and leads_back(space)
        possible = (way for way in besides if way != _BACK or back)
        fixes = ("Train a clean one: llm-twin train", *possible)
        raise Tainted(f"{model} was not {undone}: it {why_tainted(posts)}", "; or ".join(fixes))


def leads_back(space: Twinspace) -> bool:
    """Whether a pair was live before that could serve: its model not tainted, its features still there."""
    tainted, features = space.registry.tainted(), space.workspace.features
    earlier = space.registry.pairs()[1:]
    return any(pair.model not in tainted and (features / pair.features).is_dir() for pair in earlier)


def why_tainted(posts: Collection[str]) -> str:
    """What is wrong with a version that learnt from these posts, to follow its name."""
    which = f"post {min(posts)}, which was" if len(posts) == 1 else f"{len(posts)} posts, which were"
    return f"was trained on {which} forgotten since"
