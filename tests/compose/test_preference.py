"""The preference step of a training, from the twin's drafts to what is kept of it."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import pytest

from llm_twin import compose, evaluation
from llm_twin.adapters.base_model import HFChatTokenizer, load_model
from llm_twin.compose import preference
from llm_twin.compose.parts import base_model
from llm_twin.contracts import bits
from llm_twin.contracts.bits import BitsPerByte
from llm_twin.errors import TrainingError
from llm_twin.evaluation import Likeness
from tests.compose.tiny import OVERRIDES, make_base, make_workspace

SETTINGS = [
    *OVERRIDES,
    "training.max_tokens=300",
    "training.shots=0",
    "training.preference_pairs=8",
    "generation.max_tokens=6",  # random weights never end a text
]


def opened(tmp_path: Path) -> compose.Twinspace:
    folder = make_workspace(tmp_path / "twin", make_base(tmp_path / "base"), posts=24)
    return compose.open_workspace(folder, SETTINGS)


def judging(monkeypatch: pytest.MonkeyPatch, *found: float) -> None:
    """A reader whose judgements of the drafts, before the step and after it, are these."""
    left = list(found)

    def judge(texts: object) -> Likeness:
        return Likeness(auc=(auc := left.pop(0)), low=auc - 0.05, high=auc + 0.05, texts=8, posts=4)

    monkeypatch.setattr(evaluation, "likeness", judge)


@pytest.mark.parametrize(
    ("after", "dearer", "kept"), [(0.7, 0.0, True), (0.7, 0.5, False), (0.78, 0.0, False), (0.9, 0.0, False)]
)
def test_the_change_is_kept_where_the_drafts_are_liker_the_author(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: float, dearer: float, kept: bool
) -> None:
    """By more than chance: below the interval of before, 0.75 to 0.85; and for no more bits per byte."""
    judging(monkeypatch, 0.8, after)
    space = opened(tmp_path)
    measure = bits.measure

    def measured(scorer: Any, tokenizer: Any, posts: Any, *given: Any) -> BitsPerByte:
        found = measure(scorer, tokenizer, posts, *given)
        changed = any(space.workspace.runs.glob("*/preferred"))
        return found.model_copy(update={"value": 1.0 + dearer if changed else 1.0})

    monkeypatch.setattr(bits, "measure", measured)
    report = compose.train(space)
    step = report.preference
    assert step is not None
    assert (step.pairs, step.before.auc, step.after.auc, step.kept) == (8, 0.8, after, kept)
    version = space.registry.get(report.version)
    assert version.manifest.preferred == (8 if kept else 0)
    ours = version.folder / "adapter_model.safetensors"
    changed = next(space.workspace.runs.glob("*/preferred/adapter_model.safetensors"))
    plain = next(space.workspace.runs.glob("*/adapter/adapter_model.safetensors"))
    assert changed.read_bytes() != plain.read_bytes()
    assert ours.read_bytes() == (changed if kept else plain).read_bytes()


def test_drafts_are_not_made_twice(tmp_path: Path) -> None:
    space = opened(tmp_path)
    first = compose.train(space)
    kept = sorted(space.workspace.runs.glob("*/drafts-*.jsonl"))
    assert len(kept) == 2, "of the adapter as it was, and as it became"
    made = [path.read_bytes() for path in kept]
    kept[0].write_bytes(made[0] + '{"sample": "half a lié'.encode()[:-1])  # as a kill leaves it
    stamps = [path.stat().st_mtime_ns for path in kept[1:]]
    second = compose.train(space, resume=True)
    assert [path.read_bytes() for path in kept] == made
    assert [path.stat().st_mtime_ns for path in kept[1:]] == stamps
    assert first.preference is not None
    assert first.preference.before.auc > 0.9, "random weights do not write like anyone"
    assert second.preference is not None
    assert (second.preference.before, second.preference.after) == (
        first.preference.before,
        first.preference.after,
    )


def test_what_drafts_has_the_memory_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[Any]] = []
    beside: list[int] = []
    start = preference.engine

    def loading(*given: Any) -> Any:
        loaded.append(weakref.ref(model := load_model(*given)))
        return model

    def starting(*given: Any) -> Any:
        beside.append(sum(model() is not None for model in loaded))
        return start(*given)

    monkeypatch.setattr("llm_twin.adapters.base_model.load_model", loading)
    monkeypatch.setattr(preference, "engine", starting)
    compose.train(opened(tmp_path))
    assert beside == [0, 0], "before the preference step, and after it"


def test_features_without_rewrite_samples_say_what_to_do(tmp_path: Path) -> None:
    space = opened(tmp_path)
    version = compose.feature_version(space)
    version.__dict__["samples"] = [s for s in version.samples if s.task != "rewrite"]
    with pytest.raises(TrainingError, match="F0001 holds 0 rewrite samples of train posts"):
        preference.samples_for(version, 8, HFChatTokenizer(base_model(space).folder))
