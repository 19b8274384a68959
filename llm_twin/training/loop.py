"""Fine-tuning, from top to bottom: freeze the base, put LoRA in it, predict the author, keep the best.

LoRA: Hu et al. 2021, arXiv:2106.09685, on every linear layer of the body. AdamW: Loshchilov and Hutter 2019,
arXiv:1711.05101. The loop is deterministic on one machine: an interrupted and resumed run ends with the
same bytes.
"""

from __future__ import annotations

import math
import random
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol

import torch

from llm_twin.config import Training
from llm_twin.contracts import bits
from llm_twin.contracts.bits import BitsPerByte
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import ChatTokenizer, Progress, Scorer
from llm_twin.contracts.records import Post
from llm_twin.contracts.scores import check_head
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import MismatchError, TrainingError
from llm_twin.training import attention, checkpoint, loss, precision
from llm_twin.training.budget import tokens_within
from llm_twin.training.checkpoint import State
from llm_twin.training.data import (
    Example,
    Step,
    examples_of,
    mean_targets,
    pass_tokens,
    plan,
    plan_id,
    spread,
)
from llm_twin.training.fused import fuse
from llm_twin.training.processes import from_first, processes
from llm_twin.training.report import Point, TrainingReport, package_versions, peak_rss_mb, write_curves
from llm_twin.training.track import Trackers
from llm_twin.workspace import atomic_folder

CLIP = 1.0  # gradient norm; the customary bound, reached here in the first steps only
_FLOOR = 0.1  # the cosine ends at this share of the learning rate, so that the last steps still count
_DIVERGED = 1.5  # loss over that of the first steps or of the base; only a broken run gets there
_SMOOTH = 5  # steps averaged before loss is compared or shown


class Base(Protocol):
    """What the loop needs to know of the base model."""

    @property
    def name(self) -> str:
        """As the configuration names it."""

    @property
    def id(self) -> str:
        """Hash of its weights."""


@dataclass
class _Run:
    """The moving parts of one run."""

    config: Training
    steps: list[Step]
    targets: float  # of a step on average
    model: Any
    optimizer: torch.optim.Optimizer
    processes: Any  # accelerate's PartialState
    measure: Callable[[], BitsPerByte]
    base_name: str
    run_dir: Path
    progress: Progress
    trackers: Trackers
    state: State
    # Weights, moments and state agree. False only within the few milliseconds in which they are changed.
    consistent: bool = True
    saved_at: float = field(default_factory=time.monotonic)
    clock: float = field(default_factory=time.monotonic)


def run(
    features: FeatureVersion,
    config: Training,
    base: Base,
    model: Any,
    tokenizer: ChatTokenizer,
    scorer_for: Callable[[Any], Scorer],
    run_dir: Path,
    progress: Progress,
    resume: bool = False,
) -> TrainingReport:
    """Train an adapter for `model` on a feature version; the best one by validation lies in
    `report.adapter_dir`.

    `model` is changed in place (LoRA layers are put into it). `resume` continues from the last checkpoint
    in `run_dir`, to the same result as if it had never stopped; where there is none it says so and begins
    anew. On an interrupt a checkpoint is saved first.

    Of several processes each calls this, and gets the same report; the first alone measures and writes.

    Raises EmptyStore, TrainingError (too few samples, divergence, a tracker that does not answer),
    MismatchError (prompts, a base whose logits are not its head's, another run's checkpoint),
    MissingDependency (a tracker's package).
    """
    ours = processes()
    trackers = Trackers(config.report_to if ours.is_main_process else (), run_dir, progress)
    examples = examples_of(features, config, tokenizer)
    # To measure all of a long split takes minutes.
    validation = spread(bits.measurable(features, "validation"), config.validation_posts)
    torch.manual_seed(config.seed)  # LoRA's first weights are drawn
    threads = precision.use_physical_cores()
    computed_in = precision.of(model)
    model, optimizer = _prepare(model, config, ours.device)
    scorer = scorer_for(model)

    def measure(posts: Sequence[Post]) -> BitsPerByte:
        return bits.measure(scorer, tokenizer, posts, features.manifest.prompt.author)

    run_dir.mkdir(parents=True, exist_ok=True)
    last = checkpoint.newest(run_dir) if resume else None
    if resume and last is None:
        progress.say("There is no checkpoint of a run on these features with these settings: it begins anew")
    # Of a run that is at its end, the first may have written its last measure before the others look.
    earlier = from_first(lambda: checkpoint.read(last) if last is not None else None)
    if earlier is None:
        measures = (config.evaluations + 1) * len(validation)
        planned = _planned(examples, config, model, lambda: measure(validation[:1]), measures, progress.say)
    else:
        planned = earlier.planned
    steps = plan(examples, planned, config.batch_tokens, config.sequence_tokens, config.seed)
    parameters = config.of_the_loop
    known = [features.manifest.content_id, base.id, parameters, plan_id(steps), package_versions()]
    machine = [ours.device.type, ours.num_processes, threads, computed_in]
    fingerprint = digest(known + machine)
    state = earlier or State(fingerprint=fingerprint, planned=planned, precision=computed_in)
    if state.fingerprint != fingerprint:
        raise MismatchError(
            f"The interrupted run in {run_dir} had other features, settings, packages, precision, "
            "processors, threads or steps",
            "Start anew without --resume",
        )
    if last is not None:
        checkpoint.load(last, model, optimizer)
    elif ours.is_main_process:
        checkpoint.clear(run_dir)
    this = _Run(
        config=config,
        steps=steps,
        targets=mean_targets(steps),
        model=model,
        optimizer=optimizer,
        processes=ours,
        measure=lambda: measure(validation),
        base_name=base.name,
        run_dir=run_dir,
        progress=progress,
        trackers=trackers,
        state=state,
    )
    if last is not None:
        progress.say(f"Resumed at step {state.step} of {len(this.steps)}")
    if ours.is_main_process:
        trackers.begin(parameters, state.curve)
    try:
        stopped_early = _train(this)
    except KeyboardInterrupt:
        _save(this)
        raise
    finally:
        trackers.end()
    _save(this)
    return _finish(this, stopped_early)


