"""From samples to the exact plan of a run: which tokens each optimiser step sees, decided before the first
one.

A pass takes whole posts, and of the samples of their paragraphs, which say the same again, only a few.
Where it is cut short it takes the newest: authors change, and what is asked of a twin is written after all
that it learnt.

Rows are never joined, so no sample can see another. Rows of like length share a micro-batch, padded on the
right: under a causal mask nothing attends to the padding, so no mask is needed and no loss is taken there.
On prose samples this wastes about 1-3 % of the tokens; packing with a block-diagonal mask costs more
attention than that.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from llm_twin.config import Training
from llm_twin.contracts import prompts
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import ChatTokenizer
from llm_twin.contracts.records import Sample
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import EmptyStore, MismatchError, TrainingError

T = TypeVar("T")

MIN_SAMPLES = 8  # fewer cannot fill two different optimiser steps, and say nothing about a voice
# Rows are sorted by length within windows of this many micro-batches: enough to leave little padding, few
# enough that an epoch is still well mixed.
_WINDOW = 32
_WHOLE = ("write", "outline")  # the tasks of which each post gives one sample of all its prose
_PARAGRAPH = ("rewrite", "answer")


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised sample: all its token ids, of which the first `prompt` are context and carry no loss.

    `share` is how likely a pass takes it.
    """

    ids: tuple[int, ...]
    prompt: int
    share: float = 1.0

    @property
    def targets(self) -> int:
        """Tokens that carry loss."""
        return len(self.ids) - self.prompt


