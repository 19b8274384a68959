from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from llm_twin.adapters.base_model import BaseModel, HFChatTokenizer, load_model
from llm_twin.adapters.torch_scorer import TorchScorer
from llm_twin.config import Training
from llm_twin.contracts import bits
from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG, POSTS, FeatureVersion, write_lines
from llm_twin.errors import EmptyStore, MismatchError, TrainingError
from llm_twin.training import TrainingReport, begun_in, checkpoint, loop
from llm_twin.training.checkpoint import State
from llm_twin.training.data import plan, spread
from llm_twin.training.loop import run, schedule
from llm_twin.training.report import Point

from .conftest import TinyBase, make_features

Make = Callable[[], Any]
# Dropout, so that a resumed run must also restore the random state.
CONFIG = Training(
    rank=4,
    alpha=8,
    dropout=0.1,
    learning_rate=3e-3,
    batch_tokens=256,
    sequence_tokens=256,
    max_tokens=1500,
    checkpoint_s=1e-9,  # after each step
    evaluations=3,
    precision="fp32",
)


class Interrupting(Silent):
    """Ctrl-C while the given number of steps is reported."""

    def __init__(self, at: int) -> None:
        self._left = at

    def advance(self, steps: int = 1, note: str = "") -> None:
        if note:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt


