"""The training pipeline: feature version to adapter, measured, sealed, and live if the gate agrees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_twin.compose.features import check_features, feature_name, feature_version, mend_features
from llm_twin.compose.fit import check_base
from llm_twin.compose.lineage import own_features, serving_features
from llm_twin.compose.parts import base_model, by_llama_cpp, convert_adapter, longest_context
from llm_twin.compose.preference import PreferenceReport, prefer, samples_for
from llm_twin.compose.space import Twinspace
from llm_twin.compose.taint import refuse_tainted, taint, why_tainted
from llm_twin.contracts.manifests import ModelManifest, PartId, digest
from llm_twin.contracts.ports import ChatTokenizer, Progress, Scorer, Silent
from llm_twin.contracts.versions import (
    ADAPTER,
    ADAPTER_CONFIG,
    BASE,
    CARD,
    FeatureVersion,
    ModelVersion,
)
from llm_twin.errors import ConfigError, GateRefused, IntegrityError, VersionNotFound
from llm_twin.registry import Pair
from llm_twin.workspace import atomic_write, sweep

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel, Dtype
    from llm_twin.contracts.bits import BitsPerByte
    from llm_twin.contracts.verdict import Verdict
    from llm_twin.evaluation import EvaluationReport
    from llm_twin.training import TrainingReport


RUN_FEATURES = "features.txt"  # in the folder of a run: content id of the features that it trains on


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What `train` did: the run, the version it became, its scores and whether it went live.

    `preference` is None where there was no such step.
    """

    version: str
    features: str
    run: TrainingReport
    evaluation: EvaluationReport
    verdict: Verdict
    live: bool
    preference: PreferenceReport | None = None


def train(
    space: Twinspace, progress: Progress | None = None, features: str = "latest", resume: bool = False
) -> TrainReport:
    """Fine-tune on a feature version, measure, register, and go live if the gate agrees.

    Of several processes (`accelerate launch`) each calls this, and gets the same report; the first alone
    holds the lock, writes and measures.

    Raises GateRefused where the training samples are not fit to train on, EmptyStore where nothing could be
    measured, ConfigError where samples may be longer than the base can read, EngineError where the adapter
    could not be served.
    """
    from llm_twin import training
    from llm_twin.adapters.base_model import HFChatTokenizer, load_model
    from llm_twin.adapters.gguf_adapter import check_architecture
    from llm_twin.adapters.torch_scorer import TorchScorer

    first = training.processes().is_main_process
    progress = progress if progress and first else Silent()
    with space.workspace.lock("training") if first else nullcontext():
        version = feature_version(space, training.from_first(lambda: feature_name(space, features)))
        _check_trainable(version)
        base = base_model(space)
        _check_length(space, base)
        if by_llama_cpp(space, base):
            check_architecture(base.folder)
        tokenizer = HFChatTokenizer(base.folder)
        if space.config.training.preference_pairs:
            samples_for(version, space.config.training.preference_pairs, tokenizer)
        parameters = space.config.training.of_the_loop
        run_dir = space.workspace.runs / digest([version.manifest.content_id, base.id, parameters])[:12]
        if first:
            atomic_write(run_dir / RUN_FEATURES, version.manifest.content_id + "\n")
            sweep(run_dir)
        begun = training.begun_in(run_dir) if resume else None
        wanted = space.config.training.precision
        precision = training.from_first(lambda: begun or training.choose_precision(wanted))
        run = training.run(
            version,
            space.config.training,
            base,
            load_model(base, precision),
            tokenizer,
            TorchScorer,
            run_dir,
            progress,
            resume,
        )
        return training.from_first(
            lambda: _conclude(space, version, base, tokenizer, precision, run, progress)
        )


def _check_trainable(version: FeatureVersion) -> None:
    """Refuse features that no version could come of. Raises GateRefused, EmptyStore."""
    from llm_twin.contracts import bits

    problems = check_features(version)
    if problems:
        raise GateRefused(
            f"{version.name} is not fit to train on: {'; '.join(problems)}", mend_features(version)
        )
    bits.measurable(version, "test")


def _check_length(space: Twinspace, base: BaseModel) -> None:
    """Refuse samples of more tokens than the base was made for. Raises ConfigError."""
    longest, wanted = longest_context(base), space.config.training.sequence_tokens
    if wanted > longest:
        raise ConfigError(
            [f"training.sequence_tokens = {wanted}: the base {base.name} was made for {longest} at most"],
            "the configuration",
        )