Batch = tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step: micro-batches whose gradients are added up."""

    batches: tuple[Batch, ...]

    @property
    def tokens(self) -> int:
        """Tokens without padding, prompt and completion."""
        return sum(len(e.ids) for batch in self.batches for e in batch)

    @property
    def targets(self) -> int:
        """Tokens that carry loss."""
        return sum(e.targets for batch in self.batches for e in batch)


def examples_of(features: FeatureVersion, config: Training, tokenizer: ChatTokenizer) -> list[Example]:
    """All that a run may learn from. Raises MismatchError, EmptyStore, TrainingError."""
    manifest = features.manifest
    if manifest.prompt.version != prompts.PROMPT_VERSION:
        raise MismatchError(
            f"{features.name} was built with prompt version {manifest.prompt.version}, this program "
            f"uses {prompts.PROMPT_VERSION}",
            "Build the features again: llm-twin features build",
        )
    samples = [s for s in features.samples if s.split == "train"]
    if not samples:
        raise EmptyStore(
            f"{features.name} holds no training samples", "Collect more posts and build the features again"
        )
    examples = tokenise(samples, tokenizer, config.sequence_tokens, config.paragraph_share)
    if len(examples) < MIN_SAMPLES:
        raise TrainingError(
            f"{features.name} holds {len(examples)} training samples of usable length, "
            f"at least {MIN_SAMPLES} are needed",
            "Collect more posts, or raise training.sequence_tokens",
        )
    return examples


def tokenise(
    samples: Sequence[Sample], tokenizer: ChatTokenizer, longest: int, paragraph_share: float = 1.0
) -> list[Example]:
    """Prompt through the chat template, then the author's words and the end-of-turn token.

    Samples longer than `longest` tokens are cut at the end and then have no end-of-turn token; those whose
    prompt alone fills three quarters of it are left out, because too little of the author would remain.
    Of a pass's tokens `paragraph_share` are of samples of paragraphs whose post is learnt whole too, and
    fewer only where there are not so many.
    """
    found: list[tuple[Sample, Example]] = []
    for sample in samples:
        prompt = tokenizer.encode_chat(sample.messages)
        if len(prompt) > longest * 3 // 4:
            continue
        ids = [*prompt, *tokenizer.encode(sample.completion), tokenizer.eos_ids[0]]
        found.append((sample, Example(tuple(ids[:longest]), len(prompt))))
    whole = {sample.post_id for sample, _ in found if sample.task in _WHOLE}
    said = [(e, sample.task in _PARAGRAPH and sample.post_id in whole) for sample, e in found]
    others, paragraphs = (sum(len(e.ids) for e, again in said if again is kind) for kind in (False, True))
    share = _likelihood(paragraph_share, others, paragraphs)
    return [replace(example, share=share) if again else example for example, again in said]


def _likelihood(share: float, others: int, tokens: int) -> float:
    """How likely a pass takes each of some samples, so that they make up `share` of its tokens.

    They have so many `tokens` together; `others` are the tokens of the samples that a pass always takes.
    """
    if share == 1 or tokens == 0:
        return 1.0
    return min(1.0, share * others / ((1 - share) * tokens))


def pass_tokens(examples: Sequence[Example]) -> int:
    """Tokens that a pass takes on average."""
    return round(sum(e.share * len(e.ids) for e in examples))


def plan(examples: Sequence[Example], tokens: int, batch_tokens: int, longest: int, seed: int) -> list[Step]:
    """The steps of a run over about `tokens` tokens: pass after pass, each in its own seeded order.

    `examples` are ordered from the oldest post to the newest. A micro-batch holds at most `longest` tokens
    with padding; a step gathers micro-batches up to `batch_tokens`.
    """
    order = random.Random(seed)
    batches: list[Batch] = []
    left = tokens
    while left > 0:
        taken = _taken(examples, left, order)
        batches += _batches(taken, longest, order)
        left -= sum(len(e.ids) for e in taken)
    return _steps(batches, batch_tokens)


def plan_id(steps: Sequence[Step]) -> str:
    """Hash of all that the steps see, in their order: two runs of one plan can continue each other."""
    return digest([asdict(step) for step in steps])


def mean_targets(steps: Sequence[Step]) -> float:
    """Tokens that carry loss in a step on average: what the loss of every step is divided by.

    So each of the author's words weighs the same. Divided by its own number, a step of short answers, whose
    prompts are most of it, would move the weights as far as one of a whole post.
    """
    return sum(step.targets for step in steps) / len(steps)


def _steps(batches: Sequence[Batch], batch_tokens: int) -> list[Step]:
    """Micro-batches gathered. What is left at the end joins the last step: few tokens give a bad gradient."""
    steps: list[Step] = []
    waiting: list[Batch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(len(e.ids) for b in waiting for e in b) >= batch_tokens:
            steps.append(Step(tuple(waiting)))
            waiting = []
    if waiting:
        last = steps.pop().batches if steps else ()
        steps.append(Step((*last, *waiting)))
    return steps


def _taken(examples: Sequence[Example], tokens: int, order: random.Random) -> list[Example]:
    """What a pass takes: from the newest back until there are enough tokens; by chance what it shares."""
    found: list[Example] = []
    for example in reversed(examples):
        if tokens <= 0:
            break
        if order.random() < example.share:
            found.append(example)
            tokens -= len(example.ids)
    return found


def _batches(examples: Sequence[Example], longest: int, order: random.Random) -> list[Batch]:
    shuffled = list(examples)
    order.shuffle(shuffled)
    found: list[Batch] = []
    size = _WINDOW * longest  # tokens of a window
    window: list[Example] = []
    for example in [*shuffled, None]:
        if example is not None:
            window.append(example)
        if example is None or sum(len(e.ids) for e in window) >= size:
            found += _by_length(window, longest)
            window = []
    order.shuffle(found)
    return found


def _by_length(window: Sequence[Example], longest: int) -> list[Batch]:
    found: list[Batch] = []
    batch: list[Example] = []
    for example in sorted(window, key=lambda e: len(e.ids), reverse=True):
        if batch and len(batch[0].ids) * (len(batch) + 1) > longest:
            found.append(tuple(batch))
            batch = []
        batch.append(example)
    if batch:
        found.append(tuple(batch))
    return found


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of them, evenly over the sequence, which is ordered by time."""
    if len(items) <= most:
        return list(items)
    return [items[round((i + 0.5) * len(items) / most - 0.5)] for i in range(most)]
