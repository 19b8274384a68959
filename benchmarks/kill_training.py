"""kill -9 at random moments of train, register, promote: does what was live serve, does --resume end it?

v1 of a tiny llama with random weights is live, trained on the sample author's posts. A process trains v2,
which the gate lets by, goes back to v1 and promotes v2; it is killed at a moment drawn evenly from the time
that this takes, or, every other time, from the time that it takes from registering on. Then the registry is
opened, every version that can be seen is verified, and the live adapter is loaded and run; then the process
runs again, with --resume, to its end. It must end with the bytes of an undisturbed run, and leave no litter.
The processes have loaded the libraries already, so that the moments lie in the work. Needs POSIX.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from kill import QUICK, SEED, Stages, in_process, record
from machine import Measured, run

from llm_twin import compose, sample
from llm_twin.adapters.base_model import PACKAGED, load_model, resolve_base
from llm_twin.contracts.versions import BASE
from llm_twin.errors import TwinError
from llm_twin.registry import Pair
from llm_twin.registry.files import check_adapter

KILLS = 50
FEW, MORE = 500, 3000  # tokens: v2 learns longer than v1, so that the gate lets it by
TRAINING = (
    "precision=fp32",
    "evaluations=3",
    "validation_posts=3",
    "batch_tokens=256",
    "sequence_tokens=256",
    "checkpoint_s=0.2",
)
LOADED = ["peft", "accelerate", "transformers", "matplotlib.backends.backend_agg", "llm_twin.training"]
FIGURES = (
    "registry_opened",
    "half_version_visible",
    "live_served",
    "second_version_was_visible",
    "went_on_from_a_checkpoint",
    "ended_with_the_same_bytes",
    "litter_after_resuming",
)


class Notes(Stages):
    """The stages, and whether a run went on from a checkpoint."""

    def say(self, line: str) -> None:
        """Note a line that tells of resuming."""
        if line.startswith("Resumed at step") and not line.startswith("Resumed at step 0 "):
            self.start("resumed")


def main() -> None:
    run("kill_training", __doc__, measure)


def measure(options: argparse.Namespace) -> Measured:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LOADED)
    kills, draw, counts, stages = QUICK if options.quick else KILLS, random.Random(SEED), Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        before, folder, log = Path(name) / "before", Path(name) / "twin", Path(name) / "stages"
        prepare(before, Path(name) / "base")

        def registering() -> bool:
            return any((folder / "models").glob(".building-*"))

        in_process(context, nothing, folder, log)  # the first process loads the libraries
        shutil.copytree(before, folder)
        began = time.perf_counter()
        end = in_process(context, work, folder, log, since=registering)
        seconds = time.perf_counter() - began
        wanted = contents(folder)
        for kill in range(kills):
            shutil.rmtree(folder)
            shutil.copytree(before, folder)
            log.unlink(missing_ok=True)
            if kill % 2:
                in_process(context, work, folder, log, draw.uniform(0, end), registering)
            else:
                in_process(context, work, folder, log, draw.uniform(0, seconds))
            stages.append(log.read_text().split("\n")[-2] if log.exists() else "begin")
            seen = contents(folder)
            counts["registry_opened"] += bool(seen)
            counts["half_version_visible"] += seen != wanted[: len(seen)]
            counts["second_version_was_visible"] += len(seen) == len(wanted)
            counts["live_served"] += serves(folder)
            log.unlink(missing_ok=True)
            in_process(context, work, folder, log)
            counts["went_on_from_a_checkpoint"] += "resumed" in log.read_text().split("\n")
            live = space_of(folder).registry.live()
            counts["ended_with_the_same_bytes"] += contents(folder) == wanted and live == Pair("v2", "F0001")
            litter = [*folder.rglob(".building-*"), *folder.rglob(".writing-*")]
            counts["litter_after_resuming"] += len(litter)
    figures = {
        "kills": kills,
        **{key: counts[key] for key in FIGURES},
        "killed_in": dict(Counter(stages)),
        "undisturbed_s": round(seconds, 2),
        "from_registering_on_s": round(end, 2),
    }
    return Measured(figures, {}, {})


def prepare(folder: Path, base: Path) -> None:
    """A workspace with the sample author's features, and v1 live."""
    make_base(base)
    config = compose.init(folder).config_file
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(f"id: {PACKAGED}", f"id: {base}"), encoding="utf-8")
    space = space_of(folder, FEW)
    with compose.open_library(space) as library:
        for entry in sample.posts():
            library.upsert(record(entry))
    compose.build_features(space)
    if not compose.train(space).live:
        raise RuntimeError("the gate refused v1")


def make_base(folder: Path) -> None:
    """A llama of two layers with random weights, and the packaged base's tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for path in resolve_base(PACKAGED).folder.iterdir():
        if not (folder / path.name).exists() and path.suffix in (".json", ".jinja", ".txt"):
            shutil.copyfile(path, folder / path.name)


def space_of(folder: Path, tokens: int = MORE) -> compose.Twinspace:
    overrides = [f"training.{setting}" for setting in (*TRAINING, f"max_tokens={tokens}")]
    return compose.open_workspace(folder, overrides)


def nothing(folder: Path, log: Path) -> None:
    """No work."""


def work(folder: Path, log: Path) -> None:
    """Train v2, which goes live; go back to v1, and promote v2.

    On one core: where others are busy too, threads that wait for each other take many times as long.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    space, notes = space_of(folder), Notes(log)
    report = compose.train(space, notes, resume=True)
    notes.start("rollback")
    compose.rollback(space)
    notes.start("promote")
    compose.promote(space, report.version)


def contents(folder: Path) -> list[str]:
    """The content of each version that can be seen; one that is not whole counts as "broken"."""
    registry = space_of(folder).registry
    found = []
    for entry in registry.entries():
        try:
            check_adapter(registry.get(entry.version).folder)
            found.append(entry.content_id)
        except TwinError:
            found.append("broken")
    return found


def serves(folder: Path) -> bool:
    """Whether the live version is an adapter that verifies, loads, and gives probabilities."""
    from llm_twin.adapters.torch_scorer import TorchScorer

    space = space_of(folder)
    try:
        model = space.registry.get("live")
        scorer = TorchScorer(load_model(compose.base_model(space), adapter=model.folder))
    except TwinError:
        return False
    return space.registry.resolve("live") != BASE and len(scorer.token_logprobs([1, 2, 3], [4, 5])) == 2


if __name__ == "__main__":
    main()
