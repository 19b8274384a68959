"""Completion-only cross entropy that never holds logits for more than a slice of positions.

A vocabulary of 49,152 makes the logits of 2,048 tokens 400 MB, and their gradient as much again. Here the
body of the model runs as usual; then, slice by slice over the positions that carry loss, the logits, the
loss and the gradient with respect to the hidden state are computed and dropped. What remains to
back-propagate is one gradient of the size of the hidden states. The same idea as Liger Kernel's fused
linear cross entropy (Hsu et al. 2024, arXiv:2410.10989), in plain PyTorch. The output head is frozen, so no
gradient of its weights is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from llm_twin.contracts.scores import body_and_head
from llm_twin.training.data import Batch

# Of the logits that exist at once, in fp32: 160 positions at 49,152 words. What is larger than 32 MB, glibc
# takes from the system anew each time, and to clear its pages took a tenth of a step.
_SLICE_BYTES = 30 * 2**20


def tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """(ids, positions, targets): inputs [rows, longest - 1], flat positions with loss, their next tokens."""
    width = max(len(e.ids) for e in batch) - 1
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    positions: list[int] = []
    targets: list[int] = []
    for row, example in enumerate(batch):
        ids[row, : len(example.ids) - 1] = torch.tensor(example.ids[:-1])
        positions += range(row * width + example.prompt - 1, row * width + len(example.ids) - 1)
        targets += example.ids[example.prompt :]
    return ids.to(device), torch.tensor(positions, device=device), torch.tensor(targets, device=device)


def hidden_states(body: Any, ids: Tensor, positions: Tensor) -> Tensor:
    """Hidden states at the positions that carry loss, shape [positions, width of the model]."""
    hidden: Tensor = body(input_ids=ids, use_cache=False).last_hidden_state
    return hidden.flatten(0, 1).index_select(0, positions)


@torch.no_grad()
def chunked_cross_entropy(head: Any, hidden: Tensor, targets: Tensor) -> tuple[float, Tensor]:
    """(loss, gradient): the summed cross entropy in nats, and its gradient with respect to `hidden`.

    head: a frozen linear layer; hidden: [positions, width of the model]; targets: ids of the tokens that come
    next, [positions]. The gradient has the shape and precision of `hidden`.
    """
    weight: Tensor = head.weight
    rows = hidden.to(weight.dtype)
    size = min(len(targets), max(1, _SLICE_BYTES // (4 * len(weight))))
    logits = weight.new_empty(size, len(weight))
    wide = logits.new_empty(logits.shape, dtype=torch.float32)
    gradient = torch.empty_like(rows)
    total = 0.0
    for start in range(0, len(targets), size):
        at = slice(start, start + size)
        count = len(targets[at])
        part = torch.mm(rows[at], weight.t(), out=logits[:count])
        if head.bias is not None:
            part += head.bias
        total += _cross_entropy(part, targets[at].unsqueeze(1), wide[:count])
        torch.mm(part, weight, out=gradient[at])
    return total, gradient.to(hidden.dtype)


def _cross_entropy(logits: Tensor, targets: Tensor, wide: Tensor) -> float:
    """The loss in nats of logits [positions, words], which give way to its gradient. targets: [positions, 1].

    The gradient is softmax(logits), less one at the target. To move through memory is what all this costs, so
    it happens in place, in `wide`, which is as large as the logits in fp32.
    """
    wide.copy_(logits)
    wide -= wide.amax(1, keepdim=True)
    target = wide.gather(1, targets)
    total = wide.exp_().sum(1, keepdim=True)
    nats = (total.log() - target).sum().item()
    wide /= total
    wide.scatter_add_(1, targets, torch.full_like(target, -1.0))
    logits.copy_(wide)
    return nats


def backward(model: Any, batch: Batch, targets: float) -> float:
    """Add the gradient of a micro-batch's loss, as a share of `targets` tokens. Returns its nats."""
    body, head = body_and_head(model)
    device, half = head.weight.device, head.weight.dtype == torch.bfloat16
    ids, positions, wanted = tensors(batch, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        hidden = hidden_states(body, ids, positions)
        nats, gradient = chunked_cross_entropy(head, hidden, wanted)
    torch.autograd.backward(hidden, gradient / targets)
    return nats
