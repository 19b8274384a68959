"""Generation by transformers + peft: any architecture, and a GPU where there is one.

The decode loop is written out, so that sampling means what it means in llama.cpp: penalties over the same
window of tokens, then min-p, then top-p of what it leaves, both on the untempered distribution, and the
temperature last.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from llm_twin.adapters.base_model import BaseModel, load_model
from llm_twin.adapters.llama_cpp import REPEAT_WINDOW, check_request
from llm_twin.contracts.ports import ChatTokenizer, Piece, Sampling
from llm_twin.contracts.versions import BASE
from llm_twin.errors import EngineError

_BROKEN = "�"  # what a decoder puts for the bytes of a character that is not complete yet


class TransformersEngine:
    """`contracts.ports.Engine` on a Hugging Face base and PEFT adapter folders.

    Weights are float32 on a processor and bfloat16 on a GPU. Requests may overlap; their steps take turns.

    Raises EngineError where they find no room on the GPU.
    """

    name = "transformers"

    def __init__(
        self, base: BaseModel, adapters: Mapping[str, Path], tokenizer: ChatTokenizer, context: int = 4096
    ) -> None:
        import torch

        self.models: tuple[str, ...] = (BASE, *adapters)
        self.context = context
        self._tokenizer = tokenizer
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self._model = _load(base, tuple(adapters.values()), self._device)
        except torch.OutOfMemoryError:
            raise EngineError(
                f"There is no room on the GPU for {base.name} beside what it holds already",
                "Start this program again, close others that use the GPU, or choose a smaller base (base.id)",
            ) from None
        self._turn = threading.Lock()  # which adapter is active is state of the one model

    def stream(self, prompt: Sequence[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        """Pieces as they are made, whole characters only. Closing the iterator stops the generation.

        Raises VersionNotFound for an unknown model, EngineError where the prompt does not fit the context.
        """
        check_request(self, prompt, model)
        return self._pieces(list(prompt), model, sampling)

    def next_token_logprobs(self, prompt: Sequence[int], model: str, top: int) -> dict[int, float]:
        """Natural-log probabilities of the `top` likeliest next tokens before any rule, best first."""
        check_request(self, prompt, model)
        logits, _ = self._step(list(prompt), model, None)
        best = logits.log_softmax(-1).topk(top)
        return dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def close(self) -> None:
        """Free the model, once the step that is being taken has ended."""
        with self._turn:
            self._model = None

    def _pieces(self, prompt: list[int], model: str, sampling: Sampling) -> Iterator[Piece]:
        import torch

        draw = torch.Generator().manual_seed(sampling.seed)
        room = min(sampling.max_tokens, self.context - len(prompt))
        made: list[int] = []
        sent, cache, feed = 0, None, prompt
        while len(made) < room:
            logits, cache = self._step(feed, model, cache)
            token = choose(logits, (prompt + made)[-REPEAT_WINDOW:], sampling, draw)
            if token in self._tokenizer.eos_ids:
                break
            made.append(token)
            feed = [token]
            text = self._tokenizer.decode(made)
            end, stopped = visible(text, sampling.stop)
            if end > sent:
                yield Piece(text[sent:end], len(made))
                sent = end
            if stopped:
                return
        # What was held back as the possible start of a stop string is text after all.
        rest = self._tokenizer.decode(made)[sent:].rstrip(_BROKEN)
        if rest:
            yield Piece(rest, len(made))

    def _step(self, ids: list[int], model: str, cache: Any) -> tuple[Any, Any]:
        """Logits of the next token, [vocabulary], float32 on the CPU; and the cache of keys and values."""
        import torch

        with self._turn, torch.inference_mode():
            if self._model is None:
                raise EngineError("This transformers engine was closed", "Open the twin again")
            with self._adapter(model):
                out = self._model(
                    input_ids=torch.tensor([ids], device=self._device),
                    cache=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
        return out.logits[0, -1].float().cpu(), out.cache

    def _adapter(self, model: str) -> Any:
        """Context in which the model is the one asked for."""
        if model != BASE:
            self._model.set_adapter(_slot(self.models.index(model)))
            return nullcontext()
        return self._model.disable_adapter() if len(self.models) > 1 else nullcontext()


def choose(logits: Any, recent: Sequence[int], sampling: Sampling, draw: Any) -> int:
    """The next token from `logits` [vocabulary], by the rules of `llama_cpp.SAMPLERS` in their order.

    `recent` are the tokens that the repeat penalty applies to (Keskar et al. 2019, arXiv:1909.05858:
    positive logits are divided, negative ones multiplied), and among which longer runs are looked for. min-p
    keeps what is at least min_p times as likely as the best (Nguyen et al. 2024, arXiv:2407.01082), top-p the
    likeliest of those, up to its share of their mass.
    """
    import torch

    if sampling.repeat_penalty != 1:
        seen = torch.tensor(sorted(set(recent)), dtype=torch.long)
        found = logits[seen]
        logits = logits.clone()
        logits[seen] = torch.where(
            found > 0, found / sampling.repeat_penalty, found * sampling.repeat_penalty
        )
    if sampling.longest_repeat and (banned := longer_runs(recent, sampling.longest_repeat)):
        logits = logits.clone()
        logits[banned] = -torch.inf
    if sampling.temperature <= 0:
        return int(logits.argmax())
    chances = logits.softmax(-1)
    likely = (chances >= sampling.min_p * chances.max()).nonzero().squeeze(-1)
    shares, order = chances[likely].sort(descending=True, stable=True)
    # The mass of all better ones: the token that crosses top_p still counts.
    better = (shares.cumsum(-1) - shares) / shares.sum()
    kept = likely[order[better < sampling.top_p]]
    weights = (logits[kept] / sampling.temperature).softmax(-1)
    return int(kept[torch.multinomial(weights, 1, generator=draw)])


def longer_runs(recent: Sequence[int], longest: int) -> list[int]:
    """The tokens that would make the last `longest` tokens a longer run that was said before in `recent`."""
    ids = list(recent)
    tail = ids[-longest:]
    return sorted({ids[at + longest] for at in range(len(ids) - longest) if ids[at : at + longest] == tail})


def visible(text: str, stops: Sequence[str]) -> tuple[int, bool]:
    """(end, stopped): how much of `text` may be shown now, and whether a stop string stands right after it.

    Held back are an incomplete character and an end that may be the beginning of a stop string.
    """
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    if found:
        return min(found), True
    shown = text.rstrip(_BROKEN)
    held = (n for stop in stops for n in range(len(stop) - 1, 0, -1) if shown.endswith(stop[:n]))
    return len(shown) - max(held, default=0), False


def _slot(number: int) -> str:
    return f"adapter{number}"  # peft's own names may not hold dots; versions may be called anything


def _load(base: BaseModel, adapters: Sequence[Path], device: str) -> Any:
    model = load_model(base, "bf16" if device == "cuda" else "fp32")
    if adapters:
        from peft import PeftModel

        with warnings.catch_warnings():
            # peft asks transformers for a property that it has renamed; nothing that a user could change.
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
            model = PeftModel.from_pretrained(model, adapters[0], adapter_name=_slot(1))
            for number, folder in enumerate(adapters[1:], start=2):
                model.load_adapter(folder, _slot(number))
    return model.to(device).eval()
