"""The preference step: of two completions of a prompt, the author's own is made likelier than the twin's.

Direct preference optimisation (DPO, Rafailov et al. 2023, arXiv:2305.18290) of an adapter that is trained
already, on drafts of its own (as in SPIN, Chen et al. 2024, arXiv:2401.01335), with the author's text
anchored by its own cross entropy (Pang et al. 2024, arXiv:2404.19733): DPO alone is content where both become
unlikely, one less than the other. The reference is the adapter as it came, asked once before the first step.

The loss of a pair, with c the author's completion, r the draft and margin m = log p(c) - log p(r) over that
of the reference, is -log sigmoid(beta m) - anchor log p(c) / tokens of c. Its gradient is a weighted sum of
the gradients of two cross entropies, so no logits are held, as in `loss`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from llm_twin.config import Training
from llm_twin.contracts.ports import ChatTokenizer, Progress
from llm_twin.contracts.records import Message
from llm_twin.contracts.scores import body_and_head
from llm_twin.errors import TrainingError
from llm_twin.training import attention, checkpoint, loss
from llm_twin.training.data import Example
from llm_twin.training.fused import fuse
from llm_twin.training.loop import CLIP, schedule
from llm_twin.training.processes import processes

_PAIRS = 8  # of an optimiser step
_WARMUP = 0.1  # of the steps
_ANCHOR = 1.0  # weight of the author's own cross entropy; as Pang et al. found best


@dataclass(frozen=True, slots=True)
class Pair:
    """Two completions of one prompt: the author's own words, and what the twin made of it.

    `ended` is whether the twin's were all that it had to say; a text that was cut has no end to learn from.
    """

    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    ended: bool = True


@dataclass(frozen=True, slots=True)
class PreferenceRun:
    """What the step did.

    Attributes:
        adapter_dir: the new adapter, PEFT format.
        pairs: how many it learnt from.
        tokens: forward and backward, without padding.
    """

    adapter_dir: Path
    pairs: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Tokens:
    """A pair as token ids, each completion after the same prompt."""

    chosen: Example
    rejected: Example

    @property
    def tokens(self) -> int:
        return len(self.chosen.ids) + len(self.rejected.ids)


def prefer(
    model: Any,
    pairs: Sequence[Pair],
    config: Training,
    tokenizer: ChatTokenizer,
    target: Path,
    base_name: str,
    progress: Progress,
) -> PreferenceRun:
    """Train the adapter of a PEFT model on pairs, in place; the changed one is written to `target` too.

    The model stays in evaluation mode: with dropout it would not begin as the reference.

    Raises TrainingError where the loss is no longer a number.
    """
    _make_trainable(model)
    known = [_tokenise(pair, tokenizer) for pair in pairs]
    progress.start("ask the reference", total=len(known))
    references = []
    for pair in known:
        references.append(_margin(model, pair))
        progress.advance()
    parameters = list(checkpoint.trainable(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=config.preference_learning_rate, weight_decay=0.0)
    order = list(range(len(known)))
    random.Random(config.seed).shuffle(order)
    steps = [order[i : i + _PAIRS] for i in range(0, len(order), _PAIRS)]
    progress.start("prefer the author's text", total=sum(pair.tokens for pair in known))
    margins = []
    for number, step in enumerate(steps):
        for i in step:
            margins.append(_backward(model, known[i], references[i], config, len(step)))
            progress.advance(known[i].tokens, note=f"margin {sum(margins[-32:]) / len(margins[-32:]):+.2f}")
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, CLIP))
        if not math.isfinite(norm):
            raise TrainingError(
                f"The preference step broke at step {number + 1}: gradient norm {norm}",
                "Lower training.preference_learning_rate, or set training.preference_pairs to 0",
            )
        for group in optimizer.param_groups:
            group["lr"] = config.preference_learning_rate * schedule(number, len(steps), _WARMUP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    checkpoint.save_adapter(model, target, base_name)
    return PreferenceRun(target, len(known), sum(pair.tokens for pair in known))


def _make_trainable(model: Any) -> None:
    model.eval()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
    model.to(processes().device)
    fuse(model)
    attention.use(model)


def _tokenise(pair: Pair, tokenizer: ChatTokenizer) -> _Tokens:
    prompt = tokenizer.encode_chat(pair.messages)
    end = tokenizer.eos_ids[:1]
    chosen = (*prompt, *tokenizer.encode(pair.chosen), *end)
    rejected = (*prompt, *tokenizer.encode(pair.rejected), *(end if pair.ended else ()))
    return _Tokens(Example(chosen, len(prompt)), Example(rejected, len(prompt)))


def _halves(model: Any, pair: _Tokens) -> tuple[torch.Tensor, list[tuple[float, torch.Tensor]]]:
    """(hidden states with loss, for chosen and rejected: nats and their gradient)."""
    body, head = body_and_head(model)
    half = head.weight.dtype == torch.bfloat16
    device = head.weight.device
    ids, positions, wanted = loss.tensors((pair.chosen, pair.rejected), device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        hidden = loss.hidden_states(body, ids, positions)
        first = pair.chosen.targets
        found = [
            loss.chunked_cross_entropy(head, hidden[at], wanted[at])
            for at in (slice(first), slice(first, None))
        ]
    return hidden, found


@torch.no_grad()
def _margin(model: Any, pair: _Tokens) -> float:
    """log p(chosen) - log p(rejected), in nats."""
    _, ((chosen, _), (rejected, _)) = _halves(model, pair)
    return rejected - chosen


def _backward(model: Any, pair: _Tokens, reference: float, config: Training, pairs: int) -> float:
    """Add the gradient of a pair's loss, as a share of so many. Returns its margin over the reference."""
    hidden, ((chosen, gradient), (rejected, against)) = _halves(model, pair)
    margin = rejected - chosen - reference
    pull = config.preference_beta / (1 + math.exp(min(50.0, config.preference_beta * margin)))
    gradient *= pull + _ANCHOR / pair.chosen.targets
    against *= -pull
    torch.autograd.backward(hidden, torch.cat((gradient, against)) / pairs)
    return margin
