"""What entered, left and changed between two feature versions: posts, samples, and how they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llm_twin.contracts.manifests import FeatureManifest
from llm_twin.contracts.records import Sample
from llm_twin.contracts.versions import FeatureVersion

T = TypeVar("T")
_Content = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of what entered, left and changed, each in the order of its version."""

    entered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entered or self.left or self.changed)


@dataclass(frozen=True, slots=True)
class Diff:
    """From `old` to `new`.

    Attributes:
        posts: a changed post has another revision in the library.
        moved: posts that went from one split to another, as (post id, old split, new split).
        samples: by task; a sample whose post grew before it, and is the same otherwise, has not changed.
        settings: what differs of parameters, embedder and prompt, by its name: (old value, new value).
    """

    old: str
    new: str
    posts: Changes
    moved: tuple[tuple[str, str, str], ...]
    samples: dict[str, Changes]
    settings: dict[str, tuple[Any, Any]]

    def __bool__(self) -> bool:
        return bool(self.posts or self.moved or any(self.samples.values()) or self.settings)


def diff(old: FeatureVersion, new: FeatureVersion) -> Diff:
    """Compare two versions; equal content gives an empty difference."""
    a, b = old.manifest, new.manifest
    splits = _splits(a), _splits(b)
    both = [post for post in splits[1] if post in splits[0]]
    return Diff(
        old=old.name,
        new=new.name,
        posts=posts(a, b),
        moved=tuple((p, splits[0][p], splits[1][p]) for p in both if splits[0][p] != splits[1][p]),
        samples=samples(old.samples, new.samples),
        settings=_settings(a, b),
    )


def posts(a: FeatureManifest, b: FeatureManifest) -> Changes:
    """Of the manifests alone."""
    return _changes(a.posts, b.posts, str)


def samples(a: Sequence[Sample], b: Sequence[Sample]) -> dict[str, Changes]:
    """By task. A sample's id holds its place in the post, which moves when the text before it grows.

    So a sample is first looked for by its content; only the rest is compared by id.
    """
    alike = Counter(map(_content, a)) & Counter(map(_content, b))
    rest_a, rest_b = _without(a, alike), _without(b, alike)
    changes: dict[str, Changes] = {}
    for task in sorted({s.task for s in (*a, *b)}):
        before, after = ({s.id: s for s in rest if s.task == task} for rest in (rest_a, rest_b))
        changes[task] = _changes(before, after, _content)
    return changes


def _changes(a: Mapping[str, T], b: Mapping[str, T], content: Callable[[T], object]) -> Changes:
    return Changes(
        entered=tuple(i for i in b if i not in a),
        left=tuple(i for i in a if i not in b),
        changed=tuple(i for i in b if i in a and content(a[i]) != content(b[i])),
    )


def _content(sample: Sample) -> _Content:
    return (sample.task, sample.post_id, sample.split, sample.messages, sample.completion)


def _without(found: Sequence[Sample], alike: Counter[_Content]) -> list[Sample]:
    left, rest = Counter(alike), []
    for sample in found:
        content = _content(sample)
        if left[content]:
            left[content] -= 1
        else:
            rest.append(sample)
    return rest


def _splits(manifest: FeatureManifest) -> dict[str, str]:
    return {post: split for split, members in manifest.splits.items() for post in members}


def _settings(a: FeatureManifest, b: FeatureManifest) -> dict[str, tuple[Any, Any]]:
    before, after = (
        {
            **m.parameters,
            "embedder": f"{m.embedder.name} ({m.embedder.id})",
            "prompt": m.prompt.version,
            "author": m.prompt.author,
        }
        for m in (a, b)
    )
    names = [*after, *(name for name in before if name not in after)]
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}
