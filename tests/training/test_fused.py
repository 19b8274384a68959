from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor

from llm_twin.training import attention
from llm_twin.training.fused import fuse

# peft still asks transformers by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

SMALL = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
LAYERS = 2
IDS = torch.arange(60).reshape(2, 30) % 300


def small_llama(**other: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(7)
    return LlamaForCausalLM(LlamaConfig(**SMALL, **other))


def adapted(plain: Any, **lora: Any) -> Any:
    """With LoRA in it that does something: B starts as zero, which would hide what is wrong."""
    model = get_peft_model(plain, LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", **lora))
    chance = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=chance) / 8)
    return model


def gradients(model: Any) -> tuple[float, dict[str, Tensor]]:
    model.train()
    hidden = model.get_base_model().base_model(input_ids=IDS, use_cache=False).last_hidden_state
    loss = torch.nn.functional.cross_entropy(model.get_output_embeddings()(hidden)[0].float(), IDS[1])
    loss.backward()
    return loss.item(), {n: p.grad.float() for n, p in model.named_parameters() if p.grad is not None}


def off(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The largest error of a gradient, in lengths of that gradient."""
    assert found.keys() == expected.keys()
    return max(float((found[n] - expected[n]).norm() / expected[n].norm()) for n in expected)


@pytest.mark.parametrize("other", [{}, {"attention_bias": True}])
def test_the_gradients_are_those_of_autograd(other: dict[str, Any]) -> None:
    loss, expected = gradients(adapted(small_llama(**other)))
    model = adapted(small_llama(**other))
    # A layer: two norms, an MLP and its three parts, four layers of attention; and one norm at the end.
    assert fuse(model) == LAYERS * 10 + 1
    fused_loss, found = gradients(model)
    assert fused_loss == pytest.approx(loss, abs=1e-6)
    assert off(found, expected) < 1e-4


def test_in_bf16_it_is_no_less_exact_than_autograd() -> None:
    _, exact = gradients(adapted(small_llama().bfloat16().float()))
    plain, fused = adapted(small_llama().bfloat16()), adapted(small_llama().bfloat16())
    assert fuse(fused) > 0
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, by_autograd = gradients(plain)
    _, found = gradients(fused)
    assert off(found, exact) < 1.2 * off(by_autograd, exact)


def test_a_model_scores_the_same_with_its_adapter_off() -> None:
    plain, model = small_llama().eval(), adapted(small_llama()).eval()
    fuse(model)
    with torch.no_grad(), model.disable_adapter():
        assert torch.allclose(model(IDS).logits, plain(IDS).logits, atol=1e-6)
    with torch.no_grad():
        assert not torch.allclose(model(IDS).logits, plain(IDS).logits, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        (lambda: adapted(small_llama(hidden_act="gelu")), LAYERS * 9 + 1),
        (lambda: adapted(small_llama(mlp_bias=True)), LAYERS * 9 + 1),
        (lambda: adapted(small_llama(), lora_dropout=0.1), LAYERS * 2 + 1),
        (lambda: adapted(small_llama(), use_dora=True), LAYERS * 2 + 1),
        (lambda: adapted(small_llama(mlp_bias=True, attention_bias=True), lora_bias=True), LAYERS * 2 + 1),
    ],
)
def test_what_is_another_formula_stays_as_it_is(change: Callable[[], Any], replaced: int) -> None:
    _, expected = gradients(change())
    model = change()
    assert fuse(model) == replaced
    torch.manual_seed(0)
    _, found = gradients(model)
    if not any(m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)):
        assert off(found, expected) < 1e-4


def test_a_trained_model_is_gone_once_nobody_holds_it() -> None:
    model = adapted(small_llama())
    fuse(model)
    gradients(model)
    left = [weakref.ref(module) for module in model.modules()]
    gc.collect()
    gc.disable()
    try:
        del model
        assert not any(module() for module in left), "a base in memory, until cycles are collected"
    finally:
        gc.enable()


def test_a_copy_answers_by_its_own_weights() -> None:
    model = adapted(small_llama())
    fuse(model)
    copy, expected = deepcopy(model), model(IDS).logits
    assert torch.equal(copy(IDS).logits, expected)
    with torch.no_grad(), copy.disable_adapter():
        assert not torch.allclose(copy(IDS).logits, expected, atol=1e-3)
        assert torch.equal(model(IDS).logits, expected)


def test_less_is_kept_for_the_way_back() -> None:
    def kept(model: Any) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        saved = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
        with saved, torch.autocast("cpu", dtype=torch.bfloat16):
            model.get_base_model().base_model(input_ids=IDS, use_cache=False)
        weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
        return sum(size for at, size in sizes.items() if at not in weights)

    plain, fused = adapted(small_llama().bfloat16()), adapted(small_llama().bfloat16())
    fuse(fused)
    assert kept(fused) < 0.55 * kept(plain)


@pytest.mark.parametrize(("length", "width"), [(1, 16), (30, 16), (64, 16), (200, 16), (200, 10)])
def test_attention_has_the_gradients_of_autograd(length: int, width: int) -> None:
    """`width` is that of the values, which need not have the 16 of queries and keys."""
    chance = torch.Generator().manual_seed(3)
    sizes = ((6, 16), (2, 16), (2, width), (6, width))
    q, k, v, g = (torch.randn(2, heads, length, size, generator=chance) for heads, size in sizes)
    exact = [x.double().requires_grad_() for x in (q, k, v)]
    spread = [x.repeat_interleave(6 // x.shape[1], 1) for x in exact]
    expected = torch.nn.functional.scaled_dot_product_attention(*spread, is_causal=True, scale=0.3)
    expected.backward(g.double())
    mine = [x.clone().requires_grad_() for x in (q, k, v)]
    found = attention.Causal.apply(*mine, 0.3)
    found.backward(g)
    assert torch.allclose(found.double(), expected, atol=1e-5)
    for x, y in zip(mine, exact, strict=True):
        assert torch.allclose(x.grad.double(), y.grad, atol=1e-4)


def test_attention_is_replaced_where_it_is_faster_and_changes_nothing() -> None:
    assert not attention.use(adapted(small_llama()))  # in fp32 PyTorch's own is as fast
    _, exact = gradients(adapted(small_llama().bfloat16().float()))
    plain, replaced = adapted(small_llama().bfloat16()), adapted(small_llama().bfloat16())
    fuse(plain)
    fuse(replaced)
    assert attention.use(replaced)
    (_, expected), (_, found) = gradients(plain), gradients(replaced)
    assert off(found, exact) < 1.5 * off(expected, exact)
    assert any(not torch.equal(found[name], expected[name]) for name in expected)  # it was used