def _train(run: _Run) -> bool:
    """Step after step to the end of the plan, or until `patience` measures in a row were no better."""
    total = len(run.steps)
    due = {round(total * i / run.config.evaluations) for i in range(run.config.evaluations + 1)}
    run.progress.start("train", total=sum(s.tokens for s in run.steps))
    run.progress.advance(run.state.tokens)
    while True:
        measured = any(p.step == run.state.step and p.bits_per_byte is not None for p in run.state.curve)
        if run.state.step in due and not measured:
            _evaluate(run)
        if run.state.step == total:
            return False
        if run.state.worse >= run.config.patience:
            return True
        _step(run, run.steps[run.state.step])
        if time.monotonic() - run.saved_at >= run.config.checkpoint_s:
            _save(run)


def _step(run: _Run, step: Step) -> None:
    """One optimiser step: forward and backward over its micro-batches, then Adam."""
    from accelerate.utils import reduce

    start = time.monotonic()
    run.model.train()
    index, count = run.processes.process_index, run.processes.num_processes
    # What dropout draws follows from the step, so that one that was interrupted is taken again as it was.
    torch.manual_seed(random.Random(f"{run.config.seed} {run.state.step} {index}").getrandbits(63))
    # Several processes deal the micro-batches among themselves and add their gradients up afterwards; where
    # there are fewer than processes, some add nothing.
    own = step.batches[index::count]
    nats = sum((loss.backward(run.model, batch, run.targets) for batch in own), 0.0)
    parameters = [p for p in run.model.parameters() if p.requires_grad]
    if count > 1:
        for p in parameters:
            p.grad = reduce(torch.zeros_like(p) if p.grad is None else p.grad, "sum")
        nats = float(reduce(torch.tensor(nats, device=run.processes.device), "sum"))
    mean = nats / step.targets
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, CLIP))
    _check(run.state, mean, norm)
    for group in run.optimizer.param_groups:
        group["lr"] = run.config.learning_rate * schedule(
            run.state.step, len(run.steps), run.config.warmup_share
        )
    tokens = run.state.tokens + step.tokens
    run.consistent = False
    run.optimizer.step()
    run.state = run.state.model_copy(
        update={
            "step": run.state.step + 1,
            "tokens": tokens,
            "busy_s": run.state.busy_s + time.monotonic() - start,
            "curve": (*run.state.curve, Point(step=run.state.step + 1, tokens=tokens, loss=mean)),
        }
    )
    run.consistent = True
    run.optimizer.zero_grad(set_to_none=True)
    run.progress.advance(step.tokens, note=_note(run.state))
    run.trackers.tell(run.state.step, {"tokens": tokens, "loss": mean})


def schedule(step: int, steps: int, warmup_share: float) -> float:
    """Share of the learning rate at a step: linear up over the warm-up, then a cosine down to a tenth."""
    warmup = math.ceil(steps * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * done)) / 2


def _check(state: State, mean: float, norm: float) -> None:
    fix = "Lower training.learning_rate, or set training.precision to fp32"
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise TrainingError(
            f"Training broke at step {state.step + 1}: loss {mean}, gradient norm {norm}", fix
        )
    losses = [p.loss for p in state.curve if p.loss is not None]
    if len(losses) < 2 * _SMOOTH or state.base is None:
        return
    first, last = (sum(part) / _SMOOTH for part in (losses[:_SMOOTH], losses[-_SMOOTH:]))
    # The first steps may have been of a task that is easy: nothing is harder than a whole post for the base.
    untrained = max(first, state.base.nats_per_token)
    if last > _DIVERGED * untrained:
        raise TrainingError(
            f"Training diverged by step {state.step + 1}: loss {last:.2f}, untrained {untrained:.2f}", fix
        )