class Telling(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self.notes: list[str] = []
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def start(self, stage: str, total: int | None = None) -> None:
        assert stage == "train"
        assert total is not None
        self.total = total

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        if note:
            self.notes.append(note)


def train(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    run_dir: Path,
    config: Training = CONFIG,
    progress: Silent | None = None,
    resume: bool = False,
) -> TrainingReport:
    return run(
        features, config, TinyBase(), tiny(), tokenizer, TorchScorer, run_dir, progress or Silent(), resume
    )


def test_it_learns_the_author_and_says_so(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    told = Telling()
    config = CONFIG.model_copy(update={"learning_rate": 2e-2, "dropout": 0.0, "max_tokens": 3000})
    report = train(features, tiny, tokenizer, tmp_path / "run", config, told)
    base, adapter = report.bits_per_byte["base"], report.bits_per_byte["adapter"]
    assert adapter.value < 0.99 * base.value  # 0.982; the frozen random embeddings leave little to learn
    assert [p.post_id for p in base.posts] == [p.post_id for p in adapter.posts]
    assert {p.post_id for p in base.posts} == set(features.manifest.splits["validation"])
    assert report.tokens == told.done == told.total >= 3000
    assert "loss" in told.notes[-1]
    assert "tok/s" in told.notes[-1]

    saved = json.loads((tmp_path / "run" / "curve.json").read_text())
    assert saved["points"][0]["bits_per_byte"] == base.value
    assert saved["points"][-1]["tokens"] == report.tokens
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_each_target_weighs_the_same_in_every_step(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backward = loop.loss.backward
    seen = []  # of each micro-batch its targets, and what its loss is divided by

    def counted(model: Any, batch: Any, targets: float) -> float:
        seen.append((sum(example.targets for example in batch), targets))
        return backward(model, batch, targets)

    monkeypatch.setattr(loop.loss, "backward", counted)
    report = train(features, tiny, tokenizer, tmp_path / "run")
    steps = sum(point.loss is not None for point in report.curve)
    assert len({taken for taken, _ in seen}) > 1
    assert {by for _, by in seen} == {sum(taken for taken, _ in seen) / steps}


def test_the_adapter_is_plain_peft_and_scores_as_reported(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    report = train(features, tiny, tokenizer, tmp_path / "run")
    assert sorted(p.name for p in report.adapter_dir.iterdir()) == [ADAPTER_CONFIG, ADAPTER]
    settings = json.loads((report.adapter_dir / ADAPTER_CONFIG).read_text())
    assert settings["base_model_name_or_path"] == "tiny"
    assert settings["target_modules"] == sorted(settings["target_modules"])
    tiny().save_pretrained(tmp_path / "base")
    base = BaseModel("tiny", "0" * 64, tmp_path / "base", None)
    model = load_model(base, "fp32", report.adapter_dir)
    again = bits.measure(TorchScorer(model), tokenizer, features.split("validation"), "Ada")
    assert again.value == pytest.approx(report.bits_per_byte["adapter"].value, rel=1e-6)


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path, at: int
) -> None:
    whole = train(features, tiny, tokenizer, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "cut", progress=Interrupting(at))
    torch.manual_seed(99)  # another process would not have this one's random state
    resumed = train(features, tiny, tokenizer, tmp_path / "cut", resume=True)
    assert (resumed.adapter_dir / ADAPTER).read_bytes() == (whole.adapter_dir / ADAPTER).read_bytes()
    assert (resumed.adapter_dir / ADAPTER_CONFIG).read_bytes() == (
        whole.adapter_dir / ADAPTER_CONFIG
    ).read_bytes()
    assert resumed.curve == whole.curve
    assert resumed.tokens == whole.tokens


def test_a_step_that_is_interrupted_is_taken_again_as_it_was(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = CONFIG.model_copy(update={"batch_tokens": 512, "checkpoint_s": 1e9})
    whole = train(features, tiny, tokenizer, tmp_path / "whole", config)
    backward, left = loop.loss.backward, iter(range(3))

    def interrupted(*given: Any) -> float:
        nats = backward(*given)
        if next(left, None) is None:  # between two micro-batches, after dropout has drawn
            raise KeyboardInterrupt
        return nats

    monkeypatch.setattr(loop.loss, "backward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "cut", config)
    monkeypatch.undo()
    resumed = train(features, tiny, tokenizer, tmp_path / "cut", config, resume=True)
    assert (resumed.adapter_dir / ADAPTER).read_bytes() == (whole.adapter_dir / ADAPTER).read_bytes()


def test_the_measure_after_the_last_step_is_kept_in_its_checkpoint(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    removed: list[bool] = []
    remove = shutil.rmtree

    def watched(folder: Path, *given: Any, **more: Any) -> None:
        remove(folder, *given, **more)
        if folder.name.startswith("checkpoint-"):
            removed.append(checkpoint.newest(tmp_path / "run") is not None)

    monkeypatch.setattr(checkpoint.shutil, "rmtree", watched)
    report = train(features, tiny, tokenizer, tmp_path / "run")
    assert removed
    assert all(removed), "the run was without a checkpoint"
    last = checkpoint.newest(tmp_path / "run")
    assert last is not None
    assert checkpoint.read(last).curve == report.curve


def test_a_checkpoint_of_another_precision_is_refused(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    assert begun_in(tmp_path / "run") is None
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", progress=Interrupting(2))
    assert begun_in(tmp_path / "run") == "fp32"
    with pytest.raises(MismatchError, match=r"other .* precision"):
        train(features, lambda: tiny().bfloat16(), tokenizer, tmp_path / "run", resume=True)


def test_runs_of_both_precisions_in_one_process(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"max_tokens": 300})
    for name, half in (("fp32", False), ("bf16", True)):
        model = tiny().bfloat16() if half else tiny()
        report = train(features, lambda model=model: model, tokenizer, tmp_path / name, config)
        assert report.bits_per_byte["adapter"].dtype == name


def test_a_validation_post_without_prose_is_not_measured(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    (kept,) = features.manifest.splits["validation"]
    link, *rest = features.posts.values()
    write_lines(features.folder / POSTS, [link.model_copy(update={"markdown": "> Their words."}), *rest])
    splits = {**features.manifest.splits, "validation": (link.id, kept)}
    manifest = features.manifest.model_copy(update={"splits": splits})
    config = CONFIG.model_copy(update={"validation_posts": 1, "max_tokens": 300})
    report = train(FeatureVersion(features.folder, manifest), tiny, tokenizer, tmp_path / "run", config)
    assert [row.post_id for row in report.bits_per_byte["base"].posts] == [kept]


def test_a_base_whose_logits_are_not_its_heads_is_refused(
    features: FeatureVersion, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    def granite() -> Any:
        from transformers import GraniteConfig, GraniteForCausalLM

        config = GraniteConfig(
            vocab_size=49152,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            logits_scaling=8.0,
        )
        return GraniteForCausalLM(config).eval()

    with pytest.raises(MismatchError, match="GraniteModel, changes its logits"):
        train(features, granite, tokenizer, tmp_path / "run")


def test_a_finished_run_resumes_at_its_end(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    first = train(features, tiny, tokenizer, tmp_path / "run")
    told = Telling()
    again = train(features, tiny, tokenizer, tmp_path / "run", progress=told, resume=True)
    assert told.notes == []  # no step was taken
    assert again.curve == first.curve
    assert (again.adapter_dir / ADAPTER).is_file()
    checkpoint.clear(tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "adapter",
        "best",
        "curve.json",
        "curves.png",
    ]


def test_without_resume_a_run_starts_anew(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", progress=Interrupting(3))
    told = Telling()
    report = train(features, tiny, tokenizer, tmp_path / "run", progress=told)
    assert len(told.notes) == len(report.curve) - 1  # every step after the base was measured
    assert told.done == report.tokens


def test_where_there_is_nothing_to_resume_it_says_so(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    short = CONFIG.model_copy(update={"max_tokens": 300})
    for resume, other, begins, resumed in (
        (False, {}, 0, 0),
        (True, {"checkpoint_s": 600.0, "shots": 0}, 0, 1),  # on which no result depends
        (True, {"learning_rate": 1e-4}, 1, 0),
    ):
        config = short.model_copy(update=other)
        told, run_dir = Telling(), tmp_path / digest(config.of_the_loop)  # as each run has its own
        train(features, tiny, tokenizer, run_dir, config, told, resume)
        assert sum("begins anew" in line for line in told.said) == begins
        assert sum("Resumed at step" in line for line in told.said) == resumed


def test_a_run_of_so_many_minutes_resumes_to_the_end_that_was_planned(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = CONFIG.model_copy(update={"minutes": 10.0, "max_tokens": None, "epochs": 100.0})
    monkeypatch.setattr(loop, "tokens_within", lambda seconds, learn, *_: 2 * learn() + int(seconds))
    whole = train(features, tiny, tokenizer, tmp_path / "whole", config)
    assert 800 < whole.tokens < 2500
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "cut", config, Interrupting(2))
    monkeypatch.setattr(loop, "tokens_within", lambda *_: 1)  # the machine is much slower now
    resumed = train(features, tiny, tokenizer, tmp_path / "cut", config, resume=True)
    assert resumed.curve == whole.curve
    assert (resumed.adapter_dir / ADAPTER).read_bytes() == (whole.adapter_dir / ADAPTER).read_bytes()


def test_of_two_bounds_the_narrower_holds(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[float] = []

    def fitting(seconds: float, *_: object) -> int:
        measured.append(seconds)
        return 10**9

    monkeypatch.setattr(loop, "tokens_within", fitting)
    for tokens, measures in ((1500, 1), (500, 0)):  # so few are learnt sooner than measured
        measured.clear()
        config = CONFIG.model_copy(update={"minutes": 10.0, "max_tokens": tokens})
        report = train(features, tiny, tokenizer, tmp_path / str(tokens), config)
        assert tokens <= report.tokens < tokens + CONFIG.batch_tokens + CONFIG.sequence_tokens
        assert measured == [600.0] * measures


def test_a_checkpoint_of_other_settings_is_refused(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", progress=Interrupting(2))
    other = CONFIG.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(MismatchError, match="other features, settings"):
        train(features, tiny, tokenizer, tmp_path / "run", other, resume=True)


def test_a_checkpoint_of_another_plan_is_refused(
    features: FeatureVersion,
    tiny: Make,
    tokenizer: HFChatTokenizer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", progress=Interrupting(2))
    # As a newer program might plan from the same settings.
    monkeypatch.setattr(loop, "plan", lambda *given: plan(*given)[::-1])
    with pytest.raises(MismatchError, match="or steps"):
        train(features, tiny, tokenizer, tmp_path / "run", resume=True)


def test_nothing_that_is_kept_is_a_pickle(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", progress=Interrupting(4))
    (folder,) = (tmp_path / "run").glob("checkpoint-*")
    assert folder.name == "checkpoint-00004"
    assert {p.suffix for p in folder.iterdir()} == {".safetensors", ".json"}
    moments = load_file(folder / "optimizer.safetensors")
    assert all(int(t) == 4 for name, t in moments.items() if name.endswith("|step"))


def test_the_best_weights_are_kept_and_patience_ends_a_run(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    class Worsening(TorchScorer):
        """Each measure after the second looks worse than the one before."""

        measures = 0

        def token_logprobs(self, prompt: Any, completion: Any) -> Any:
            Worsening.measures += 1
            return super().token_logprobs(prompt, completion) - max(0, Worsening.measures - 2)

    config = CONFIG.model_copy(update={"evaluations": 6, "patience": 2, "max_tokens": 2500})
    report = run(
        features, config, TinyBase(), tiny(), tokenizer, Worsening, tmp_path / "run", Silent(), False
    )
    assert report.stopped_early
    measured = [p.step for p in report.curve if p.bits_per_byte is not None]
    assert len(measured) == 4  # the base, the best, two that were worse
    assert report.best_step == measured[1]


def test_a_run_that_breaks_says_where(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    def broken() -> Any:
        model = tiny()
        model.model.layers[1].mlp.down_proj.weight.data.fill_(float("nan"))
        return model

    with pytest.raises(TrainingError, match=r"broke at step 1: loss nan.*learning_rate"):
        train(features, broken, tokenizer, tmp_path / "run")


def test_a_run_that_diverges_is_stopped(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    def growing() -> Any:
        """Logits that double at every look, as those of weights that run away."""
        model = tiny()
        scale = (2.0**n for n in range(10_000))
        model.model.norm.register_forward_hook(
            lambda module, given, hidden: hidden * next(scale) if module.training else hidden
        )
        return model

    config = CONFIG.model_copy(update={"max_tokens": 20_000, "evaluations": 1, "checkpoint_s": 1e9})
    with pytest.raises(TrainingError, match=r"diverged by step 11: loss \d+"):
        train(features, growing, tokenizer, tmp_path / "run", config)


def test_an_easy_task_at_first_is_no_reason_to_call_the_rest_diverged() -> None:
    post = PostBits(post_id="p1", bits=100 / math.log(2), tokens=40, bytes=160)  # 2.5 nats a token
    base = BitsPerByte(value=0.9, low=0.9, high=0.9, posts=(post,), dtype="fp32")
    for last, diverged in ((3.7, False), (3.8, True)):
        losses = [0.3] * 5 + [last] * 5
        curve = tuple(Point(step=i + 1, tokens=i, loss=loss) for i, loss in enumerate(losses))
        state = State(fingerprint="", planned=1, step=10, curve=curve, base=base)
        with pytest.raises(TrainingError, match="untrained 2") if diverged else nullcontext():
            loop._check(state, last, 1.0)


def test_too_little_to_learn_from_is_refused(tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path) -> None:
    few = make_features(tmp_path / "few", posts=4)
    with pytest.raises(TrainingError, match=r"6 training samples.*at least 8"):
        train(few, tiny, tokenizer, tmp_path / "run")
    none = make_features(tmp_path / "none", posts=2)
    with pytest.raises(EmptyStore, match="no training samples"):
        train(none, tiny, tokenizer, tmp_path / "run")


def test_features_of_another_prompt_are_refused(
    tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    old = make_features(tmp_path / "old", prompt_version="0")
    with pytest.raises(MismatchError, match="prompt version 0"):
        train(old, tiny, tokenizer, tmp_path / "run")


def test_the_schedule_warms_up_and_comes_down() -> None:
    shares = [schedule(i, 100, 0.05) for i in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert shares[5] == 1.0
    assert shares[5:] == sorted(shares[5:], reverse=True)
    assert 0.1 <= shares[-1] < 0.11
    assert schedule(0, 1, 0.0) == 1.0


def test_measured_posts_are_spread_over_the_split(features: FeatureVersion) -> None:
    posts: list[Post] = features.split("train")
    assert spread(posts, 100) == posts
    assert [posts.index(p) for p in spread(posts, 3)] == [2, 8, 14]
