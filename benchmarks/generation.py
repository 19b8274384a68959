"""How fast the twin writes: its llama.cpp engine with an adapter, against transformers + peft and llama.cpp.

All three decode greedily from the same prompt with the same adapter and the same number of threads, in
turns, each in a process of its own (two llama.cpp engines in one process share their barriers and slow each
other down). `decode_tok_s` is the rate after the first token; `first_token_ms` is for a prompt of 1,000
tokens.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from machine import Measured, run

from llm_twin import sample
from llm_twin.adapters.base_model import PACKAGED, BaseModel, HFChatTokenizer, load_model, resolve_base
from llm_twin.adapters.gguf_adapter import convert
from llm_twin.adapters.llama_cpp import LlamaCppEngine
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Sampling
from llm_twin.contracts.versions import ADAPTER_GGUF, BASE

OURS, LLAMA, TORCH = "llm-twin", "llama.cpp", "transformers + peft"
TWIN = "twin"
LONG = 1000  # tokens of the long prompt

# Makes a text of so many tokens and says at what second how many were there.
Stamps = list[tuple[float, int]]
Decode = Callable[[list[int], int], Stamps]


@dataclass(frozen=True)
class Setting:
    """What is measured: a base and an adapter for it, in both formats in one folder."""

    base: BaseModel
    adapter: Path
    threads: int | None


def main() -> None:
    run("generation", __doc__, measure, arguments)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workspace", type=Path, help="measure its live adapter (otherwise: random weights, rank 16)"
    )
    parser.add_argument("--threads", type=int, help="default: what the twin's engine chooses here")


def measure(options: argparse.Namespace) -> Measured:
    repeats, tokens = (2, 32) if options.quick else (5, 128)
    with tempfile.TemporaryDirectory() as folder:
        base, adapter = live(options.workspace) if options.workspace else random_adapter(Path(folder))
        tokenizer = HFChatTokenizer(base.folder)
        short = tokenizer.encode_chat(prompts.write("Ada", "What the river taught me"))
        prose = tokenizer.encode("\n\n".join(p.markdown for p in sample.posts()))
        with contender(OURS, Setting(base, adapter, options.threads)) as ours:
            setting = Setting(base, adapter, ours.ready["threads"])
            with contender(LLAMA, setting) as llama, contender(TORCH, setting) as torch:
                rivals = (ours, llama, torch)
                rows: dict[str, list[dict[str, float]]] = {rival.name: [] for rival in rivals}
                for turn in range(repeats):
                    long = prose[turn * LONG : (turn + 1) * LONG]  # a new one each time: no cache helps
                    for rival in rivals:
                        rows[rival.name].append(timed(rival, short, tokens) | waited(rival, long))
                base_rates = [rate(ours.decode(short, tokens, BASE)) for _ in range(repeats)]
                found = {r.name: medians(rows[r.name]) | r.ready | r.memory() for r in rivals}
    mine = found.pop(OURS)
    base_rate = round(statistics.median(base_rates), 1)
    mine |= {"decode_tok_s_base": base_rate, "tokens": tokens, "repeats": repeats}
    ratios = {
        f"{figure} against {name}": round(better(mine[figure], peer[figure], figure), 2)
        for name, peer in found.items()
        for figure in ("decode_tok_s", "first_token_ms")
    }
    return Measured(mine, found, ratios)


def better(mine: float, theirs: float, figure: str) -> float:
    """How many times better: above 1 is good for llm-twin, whichever way the figure counts."""
    return theirs / mine if figure.endswith("_ms") else mine / theirs


def medians(rows: list[dict[str, float]]) -> dict[str, Any]:
    return {key: round(statistics.median(row[key] for row in rows), 1) for key in rows[0]}


def timed(rival: Contender, prompt: list[int], tokens: int) -> dict[str, float]:
    return {"decode_tok_s": rate(rival.decode(prompt, tokens))}


def waited(rival: Contender, prompt: list[int]) -> dict[str, float]:
    return {"first_token_ms": 1000 * rival.decode(prompt, 4)[0][0]}


def rate(stamps: Stamps) -> float:
    """Tokens a second from the first token to the last."""
    (start, first), (end, last) = stamps[0], stamps[-1]
    return (last - first) / (end - start)


# --- what is measured ---------------------------------------------------------------------------------------


def live(folder: Path) -> tuple[BaseModel, Path]:
    """The base and the live adapter of a workspace."""
    from llm_twin.compose.parts import base_model
    from llm_twin.compose.space import open_workspace

    space = open_workspace(folder)
    pair = space.registry.live()
    if pair is None or pair.model == BASE:
        raise SystemExit(f"{folder} has no live adapter: train one, or leave --workspace out")
    return base_model(space), space.registry.get(pair.model).folder


def random_adapter(folder: Path) -> tuple[BaseModel, Path]:
    """The packaged base and an adapter of rank 16 on all linear layers: as fast as a trained one."""
    import torch
    from peft import LoraConfig, get_peft_model

    base = resolve_base(PACKAGED)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    torch.manual_seed(0)
    model = get_peft_model(load_model(base), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.01)
    model.save_pretrained(folder)
    convert(folder, base.folder, folder / ADAPTER_GGUF)
    return base, folder


# --- each in its own process --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contender:
    """A running process that decodes when it is asked to."""

    name: str
    ready: dict[str, Any]
    pipe: Connection
    process: psutil.Process

    def decode(self, prompt: list[int], tokens: int, model: str = TWIN) -> Stamps:
        """Ask it for a text, and wait for when its tokens came."""
        self.pipe.send((prompt, tokens, model))
        stamps: Stamps = self.pipe.recv()
        return stamps

    def memory(self) -> dict[str, int]:
        """What it holds now."""
        return {"rss_mb": round(self.process.memory_info().rss / 1e6)}


@contextmanager
def contender(name: str, setting: Setting) -> Iterator[Contender]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(name, setting, there))
    process.start()
    there.close()
    try:
        yield Contender(name, here.recv(), here, psutil.Process(process.pid))
        here.send(None)
    finally:
        here.close()
        process.join()


def serve(name: str, setting: Setting, pipe: Connection) -> None:
    """Open the contender, say how long that took, then answer requests until None comes."""
    if setting.threads:
        os.environ["OMP_NUM_THREADS"] = str(setting.threads)  # before torch is imported
    open_engine = {OURS: open_ours, LLAMA: open_llama, TORCH: open_torch}[name]
    start = time.perf_counter()
    decode, threads = open_engine(setting)
    pipe.send({"start_s": round(time.perf_counter() - start, 2), "threads": threads})
    while (asked := pipe.recv()) is not None:
        pipe.send(decode(*asked))


def open_ours(setting: Setting) -> tuple[Callable[..., Stamps], int]:
    assert setting.base.gguf
    engine = LlamaCppEngine(
        setting.base.gguf, {TWIN: setting.adapter / ADAPTER_GGUF}, threads=setting.threads
    )

    def decode(prompt: list[int], tokens: int, model: str) -> Stamps:
        sampling = Sampling(max_tokens=tokens, temperature=0, repeat_penalty=1)
        start = time.perf_counter()
        return [(time.perf_counter() - start, p.tokens) for p in engine.stream(prompt, model, sampling)]

    return decode, engine.threads


def open_llama(setting: Setting) -> tuple[Callable[..., Stamps], int]:
    """llama.cpp's own server as its documentation starts it: the model, the adapter, the threads."""
    import xllamacpp

    assert setting.threads
    params = xllamacpp.CommonParams()
    params.model.path = str(setting.base.gguf)
    params.n_ctx = 4096
    params.cpuparams.n_threads = setting.threads
    params.verbosity = -1
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(setting.adapter / ADAPTER_GGUF), 1.0
    params.lora_adapters = [adapter]
    server = xllamacpp.Server(params)

    def decode(prompt: list[int], tokens: int, model: str) -> Stamps:
        stamps: Stamps = []
        start = time.perf_counter()

        def receive(chunk: dict[str, Any]) -> bool:
            if chunk["choices"][0]["text"]:
                stamps.append((time.perf_counter() - start, len(stamps) + 1))
            return False

        request = {"prompt": prompt, "n_predict": tokens, "temperature": 0, "stream": True}
        server.handle_completions(request, receive)
        return stamps

    return decode, setting.threads


def open_torch(setting: Setting) -> tuple[Callable[..., Stamps], int]:
    """`model.generate` of a PeftModel, as the documentation of peft shows it."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    assert setting.threads
    torch.set_num_threads(setting.threads)
    model = AutoModelForCausalLM.from_pretrained(setting.base.folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, setting.adapter).eval()

    def decode(prompt: list[int], tokens: int, name: str) -> Stamps:
        clock = Clock()
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens,
                do_sample=False,
                streamer=clock,
            )
        return clock.stamps

    return decode, setting.threads


class Clock:
    """A streamer for `generate` that only looks at the clock."""

    def __init__(self) -> None:
        self.stamps: Stamps = []
        self._start = time.perf_counter()
        self._prompt = True

    def put(self, _: Any) -> None:
        """A token was made."""
        if not self._prompt:  # the prompt is put first
            self.stamps.append((time.perf_counter() - self._start, len(self.stamps) + 1))
        self._prompt = False

    def end(self) -> None:
        """Nothing is held back."""


if __name__ == "__main__":
    main()
