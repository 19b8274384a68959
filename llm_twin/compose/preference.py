"""The preference step of a training: DPO on the twin's own drafts, kept only where likeness rises."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.parts import convert_adapter, engine
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import digest, file_hash
from llm_twin.contracts.ports import ChatTokenizer, Progress
from llm_twin.contracts.records import Record, Sample, Split
from llm_twin.contracts.versions import ADAPTER, BASE, FeatureVersion
from llm_twin.errors import TrainingError
from llm_twin.workspace import atomic_write, translate_disk_full

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel, Dtype
    from llm_twin.evaluation import Likeness
    from llm_twin.training import TrainingReport

_TASK = "rewrite"  # notes and the author's paragraph: the matter is given, so that voice is what differs
_TOKENS = 160  # of the author's paragraph at most; longer ones take minutes to draft and are rare
_JUDGED = 120  # paragraphs of validation posts that are judged, at most
_LEAST = 8  # of either kind: fewer say nothing
_NAME = "draft"  # as the engine calls the adapter
_UNSURE = 4  # tokens that an engine may hold back at the end of a text, as parts of a character
_WITHOUT = f"Have {_TASK} among features.tasks and build again, or set training.preference_pairs to 0"
REPORT = "preference.json"  # in the folder of a run


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """What the step did to the adapter.

    Attributes:
        pairs: drafts that it learnt from.
        before, after: how well a discriminator tells its paragraphs of validation posts from the author's.
        bits_per_byte: of the changed adapter on validation posts.
        seconds: what drafting, learning and judging took.
        kept: whether the changed adapter is the result of the training.
    """

    pairs: int
    before: Likeness
    after: Likeness
    bits_per_byte: float
    seconds: float
    kept: bool


class _Draft(Record):
    sample: str
    text: str
    ended: bool


def prefer(
    space: Twinspace,
    features: FeatureVersion,
    base: BaseModel,
    tokenizer: ChatTokenizer,
    precision: Dtype,
    run: TrainingReport,
    progress: Progress,
) -> tuple[TrainingReport, PreferenceReport]:
    """Let the adapter of a run prefer the author's paragraphs to its own drafts of them.

    The report is of the changed adapter where its drafts of validation posts are harder to tell from the
    author's by more than chance, and it needs no more bits per byte; elsewhere it is the one that came.
    Drafts are kept beside the run as they are made: a step that was interrupted makes none twice.

    Raises TrainingError as `samples_for` and `training.prefer` do.
    """
    from llm_twin import evaluation, training
    from llm_twin.adapters.base_model import load_model
    from llm_twin.adapters.torch_scorer import TorchScorer
    from llm_twin.contracts import bits

    began = time.monotonic()
    wanted = space.config.training
    learnt, judged = samples_for(features, wanted.preference_pairs, tokenizer)

    def drafts(adapter: Path, samples: Sequence[Sample]) -> dict[str, _Draft]:
        return _drafts(space, base, tokenizer, adapter, samples, progress)

    def likeness(made: dict[str, _Draft]) -> Likeness:
        return evaluation.likeness([(s.post_id, s.completion, made[s.id].text) for s in judged])

    made = drafts(run.adapter_dir, [*learnt, *judged])
    model = load_model(base, precision, run.adapter_dir)
    step = training.prefer(
        model,
        [training.Pair(s.messages, s.completion, made[s.id].text, made[s.id].ended) for s in learnt],
        wanted,
        tokenizer,
        run.adapter_dir.parent / "preferred",
        base.name,
        progress,
    )
    posts = [features.posts[row.post_id] for row in run.bits_per_byte[BASE].posts]
    progress.start("measure the changed adapter", total=len(posts))
    score = bits.measure(TorchScorer(model), tokenizer, posts, features.manifest.prompt.author, progress)
    del model  # an engine that drafts needs its room
    before, after = likeness(made), likeness(drafts(step.adapter_dir, judged))
    liker = after.auc < before.low
    kept = liker and score.value <= run.bits_per_byte["adapter"].value
    seconds = time.monotonic() - began
    report = PreferenceReport(step.pairs, before, after, score.value, seconds, kept)
    atomic_write(run.adapter_dir.parent / REPORT, json.dumps(asdict(report), indent=1) + "\n")
    run = replace(run, seconds=run.seconds + seconds)
    if not kept:
        return run, report
    scores = run.bits_per_byte | {"adapter": score}
    tokens = run.tokens + step.tokens
    return replace(run, adapter_dir=step.adapter_dir, tokens=tokens, bits_per_byte=scores), report


def samples_for(
    features: FeatureVersion, pairs: int, tokenizer: ChatTokenizer
) -> tuple[list[Sample], list[Sample]]:
    """What the step learns from and what it is judged by, spread over the posts of each split.

    Raises TrainingError where there is too little of either.
    """
    from llm_twin.training import spread

    learnt, judged = (_samples(features, split, tokenizer) for split in ("train", "validation"))
    if len({sample.post_id for sample in judged}) < 2:
        raise TrainingError(
            f"The {_TASK} samples of {features.name} for validation are all of one post; to judge a "
            "preference takes two",
            _WITHOUT,
        )
    return spread(learnt, pairs), spread(judged, _JUDGED)


def _samples(features: FeatureVersion, split: Split, tokenizer: ChatTokenizer) -> list[Sample]:
    found = [
        sample
        for sample in features.samples
        if sample.split == split
        and sample.task == _TASK
        and len(tokenizer.encode(sample.completion)) <= _TOKENS
    ]
    if len(found) < _LEAST:
        raise TrainingError(
            f"{features.name} holds {len(found)} {_TASK} samples of {split} posts; to learn a preference "
            f"takes {_LEAST}",
            _WITHOUT,
        )
    return found


def _drafts(
    space: Twinspace,
    base: BaseModel,
    tokenizer: ChatTokenizer,
    adapter: Path,
    samples: Sequence[Sample],
    progress: Progress,
) -> dict[str, _Draft]:
    """What the adapter makes of the samples' prompts, by sample; none that is on disk is made again.

    A draft has no more tokens than the author's paragraph: twice as many were usual.
    """
    from llm_twin.inference.writer import rewriting

    given = space.config.generation
    made_as = [file_hash(adapter / ADAPTER), base.id, given.model_dump(mode="json")]
    kept = adapter.parent / f"drafts-{digest(made_as)[:12]}.jsonl"
    known = {draft.sample: draft for draft in _read(kept)}
    missing = [sample for sample in samples if sample.id not in known]
    if not missing:
        return known
    convert_adapter(space, base, adapter)
    progress.start("draft paragraphs", total=len(missing))
    with (
        closing(engine(space, base, {_NAME: adapter}, tokenizer)) as made_by,
        kept.open("ab", buffering=0) as file,
    ):
        for sample in missing:
            prompt = tokenizer.encode_chat(sample.messages)
            most = min(len(tokenizer.encode(sample.completion)), given.max_tokens)
            pieces = list(made_by.stream(prompt, _NAME, replace(rewriting(given), max_tokens=most)))
            text = "".join(piece.text for piece in pieces).strip()
            ended = not text or pieces[-1].tokens <= most - _UNSURE
            known[sample.id] = _Draft(sample=sample.id, text=text, ended=ended)
            with translate_disk_full(kept):
                file.write(known[sample.id].model_dump_json().encode() + b"\n")
            progress.advance()
    return known


def _read(kept: Path) -> list[_Draft]:
    """The drafts on disk; a kill may have cut the last one, which is taken out."""
    if not kept.is_file():
        return []
    whole, _, cut = kept.read_bytes().rpartition(b"\n")
    if cut:
        atomic_write(kept, (whole + b"\n").decode() if whole else "")
    return [_Draft.model_validate_json(line) for line in whole.split(b"\n") if line]
