"""Generation by llama.cpp in this process (through xllamacpp), with adapters chosen request by request.

Prompts are token ids made by the one rendering of `contracts.prompts` and the Hugging Face tokenizer;
llama.cpp's own tokenizer and chat template are never used. Generation is asked for and streamed by function
calls; the loopback port that xllamacpp opens besides is not used, and is closed to others by a random key.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from llm_twin.adapters.openmp import cores, release_threads
from llm_twin.contracts.ports import Piece, Sampling
from llm_twin.contracts.versions import BASE
from llm_twin.errors import EngineError, VersionNotFound

DEBUG = "LLM_TWIN_DEBUG"
# Requests that are generated side by side, batched where they ask for the same adapter; further ones wait
# their turn.
SLOTS = 2
# Tokens back from the end that the rules against repeating look at: llama.cpp's default.
REPEAT_WINDOW = 64
# In this order. top-p sorts what it is given: the whole vocabulary, before min-p, took an eighth of the time.
SAMPLERS = ["penalties", "dry", "min_p", "top_p", "temperature"]
_BANNED = 100.0  # taken from a logit, it leaves nothing of any probability
_QUIET, _CHATTY = -1, 3  # llama.cpp's log thresholds: nothing at all, and its own default

Request = dict[str, Any]


class LlamaCppEngine:
    """`contracts.ports.Engine` on a GGUF base and GGUF adapters (see `gguf_adapter`), loaded once.

    Attributes:
        threads: that decode; the prompt is always read by all cores.

    Raises EngineError where llama.cpp cannot load the files.
    """

    name = "llama.cpp"

    def __init__(
        self, gguf: Path, adapters: Mapping[str, Path], context: int = 4096, threads: int | None = None
    ) -> None:
        self.models: tuple[str, ...] = (BASE, *adapters)
        self.context = context
        self.threads = threads or _free_cores()
        self._server: Any = _start(gguf, tuple(adapters.values()), context, self.threads)
        self._closing = threading.Event()
        self._workers: set[threading.Thread] = set()

    def stream(self, prompt: Sequence[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        """Pieces as they are made, whole characters only. Closing the iterator stops the generation.

        Raises VersionNotFound for an unknown model, EngineError where the prompt does not fit the context.
        """
        room = self._room(prompt, model)
        release_threads()
        request: Request = {
            "prompt": list(prompt),
            "lora": self._scales(model),
            "stream": True,
            "n_predict": min(sampling.max_tokens, room),
            "samplers": SAMPLERS,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
            "repeat_last_n": REPEAT_WINDOW,
            **_longest_repeat(sampling.longest_repeat),
            "seed": sampling.seed % 0xFFFFFFFF,  # the largest value means "random" to llama.cpp
            "stop": [s for s in sampling.stop if s],
            "timings_per_token": True,  # brings the number of tokens with each piece
        }
        return self._pieces(request)

    def next_token_logprobs(self, prompt: Sequence[int], model: str, top: int) -> dict[int, float]:
        """Natural-log probabilities of the `top` likeliest next tokens before any rule, best first."""
        self._room(prompt, model)
        request: Request = {
            "prompt": list(prompt),
            "lora": self._scales(model),
            "n_predict": 1,
            "temperature": 0,
            "logprobs": top,
            "post_sampling_probs": False,
        }
        answer = _checked(self._server.handle_completions(request))
        first = answer["choices"][0]["logprobs"]["content"][0]
        return {int(t["id"]): float(t["logprob"]) for t in first["top_logprobs"]}

    def close(self) -> None:
        """Stop running generations, then free the model."""
        self._closing.set()
        for worker in tuple(self._workers):
            worker.join()
        self._server = None

    def _room(self, prompt: Sequence[int], model: str) -> int:
        """Tokens that the answer may have."""
        check_request(self, prompt, model)
        self._check_open()
        return self.context - len(prompt)

    def _check_open(self) -> None:
        if self._server is None:
            raise EngineError("This llama.cpp engine was closed", "Open the twin again")

    def _scales(self, model: str) -> list[dict[str, float]]:
        # llama.cpp answers an unknown id as the base and lets unnamed adapters be: every one is named, by
        # its place.
        return [{"id": n, "scale": float(name == model)} for n, name in enumerate(self.models[1:])]

    def _pieces(self, request: Request) -> Iterator[Piece]:
        """Run the request in a worker, because llama.cpp's call returns only when the answer is complete."""
        self._check_open()  # again: an iterator may be asked for its first piece any time later
        chunks: SimpleQueue[Request | None] = SimpleQueue()
        stopped = threading.Event()

        def receive(chunk: Request) -> bool:
            chunks.put(chunk)
            return stopped.is_set() or self._closing.is_set()  # True ends the generation

        def work(server: Any) -> None:
            try:
                server.handle_completions(request, receive)
            except Exception as error:
                chunks.put({"error": repr(error)})
            finally:
                chunks.put(None)
                self._workers.discard(worker)

        worker = threading.Thread(target=work, args=(self._server,), name="llama.cpp request")
        self._workers.add(worker)
        worker.start()
        try:
            while (chunk := chunks.get()) is not None:
                text = _checked(chunk)["choices"][0]["text"]
                if text:
                    yield Piece(text, int(chunk["timings"]["predicted_n"]))
        finally:
            stopped.set()


