"""LoRA layers, gated MLPs and norms with their gradients written out: the same numbers, less work and memory.

Autograd keeps the input of every operation it saw. Around a LoRA layer of peft those are copies of one tensor
in two precisions, around a gated MLP four tensors of the width of the MLP, around a norm three in fp32. The
frozen weights need no gradient, so a layer needs only its input and the short product with A; what an MLP and
a norm put out is computed again on the way back. As Unsloth (Han and Han 2023) and Liger Kernel (Hsu et al.
2024, arXiv:2410.10989) do on GPUs, here in plain PyTorch for any device.

Only what is recognised is replaced, and only where it gives what the original gives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu as silu_of

_ADAPTER = "default"  # the name that peft gives
_SAME = 0.02  # of the largest value; bf16 rounds to 0.004, another formula is off by far more


@cache
def _with(forward: Callable[..., Any], kind: type) -> type:
    return type(kind.__name__, (kind,), {"forward": forward})


def fuse(model: Any) -> int:
    """Give the layers of a PEFT model the forward passes of this module. Returns how many it replaced."""
    replaced = 0
    for module in model.modules():
        for recognised, forward in _KINDS:
            if recognised(module) and _agrees(module, forward):
                # By its class: a method set on a module would refer to it, a cycle for which a whole base
                # stays in memory until Python happens to look for cycles.
                module.__class__ = _with(forward, module.__class__)
                replaced += 1
                break
    return replaced


def _is_lora(module: Any) -> bool:
    """A plain LoRA layer around a linear one: one adapter, no dropout, no variant such as DoRA."""
    from peft.tuners.lora import Linear

    if not isinstance(module, Linear) or list(module.lora_A) != [_ADAPTER]:
        return False
    dropout = module.lora_dropout[_ADAPTER]
    return (
        type(module.base_layer) is torch.nn.Linear
        and not module.lora_variant
        and not module.lora_bias[_ADAPTER]
        and (isinstance(dropout, torch.nn.Identity) or dropout.p == 0)
    )


def _is_gated_mlp(module: Any) -> bool:
    """Three LoRA layers without bias, gated by SiLU."""
    parts: list[Any] = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    if not all(_is_lora(part) and part.base_layer.bias is None for part in parts):
        return False
    values = torch.linspace(-4, 4, 9)
    return torch.allclose(module.act_fn(values), silu_of(values))


def _is_norm(module: Any) -> bool:
    weight = getattr(module, "weight", None)
    return hasattr(module, "variance_epsilon") and isinstance(weight, Tensor) and not weight.requires_grad


def _agrees(module: Any, forward: Callable[[Any, Tensor], Tensor]) -> bool:
    """Whether the forward pass of this module gives what the module's own gives, for a few random rows."""
    if hasattr(module, "variance_epsilon"):
        weight, width = module.weight, module.weight.shape[0]
    else:
        first = module if _is_lora(module) else module.gate_proj
        weight, width = first.base_layer.weight, first.base_layer.in_features
    drawn = torch.randn(4, width, generator=torch.Generator().manual_seed(0))
    rows = drawn.to(weight.device, weight.dtype)
    with torch.no_grad():
        expected, found = module(rows), forward(module, rows)
    largest = expected.abs().max()
    return bool((expected - found).abs().max() <= _SAME * largest)


def _lora(self: Any, rows: Tensor) -> Tensor:
    if self.disable_adapters:
        plain: Tensor = self.base_layer(rows)
        return plain
    found: Tensor = _Lora.apply(rows, self.base_layer.bias, *_weights(self))  # type: ignore[no-untyped-call]
    return found


def _gated_mlp(self: Any, rows: Tensor) -> Tensor:
    parts = (self.gate_proj, self.up_proj, self.down_proj)
    if self.down_proj.disable_adapters:
        gate, up = parts[0].base_layer(rows), parts[1].base_layer(rows)
        plain: Tensor = parts[2].base_layer(silu_of(gate) * up)
        return plain
    found: Tensor = _GatedMlp.apply(rows, *(w for part in parts for w in _weights(part)))  # type: ignore[no-untyped-call]
    return found