def _conclude(
    space: Twinspace,
    version: FeatureVersion,
    base: BaseModel,
    tokenizer: ChatTokenizer,
    precision: Dtype,
    run: TrainingReport,
    progress: Progress,
) -> TrainReport:
    """Measure what was trained, register it, and make it live if the gate agrees."""
    from llm_twin import evaluation

    preference, preferred = None, 0
    if space.config.training.preference_pairs:
        run, preference = prefer(space, version, base, tokenizer, precision, run, progress)
        preferred = preference.pairs if preference.kept else 0
    validation = run.bits_per_byte
    shots = space.config.training.shots
    if shots:
        # The scorer is dropped again: a large base finds room for no third.
        shown = _few_shot(version, validation, _scorer(space, base, precision), tokenizer, shots, progress)
        validation = validation | shown
    scorers = {
        BASE: _scorer(space, base),
        "adapter": _scorer(space, base, adapter=run.adapter_dir),
    }
    scores = evaluation.run(version, scorers, tokenizer, "test", progress)
    model = _register(space, version, base, run, preferred, validation, scores)
    verdict = _go_live(space, model, version, "train")
    return TrainReport(model.name, version.name, run, scores, verdict, verdict.passed, preference)


def _scorer(space: Twinspace, base: BaseModel, dtype: Dtype = "fp32", adapter: Path | None = None) -> Scorer:
    """The base, with an adapter or without, where training runs; what it said before is not asked again."""
    from llm_twin.adapters.base_model import load_model
    from llm_twin.adapters.remembered_scorer import CACHE, RememberedScorer
    from llm_twin.adapters.torch_scorer import TorchScorer
    from llm_twin.adapters.weights import file_sha256
    from llm_twin.training import processes

    parts = [file_sha256(adapter / name) for name in (ADAPTER, ADAPTER_CONFIG)] if adapter else []
    device = processes().device
    if device.type != "cpu":  # each kind of processor rounds in its own way
        parts.append(device.type)
    return RememberedScorer(
        lambda: TorchScorer(_moved(load_model(base, dtype, adapter), device)),
        digest([base.id, dtype, package_version("torch"), *parts]),
        dtype,
        longest_context(base),
        space.workspace.cache / CACHE,
    )


def _moved(model: Any, device: Any) -> Any:
    """The model on a device; where that has no room beside others, in the machine's memory, slower."""
    import torch

    try:
        return model.to(device)
    except torch.OutOfMemoryError:
        return model.to("cpu")


def _few_shot(
    version: FeatureVersion,
    validation: Mapping[str, BitsPerByte],
    base: Scorer,
    tokenizer: ChatTokenizer,
    shots: int,
    progress: Progress,
) -> dict[str, BitsPerByte]:
    """The base shown so many examples, on the validation posts that the run measured."""
    from llm_twin.contracts import bits
    from llm_twin.evaluation import FEW_SHOT, examples

    posts = [version.posts[row.post_id] for row in validation[BASE].posts]
    progress.start("measure the base with examples", total=len(posts))
    author = version.manifest.prompt.author
    return {FEW_SHOT: bits.measure(base, tokenizer, posts, author, progress, examples(version, shots))}


def _register(
    space: Twinspace,
    version: FeatureVersion,
    base: BaseModel,
    run: TrainingReport,
    preferred: int,
    validation: Mapping[str, BitsPerByte],
    scores: EvaluationReport,
) -> ModelVersion:
    """Convert the adapter for llama.cpp, write its card, and seal it in the registry."""
    from llm_twin.registry.card import model_card
    from llm_twin.registry.commit import commit
    from llm_twin.training import package_versions

    live = space.registry.live()
    manifest = ModelManifest(
        version="",
        content_id="",
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        parent=live.model if live and live.model != BASE else None,
        parameters=space.config.training.model_dump(mode="json"),
        prompt=version.manifest.prompt,
        files={},
        base=PartId(name=base.name, id=base.id),
        features=PartId(name=version.name, id=version.manifest.content_id),
        posts=tuple(sorted({s.post_id for s in version.samples if s.split == "train"})),
        tokens=run.tokens,
        preferred=preferred,
        seconds=run.seconds,
        packages=package_versions(),
        scores={
            "validation": {name: score.model_dump(mode="json") for name, score in validation.items()},
            "test": {name: score.model_dump(mode="json") for name, score in scores.bits_per_byte.items()},
        },
        scored_on={
            "validation": _posts_id(version, validation["adapter"]),
            "test": _posts_id(version, scores.bits_per_byte["adapter"]),
        },
        commit=commit(),
    )
    convert_adapter(space, base, run.adapter_dir)
    (run.adapter_dir / CARD).write_text(model_card(manifest), encoding="utf-8")
    model = space.registry.register(run.adapter_dir, manifest)
    taint(space)
    return model