def _evaluate(run: _Run) -> None:
    """Validation bits per byte; the best weights so far go to disk. Before step 1 this measures the base."""
    found = from_first(run.measure)
    state = run.state
    point = next((p for p in state.curve if p.step == state.step), Point(step=0, tokens=0, loss=None))
    point = point.model_copy(update={"bits_per_byte": found.value})
    update: dict[str, Any] = {"curve": (*(p for p in state.curve if p.step != state.step), point)}
    if state.step == 0:  # LoRA starts as the identity, so this is the base itself
        update["base"] = found
    elif state.best is None or found.value < state.best.value:
        if run.processes.is_main_process:
            checkpoint.save_adapter(run.model, run.run_dir / "best", run.base_name)
        update |= {"best": found, "best_step": state.step, "worse": 0}
    else:
        update["worse"] = state.worse + 1
    run.state = state.model_copy(update=update)
    run.progress.say(f"step {state.step}: validation {found.value:.4f} bits per byte")
    run.trackers.tell(state.step, {"bits_per_byte": found.value})


def _note(state: State) -> str:
    losses = [p.loss for p in state.curve if p.loss is not None][-_SMOOTH:]
    measured = [p.bits_per_byte for p in state.curve if p.bits_per_byte is not None]
    shown = f"  bpb {measured[-1]:.3f}" if measured else ""
    speed = f"{state.tokens / state.busy_s:.0f} tok/s  {peak_rss_mb() / 1000:.1f} GB"
    return f"loss {sum(losses) / len(losses):.2f}{shown}  {speed}"


def _prepare(model: Any, config: Training, device: torch.device) -> tuple[Any, torch.optim.Optimizer]:
    from peft import LoraConfig, get_peft_model

    check_head(model)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules="all-linear",
    )
    with warnings.catch_warnings():
        # peft still asks transformers by the old name; nothing that a user could change.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        model = get_peft_model(model, lora).to(device)
    fuse(model)
    attention.use(model)
    parameters = list(checkpoint.trainable(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    return model, optimizer


def _planned(
    examples: Sequence[Example],
    config: Training,
    model: Any,
    measure: Callable[[], object],
    measures: int,
    say: Callable[[str], None],
) -> int:
    """Tokens of the run: its epochs, unless max_tokens or what fits in its minutes is fewer."""
    from accelerate.utils import reduce

    tokens = math.ceil(config.epochs * pass_tokens(examples))
    if config.max_tokens is not None:
        tokens = min(tokens, config.max_tokens)
    longest = config.sequence_tokens
    if config.minutes is None or tokens <= 2 * longest:  # as much as measuring takes
        return tokens
    steps = cycle(plan(examples, tokens, longest, longest, config.seed))  # of the mix that the run will be of

    def learn() -> int:
        step = next(steps)
        model.train()
        for batch in step.batches:
            loss.backward(model, batch, step.targets)
        model.zero_grad(set_to_none=True)
        return step.tokens

    fitting = torch.tensor(tokens_within(60 * config.minutes, learn, measure, measures, say))
    # Each process learns so many, and all need the same plan.
    return min(tokens, int(reduce(fitting.to(processes().device), "sum")))


def _save(run: _Run) -> None:
    if not (run.consistent and run.processes.is_main_process):
        return
    now = time.monotonic()
    run.state = run.state.model_copy(update={"seconds": run.state.seconds + now - run.clock})
    run.clock = run.saved_at = now
    checkpoint.save(run.run_dir, run.model, run.optimizer, run.state)


def _finish(run: _Run, stopped_early: bool) -> TrainingReport:
    state = run.state
    assert state.base is not None
    assert state.best is not None
    target = run.run_dir / "adapter"
    if run.processes.is_main_process:
        # Until the adapter is sealed elsewhere the run stays as it is: what follows may be interrupted too.
        shutil.rmtree(target, ignore_errors=True)
        with atomic_folder(target) as folder:
            shutil.copytree(run.run_dir / "best", folder, dirs_exist_ok=True)
        write_curves(run.run_dir, state.curve)
    return TrainingReport(
        adapter_dir=target,
        tokens=state.tokens,
        tokens_per_s=state.tokens / state.busy_s,
        peak_rss_mb=peak_rss_mb(),
        seconds=state.seconds + time.monotonic() - run.clock,
        bits_per_byte={"base": state.base, "adapter": state.best},
        curve=state.curve,
        best_step=state.best_step,
        stopped_early=stopped_early,
    )