def _norm(self: Any, rows: Tensor) -> Tensor:
    found: Tensor = _Norm.apply(rows, self.weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
    return found


_KINDS = ((_is_gated_mlp, _gated_mlp), (_is_lora, _lora), (_is_norm, _norm))


def _weights(layer: Any) -> tuple[Tensor, Tensor, Tensor, float]:
    """(W, A, B, scale) of a LoRA layer: W [out, in] frozen, A [rank, in], B [out, rank]."""
    a, b = layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight
    return layer.base_layer.weight, a, b, layer.scaling[_ADAPTER]


def _forward(x: Tensor, w: Tensor, a: Tensor, b: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """(y, h): x W' + scale x A' B', and h = x A', shape [rows, rank]."""
    h = x @ a.to(x.dtype).t()
    return (x @ w.t()).addmm_(h, b.to(x.dtype).t(), alpha=scale), h


def _backward(
    g: Tensor, x: Tensor, h: Tensor, a: Tensor, b: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(gradient of h, of A, of B) from that of y."""
    gh = (g @ b.to(g.dtype)).mul_(scale)
    return gh, (gh.t() @ x).to(a.dtype), (g.t() @ h).to(b.dtype).mul_(scale)


class _Lora(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, bias: Tensor | None, w: Tensor, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        x = rows.reshape(-1, rows.shape[-1]).to(w.dtype)
        y, h = _forward(x, w, a, b, scale)
        if bias is not None:
            y += bias
        ctx.save_for_backward(x, h, w, a, b)
        ctx.scale = scale
        return y.view(*rows.shape[:-1], y.shape[-1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, h, w, a, b = ctx.saved_tensors
        g = gradient.reshape(-1, gradient.shape[-1])
        gh, ga, gb = _backward(g, x, h, a, b, ctx.scale)
        gx = None
        if ctx.needs_input_grad[0]:
            gx = (g @ w).addmm_(gh, a.to(g.dtype)).view(*gradient.shape[:-1], x.shape[-1])
        return gx, None, None, ga, gb, None


class _GatedMlp(torch.autograd.Function):
    """down(silu(gate(x)) * up(x)): SwiGLU, Shazeer 2020, arXiv:2002.05202."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, *weights: Any) -> Tensor:
        gate_w, up_w, down_w = weights[:4], weights[4:8], weights[8:]
        x = rows.reshape(-1, rows.shape[-1]).to(gate_w[0].dtype)
        gate, h_gate = _forward(x, *gate_w)
        up, h_up = _forward(x, *up_w)
        y, h_down = _forward(silu_of(gate).mul_(up), *down_w)
        ctx.save_for_backward(x, gate, up, h_gate, h_up, h_down, *gate_w[:3], *up_w[:3], *down_w[:3])
        ctx.scales = gate_w[3], up_w[3], down_w[3]
        return y.view(rows.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        x, gate, up, h_gate, h_up, h_down, *weights = ctx.saved_tensors
        (w_gate, a_gate, b_gate), (w_up, a_up, b_up) = weights[:3], weights[3:6]
        w_down, a_down, b_down = weights[6:]
        g = gradient.reshape(-1, gradient.shape[-1])
        silu = silu_of(gate)
        inner = silu * up
        gh, ga_down, gb_down = _backward(g, inner, h_down, a_down, b_down, ctx.scales[2])
        g_inner = torch.mm(g, w_down, out=inner).addmm_(gh, a_down.to(g.dtype))
        g_up = silu.mul_(g_inner)
        g_gate = torch.ops.aten.silu_backward(g_inner.mul_(up), gate)
        gh_gate, ga_gate, gb_gate = _backward(g_gate, x, h_gate, a_gate, b_gate, ctx.scales[0])
        gh_up, ga_up, gb_up = _backward(g_up, x, h_up, a_up, b_up, ctx.scales[1])
        gx = (g_gate @ w_gate).addmm_(g_up, w_up)
        gx.addmm_(gh_gate, a_gate.to(g.dtype)).addmm_(gh_up, a_up.to(g.dtype))
        down = (None, ga_down, gb_down, None)
        return gx.view(gradient.shape), None, ga_gate, gb_gate, None, None, ga_up, gb_up, None, *down


class _Norm(torch.autograd.Function):
    """x / rms(x) * weight: RMSNorm, Zhang and Sennrich 2019, arXiv:1910.07467; in fp32 inside."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(length.square_().div_(rows.shape[-1]).add_(epsilon))
        ctx.save_for_backward(rows, scale, weight)
        return (rows * scale).to(rows.dtype).mul_(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows, scale, weight = ctx.saved_tensors
        normed = rows * scale
        g = (gradient * weight).float()
        along = (g * normed).mean(-1, keepdim=True)
        return g.addcmul_(normed, along, value=-1).mul_(scale).to(rows.dtype), None, None
