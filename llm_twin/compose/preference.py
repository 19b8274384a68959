"""The preference step of a training: DPO on the twin's own drafts, kept only where likeness rises."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.parts import convert_adapter, engine
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import digest, file_hash
from llm_twin.contracts.ports import LONGEST_REPEAT, ChatTokenizer, Progress, Sampling
from llm_twin.contracts.records import Record, Sample, Split
from llm_twin.contracts.versions import ADAPTER, BASE, FeatureVersion
from llm_twin.errors import TrainingError
from llm_twin.workspace import atomic_write

if TYPE_CHECKING:
    from llm_twin.adapters.base_model import BaseModel, Dtype
    from llm_twin.evaluation import Likeness
    from llm_twin.training import TrainingReport

_TASK = "rewrite"  # notes and the author's paragraph: the matter is given, so that voice is what differs
_TOKENS = 160  # of the author's paragraph at most; longer ones take minutes to draft and are rare
_JUDGED = 120  # paragraphs of validation posts that are judged, at most
_LEAST = 8  # of either kind: fewer say nothing
_NAME = "draft"  # as the engine calls the adapter


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """What the step did to the adapter.

    Attributes:
        pairs: drafts that it learnt from.
        before, after: how well a reader tells the twin's paragraphs of validation posts from the author's.
        bits_per_byte: of the changed adapter on validation posts.
        kept: whether the changed adapter is the result of the training.
    """

    pairs: int
    before: Likeness
    after: Likeness
    bits_per_byte: float
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
    author's, and the same as before elsewhere. Drafts are kept beside the run as they are made, so that a
    step that was interrupted makes none twice.

    Raises TrainingError where the features hold too few rewrite samples to learn from or to judge by.
    """
    from llm_twin import evaluation, training
    from llm_twin.adapters.base_model import load_model
    from llm_twin.adapters.torch_scorer import TorchScorer
    from llm_twin.contracts import bits

    wanted = space.config.training
    learnt = training.spread(_samples(features, "train", tokenizer), wanted.preference_pairs)
    judged = training.spread(_samples(features, "validation", tokenizer), _JUDGED)

    def drafts(adapter: Path, samples: Sequence[Sample]) -> dict[str, _Draft]:
        return _drafts(space, base, tokenizer, adapter, samples, progress)

    def likeness(made: dict[str, _Draft]) -> Likeness:
        return evaluation.likeness([(s.post_id, s.completion, made[s.id].text) for s in judged])

    made = drafts(run.adapter_dir, [*learnt, *judged])
    step = training.prefer(
        load_model(base, precision, run.adapter_dir),
        [training.Pair(s.messages, s.completion, made[s.id].text, made[s.id].ended) for s in learnt],
        wanted,
        tokenizer,
        run.adapter_dir.parent / "preferred",
        base.name,
        progress,
    )
    posts = [features.posts[row.post_id] for row in run.bits_per_byte[BASE].posts]
    progress.start("measure the changed adapter", total=len(posts))
    scorer = TorchScorer(load_model(base, precision, step.adapter_dir))
    score = bits.measure(scorer, tokenizer, posts, features.manifest.prompt.author, progress)
    before, after = likeness(made), likeness(drafts(step.adapter_dir, judged))
    report = PreferenceReport(step.pairs, before, after, score.value, kept=after.auc < before.auc)
    if not report.kept:
        return run, report
    scores = run.bits_per_byte | {"adapter": score}
    tokens = run.tokens + step.tokens
    return replace(run, adapter_dir=step.adapter_dir, tokens=tokens, bits_per_byte=scores), report


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
            f"Have {_TASK} among features.tasks and build them again, or set training.preference_pairs to 0",
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
    given = space.config.generation
    sampling = Sampling(  # as `Writer.rewriting`
        temperature=given.temperature,
        top_p=given.top_p,
        min_p=given.min_p,
        repeat_penalty=1.0,
        longest_repeat=LONGEST_REPEAT,
        seed=given.seed,
    )
    kept = adapter.parent / f"drafts-{digest([file_hash(adapter / ADAPTER), repr(sampling)])[:12]}.jsonl"
    known = {draft.sample: draft for draft in _read(kept)}
    missing = [sample for sample in samples if sample.id not in known]
    if not missing:
        return known
    convert_adapter(space, base, adapter)
    progress.start("draft paragraphs", total=len(missing))
    with (
        closing(engine(space, base, {_NAME: adapter}, tokenizer)) as made_by,
        kept.open("a", encoding="utf-8") as file,
    ):
        for sample in missing:
            most = min(len(tokenizer.encode(sample.completion)), given.max_tokens)
            prompt = tokenizer.encode_chat(sample.messages)
            pieces = list(made_by.stream(prompt, _NAME, replace(sampling, max_tokens=most)))
            text = "".join(piece.text for piece in pieces).strip()
            ended = not pieces or pieces[-1].tokens < most
            known[sample.id] = _Draft(sample=sample.id, text=text, ended=ended)
            file.write(known[sample.id].model_dump_json() + "\n")
            file.flush()
            progress.advance()
    return known


def _read(kept: Path) -> list[_Draft]:
    """The drafts on disk; a kill may have cut the last one, which is taken out."""
    if not kept.is_file():
        return []
    whole, _, cut = kept.read_text(encoding="utf-8").rpartition("\n")
    if cut:
        atomic_write(kept, whole + "\n" if whole else "")
    return [_Draft.model_validate_json(line) for line in whole.splitlines()]