def _posts_id(version: FeatureVersion, measured: BitsPerByte) -> str:
    """Hash of the posts that were measured, each with its revision."""
    return digest({row.post_id: version.manifest.posts[row.post_id] for row in measured.posts})


def promote(space: Twinspace, name: str) -> tuple[Pair, Verdict]:
    """Make a version live, with the features it was trained on, if the gate agrees.

    Raises GateRefused, and Tainted where it learnt from a post that was forgotten since.
    """
    model = space.registry.get(name)
    refuse_tainted(space, model.name, "promoted", ())
    check_base(model, base_model(space))
    features = serving_features(space, model)
    verdict = _go_live(space, model, features, "promote")
    if not verdict.passed:
        raise GateRefused(
            f"{model.name} was not promoted: {verdict.reason}",
            "Train it on more: llm-twin train --set training.max_tokens=200000",
        )
    return Pair(model.name, features.name), verdict


def _gate(space: Twinspace, model: ModelVersion, live: Pair | None) -> Verdict:
    """Validation bits per byte of the version, of its base without and with examples, of the live version."""
    from llm_twin.contracts.bits import BitsPerByte
    from llm_twin.contracts.verdict import Verdict
    from llm_twin.evaluation import FEW_SHOT, gate

    def measured(version: ModelVersion, name: str) -> BitsPerByte:
        return BitsPerByte.model_validate(version.manifest.scores["validation"][name])

    tainted = space.registry.tainted()
    if model.name in tainted:
        return Verdict(passed=False, reason=f"it {why_tainted(tainted[model.name])}", measures={})
    # A tainted live version is not served, nor a damaged one, so that there is nothing to be better than.
    other: ModelVersion | None = None
    if live and live.model not in (BASE, model.name, *tainted):
        with suppress(IntegrityError, VersionNotFound):
            other = space.registry.get(live.model)
    return gate.decide(
        candidate=measured(model, "adapter"),
        base=measured(model, "base"),
        live=measured(other, "adapter") if other else None,
        few_shot=measured(model, FEW_SHOT) if FEW_SHOT in model.manifest.scores["validation"] else None,
    )


def _go_live(space: Twinspace, model: ModelVersion, features: FeatureVersion, reason: str) -> Verdict:
    """Make the pair live if the gate agrees; it looks again where another process switches meanwhile."""
    pair = Pair(model.name, features.name)
    while True:
        live = space.registry.live()
        verdict = _gate(space, model, live)
        if not verdict.passed or live == pair or space.registry.switch(pair, reason, expected=live):
            return verdict


def rollback(space: Twinspace, allow_tainted: bool = False, progress: Progress | None = None) -> Pair:
    """Restore the live pair before the present one.

    Passes over tainted models, unless they are allowed, over pairs whose features were collected since, and
    over damaged models, of which `progress` is told.
    """
    from llm_twin.feature import store

    return space.registry.rollback(allow_tainted, store.sealed(space.workspace.features), progress)


def evaluate(space: Twinspace, name: str, progress: Progress | None = None) -> tuple[EvaluationReport, Path]:
    """Measure a version and its base on the test posts of its features; the report is written to disk.

    Raises VersionNotFound where those are not here (on others it might know the posts), MismatchError where
    the version is for another base.
    """
    from llm_twin import evaluation
    from llm_twin.adapters.base_model import HFChatTokenizer

    base = base_model(space)
    version = space.registry.resolve(name)
    scorers = {BASE: _scorer(space, base)}
    if version == BASE:
        features = feature_version(space, "live")
    else:
        model = space.registry.get(version)
        check_base(model, base)
        features = own_features(space, model)
        scorers["adapter"] = _scorer(space, base, adapter=model.folder)
    tokenizer = HFChatTokenizer(base.folder)
    shots = space.config.training.shots
    report = evaluation.run(features, scorers, tokenizer, "test", progress or Silent(), shots)
    path = space.workspace.reports / f"{version}-{features.name}.json"
    atomic_write(path, json.dumps(report.to_json(), indent=2) + "\n")
    return report, path