def _longest_repeat(tokens: int) -> Request:
    """llama.cpp's DRY as a plain ban on what would repeat more than so many tokens in a row.

    DRY lets a run begin anew at a breaker, and wants one: a control token, which no text holds.
    """
    if not tokens:
        return {}
    return {
        "dry_multiplier": _BANNED,
        "dry_base": 1.0,
        "dry_allowed_length": tokens,
        "dry_penalty_last_n": REPEAT_WINDOW,
        "dry_sequence_breakers": ["<|im_end|>"],
    }


def check_request(engine: Any, prompt: Sequence[int], model: str) -> None:
    """What every engine refuses: a model it does not have, and a prompt that leaves no room for an answer."""
    if model not in engine.models:
        raise VersionNotFound(
            f"The engine was started without the model {model!r} (it has {', '.join(engine.models)})",
            "List what is there: llm-twin models list",
        )
    if not prompt:
        raise EngineError("The prompt is empty")
    if len(prompt) >= engine.context:
        raise EngineError(
            f"The prompt has {len(prompt)} tokens, and the context holds {engine.context}",
            "Ask something shorter, show fewer passages (retrieval.k), or raise generation.context",
        )


def _checked(answer: Request) -> Request:
    error = answer.get("error")
    if error is None:
        return answer
    said = error.get("message", error) if isinstance(error, dict) else error
    raise EngineError(f"llama.cpp did not answer ({' '.join(str(said).split())})")


def _start(gguf: Path, adapters: Sequence[Path], context: int, threads: int) -> Any:
    import xllamacpp

    for path in (gguf, *adapters):
        if not path.is_file():
            raise EngineError(
                f"There is no file {path} for llama.cpp to load", "Check base.gguf and the model version"
            )
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.lora_adapters = [_adapter(path) for path in adapters]
    params.n_parallel = SLOTS
    params.n_ctx = context * SLOTS
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = cores()
    params.fit_params = False  # would ask devices for free memory, and shrink what was asked for to fit it
    # The server's second cache of prompts does not know which adapter made an entry: off. Each slot's own
    # cache does.
    params.cache_ram_mib = 0
    params.verbosity = _CHATTY if os.environ.get(DEBUG) else _QUIET
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.api_keys = [secrets.token_urlsafe(32)]
    params.ui = False
    params.endpoint_slots = False
    try:
        # In a thread, because Ctrl-C here must not free the server before it runs; it is waited for.
        with ThreadPoolExecutor(1) as starting:
            return starting.submit(_running, params).result()
    except RuntimeError as error:
        logging.getLogger(__name__).debug("xllamacpp: %s", error)
        names = ", ".join(str(path) for path in (gguf, *adapters))
        raise EngineError(
            f"llama.cpp could not load {names}", f"Set {DEBUG}=1 and run again to see what llama.cpp says"
        ) from error


def _running(params: Any) -> Any:
    """A server whose loop has begun, as an answered request shows; freed before that, it waits for ever."""
    import xllamacpp

    server = xllamacpp.Server(params)
    _checked(server.handle_completions({"prompt": [0], "n_predict": 1, "temperature": 0}))
    return server


def _adapter(path: Path) -> Any:
    import xllamacpp

    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path = str(path)
    adapter.scale = 0.0  # until a request asks for it
    return adapter


def _free_cores() -> int:
    """Cores that nothing else is using right now, at least one.

    llama.cpp's threads meet some 900 times a token, and one that waits for a busy core holds up all. Measured
    on two cores with an adapter: idle, 68 tokens/s with two threads and 44 with one; busy, 3 and 40.
    """
    import psutil

    busy: float = psutil.cpu_percent(interval=0.1) / 100
    return max(1, round(cores() * (1 - busy)))
