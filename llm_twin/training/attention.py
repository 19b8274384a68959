"""Causal attention that is faster on a processor than PyTorch's own, there and back.

PyTorch's flash kernel for processors is slow in bf16, most of all on the way back and for the short rows that
an author's paragraphs make. Here both ways are plain matrix products over blocks of queries, each with the
keys up to its end, as in FlashAttention (Dao et al. 2022, arXiv:2205.14135): the heads that share a key are
one product. Nothing is kept but q, k and v. Measured on two cores with avx512_bf16 (9 heads on 3, width 64),
in ms there and back, PyTorch's in brackets: a row of 1,000 tokens 8 and 18 (12 and 34), 4 rows of 250 2.5 and
8 (5 and 17), 8 of 125 2.3 and 6 (4 and 20).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

NAME = "blocked"
# Queries of a block: scores of 3 heads by 64 by 1,000 in bf16 fit the second-level cache. 128 were no faster
# in long rows, and slower in short ones.
_BLOCK = 64


def use(model: Any) -> bool:
    """Let a transformers model attend by this module where that is faster; whether it does."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    weight = next(model.parameters())
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return False
    if getattr(model.config, "_attn_implementation", None) != "sdpa":
        return False

    def attend(
        module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **more: Any
    ) -> tuple[Tensor, None]:
        plain = attention_mask is None and not more.get("dropout") and query.shape[2] == key.shape[2]
        if not (plain and query.requires_grad and getattr(module, "is_causal", False)):
            answer: tuple[Tensor, None] = sdpa_attention_forward(
                module, query, key, value, attention_mask, **more
            )
            return answer
        scaling = more.get("scaling") or query.shape[-1] ** -0.5
        out: Tensor = Causal.apply(query, key, value, scaling)  # type: ignore[no-untyped-call]
        return out.transpose(1, 2).contiguous(), None

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


class Causal(torch.autograd.Function):
    """Attention of q [rows, heads, length, width] to k and v [rows, groups, length, width].

    The width of v may be one of its own, as in multi-head latent attention.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """softmax(scale q k') v, as many rows, heads and positions as q, of the width of v."""
        ctx.save_for_backward(q, k, v)
        ctx.scale = scale
        keys, values = k.flatten(0, 1), v.flatten(0, 1)
        queries = (q * scale).reshape(len(keys), -1, *q.shape[2:])
        out = queries.new_empty(*queries.shape[:3], v.shape[-1])
        for block, seen in _blocks(q.shape[2]):
            weights = _weights(queries[:, :, block], keys[:, seen].contiguous())
            found = torch.bmm(weights, values[:, seen].contiguous())
            out[:, :, block] = found.view_as(out[:, :, block])
        return out.view(*q.shape[:3], v.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of q, k and v; the weights of attention are computed again, block by block."""
        q, k, v = ctx.saved_tensors
        keys, values = k.flatten(0, 1), v.flatten(0, 1)
        queries, g = (x.reshape(len(keys), -1, *x.shape[2:]) for x in (q * ctx.scale, gradient))
        gq = torch.empty_like(queries)
        gk, gv = torch.zeros(keys.shape), torch.zeros(values.shape)  # sums over blocks, in fp32
        for block, seen in _blocks(q.shape[2]):
            # A product copies what is not contiguous, a transposed slice element by element.
            k_seen, v_seen = keys[:, seen].contiguous(), values[:, seen].contiguous()
            q_block, g_block = queries[:, :, block].flatten(1, 2), g[:, :, block].flatten(1, 2)
            weights = _weights(queries[:, :, block], k_seen)
            gv[:, seen] += torch.bmm(weights.transpose(1, 2), g_block)
            g_weights = torch.bmm(g_block, v_seen.transpose(1, 2))
            g_scores = torch._softmax_backward_data(g_weights, weights, -1, weights.dtype)
            gq[:, :, block] = torch.bmm(g_scores, k_seen).view_as(gq[:, :, block])
            gk[:, seen] += torch.bmm(g_scores.transpose(1, 2), q_block)
        return (
            gq.mul_(ctx.scale).view(q.shape),
            gk.to(k.dtype).view(k.shape),
            gv.to(v.dtype).view(v.shape),
            None,
        )


def _blocks(length: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of queries, each with the keys that its last one sees."""
    for start in range(0, length, _BLOCK):
        end = min(start + _BLOCK, length)
        yield slice(start, end), slice(end)


def _weights(queries: Tensor, keys: Tensor) -> Tensor:
    """Softmax of the scores, [groups, heads * block, seen].

    queries: [groups, heads, block, width]; keys: [groups, seen, width], of which the last query sees all.
    """
    block, seen = queries.shape[2], keys.shape[1]
    scores = torch.bmm(queries.flatten(1, 2), keys.transpose(1, 2))
    later = torch.ones(block, block, dtype=torch.bool).triu_(1)
    scores.view(*queries.shape[:3], seen)[..., seen - block :].masked_fill_(later, -math.inf)
    return torch.softmax(scores, -1)
