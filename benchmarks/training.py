"""Fine-tuning against TRL's SFTTrainer: tokens a second, memory, and what was learnt from as many tokens.

The same base, samples, rank, alpha and about as many tokens a step, each contender in a process of its own.
A rate counts tokens that are no padding, prompt and completion, over the time of the optimiser steps; memory
is the most that the process ever held, base and libraries and all. TRL is run as it comes ("defaults"), and
as it is fastest on a processor ("best": packed, no gradient checkpointing), there also with the learning rate
and schedule of the project, so that what both have learnt can be compared. Bits per byte are of validation
posts, measured in fp32. The limit is the machine's measured rate of bf16 or fp32 products over the operations
of a token: forward and backward through frozen weights, and the head at positions that carry loss.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embedding import best_s
from machine import Measured, run
from retrieval import sample_author

from llm_twin import compose
from llm_twin.adapters.base_model import HFChatTokenizer, load_model
from llm_twin.adapters.torch_scorer import TorchScorer
from llm_twin.compose.parts import base_model
from llm_twin.config import Training
from llm_twin.contracts import bits
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Sample
from llm_twin.training.data import tokenise

TOKENS, QUICK = 24_000, 6_000
BATCH = 2048  # tokens of a step
POSTS = 8  # of validation
PEER_BATCH = 8  # samples of a step: the default of TRL; their mean length makes it about BATCH tokens
PEERS: dict[str, dict[str, Any]] = {
    "TRL, defaults": {},
    "TRL, best": {
        "packing": True,
        "gradient_checkpointing": False,
        "per_device_train_batch_size": 2,  # rows of 1,024 tokens
        "learning_rate": Training().learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 1,
    },
}


def main() -> None:
    run("training", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    tokens = QUICK if options.quick else TOKENS
    with tempfile.TemporaryDirectory() as name:
        workspace = str(prepare(Path(name) / "twin"))
        figures = apart(ours, workspace, tokens)
        peers = {peer: apart(trl, workspace, tokens, peer) for peer in PEERS}
        figures |= {"bits_per_byte": apart(learnt, workspace, figures.pop("adapter"))}
        figures["base_bits_per_byte"] = apart(learnt, workspace, None)
        for found in peers.values():
            found["bits_per_byte"] = apart(learnt, workspace, found.pop("adapter"))
        figures |= apart(limit, workspace, figures["precision"], figures["tokens_s"])
    ratios = {
        f"{what} to {peer}": round(figures[what] / found[what], 2)
        for peer, found in peers.items()
        for what in ("tokens_s", "peak_mb", "bits_per_byte")
    }
    return Measured(figures, peers, ratios)


def apart(work: Any, *given: Any) -> Any:
    """What a function finds in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        return fresh.apply(work, given)


def prepare(folder: Path) -> Path:
    """A workspace with a feature version of the sample author's posts."""
    space = compose.open_workspace(compose.init(folder).root)
    with compose.open_library(space) as library:
        for post in sample_author().posts:
            library.upsert(post)
    compose.build_features(space)
    return folder


def ours(workspace: str, tokens: int) -> dict[str, Any]:
    from llm_twin import training

    given = [f"training.max_tokens={tokens}", f"training.batch_tokens={BATCH}", "training.paragraph_share=1"]
    space = compose.open_workspace(Path(workspace), given)
    config = space.config.training.model_copy(update={"evaluations": 1, "validation_posts": 1})
    base, version = base_model(space), compose.feature_version(space)
    precision = training.choose_precision("auto")
    report = training.run(
        version,
        config,
        base,
        load_model(base, precision),
        HFChatTokenizer(base.folder),
        TorchScorer,
        Path(workspace) / "ours",
        Silent(),
    )
    return {
        "tokens": report.tokens,
        "tokens_s": round(report.tokens_per_s, 1),
        "peak_mb": peak_mb(),
        "precision": precision,
        "adapter": str(report.adapter_dir),
    }


def newest(samples: Sequence[Sample], tokenizer: HFChatTokenizer, tokens: int) -> list[Sample]:
    """The training samples that `ours` takes where a pass may take all: from the newest back."""
    found: list[Sample] = []
    for sample in reversed([s for s in samples if s.split == "train"]):
        if tokens <= 0:
            break
        found.append(sample)
        tokens -= sum(len(e.ids) for e in tokenise([sample], tokenizer, Training().sequence_tokens))
    return found


def trl(workspace: str, tokens: int, peer: str) -> dict[str, Any]:
    import datasets
    from peft import LoraConfig
    from transformers import AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    space = compose.open_workspace(Path(workspace))
    base, config = base_model(space), space.config.training
    samples = newest(compose.feature_version(space).samples, HFChatTokenizer(base.folder), tokens)
    rows = [
        {
            "prompt": [message.model_dump() for message in s.messages],
            "completion": [{"role": "assistant", "content": s.completion}],
        }
        for s in samples
    ]
    counted = {"tokens": 0, "seconds": 0.0}

    class Counting(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, *more: Any) -> Any:
            mask = inputs.get("attention_mask")
            counted["tokens"] += int(inputs["input_ids"].numel() if mask is None else mask.sum())
            return super().training_step(model, inputs, *more)

    class Stopwatch(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            counted["seconds"] += time.perf_counter() - self.began
            control.should_training_stop = counted["tokens"] >= tokens

    folder = Path(workspace) / peer.replace(", ", "-")
    lora = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    settings = SFTConfig(
        output_dir=str(folder),
        max_steps=max(1, round(tokens / BATCH)),  # for the schedule; tokens end it
        seed=config.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **({"per_device_train_batch_size": PEER_BATCH} | PEERS[peer]),
    )
    trainer = Counting(
        model=str(base.folder),
        args=settings,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base.folder, local_files_only=True),
        peft_config=lora,
        callbacks=[Stopwatch()],
    )
    trainer.train()
    trainer.save_model(str(folder))
    return {
        "tokens": counted["tokens"],
        "tokens_s": round(counted["tokens"] / counted["seconds"], 1),
        "peak_mb": peak_mb(),
        "bf16": bool(settings.bf16),
        "adapter": str(folder),
    }


def learnt(workspace: str, adapter: str | None) -> float:
    """Bits per byte of validation posts."""
    space = compose.open_workspace(Path(workspace))
    base, version = base_model(space), compose.feature_version(space)
    model = load_model(base, adapter=Path(adapter) if adapter else None)
    posts = version.split("validation")[:POSTS]
    author = version.manifest.prompt.author
    return round(bits.measure(TorchScorer(model), HFChatTokenizer(base.folder), posts, author).value, 4)


def limit(workspace: str, precision: str, rate: float) -> dict[str, Any]:
    """Tokens a second if the products were all there is, and the share of it that was reached."""
    import torch

    space = compose.open_workspace(Path(workspace))
    model = load_model(base_model(space))
    head = model.get_output_embeddings().weight.numel()
    layers = [m for m in model.get_decoder().modules() if isinstance(m, torch.nn.Linear)]
    body = sum(layer.weight.numel() for layer in layers)
    samples = [s for s in compose.feature_version(space).samples if s.split == "train"]
    words = sum(len(s.completion) for s in samples)
    share = words / (words + sum(len(m.content) for s in samples for m in s.messages))  # with loss
    operations = 4 * (body + share * head)  # 2 forward, and 2 for the gradient of what went in
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(1024, 1024).to(kind), torch.randn(1024, 1024).to(kind)
    products = 2 * 1024**3 / best_s(lambda: left @ right)
    return {
        "matmul_gflop_s": round(products / 1e9),
        "mflop_of_a_token": round(operations / 1e6),
        "limit_tokens_s": round(products / operations),
        "share_of_limit": round(rate * operations / products, 2),
    }


def peak_mb() -> float:
    """The most memory that this process ever held."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


if __name__ == "__main__":
    main()
