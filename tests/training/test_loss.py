from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from llm_twin.contracts.scores import body_and_head
from llm_twin.training.data import Batch, Example
from llm_twin.training.loss import chunked_cross_entropy, hidden_states, tensors

CPU = torch.device("cpu")


def examples() -> Batch:
    draw = torch.Generator().manual_seed(0)
    sizes = ((300, 12), (41, 40), (170, 9))  # one longer than a slice, one with a single target
    return tuple(Example(tuple(torch.randint(5, 49000, (n,), generator=draw).tolist()), p) for n, p in sizes)


def nats(model: Any, batch: Batch) -> float:
    body, head = body_and_head(model)
    ids, positions, targets = tensors(batch, CPU)
    total, _ = chunked_cross_entropy(head, hidden_states(body, ids, positions), targets)
    return total


def test_equals_the_plain_loss_and_gradient(tiny: Callable[[], Any]) -> None:
    model = tiny()
    batch = examples()
    body, head = body_and_head(model)
    ids, positions, targets = tensors(batch, CPU)
    hidden = hidden_states(body, ids, positions)
    total, gradient = chunked_cross_entropy(head, hidden, targets)

    plain = torch.zeros(())
    for e in batch:
        row = torch.tensor([e.ids])
        labels = row.clone()
        labels[0, : e.prompt] = -100
        plain = plain + model(input_ids=row, labels=labels).loss * e.targets
    assert total == pytest.approx(plain.item(), rel=1e-5)

    # The gradient that is handed back must be that of the same sum, all the way to the embeddings.
    weight = model.get_input_embeddings().weight
    (whole,) = torch.autograd.grad(
        torch.nn.functional.cross_entropy(hidden @ weight.detach().T, targets, reduction="sum"),
        weight,
        retain_graph=True,
    )
    (ours,) = torch.autograd.grad(hidden, weight, grad_outputs=gradient)
    torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("of_head", [torch.float32, torch.bfloat16])
def test_a_head_with_a_bias_over_more_positions_than_a_slice(of_head: torch.dtype) -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 49152).to(of_head)
    hidden, targets = torch.randn(400, 8), torch.arange(400)
    total, gradient = chunked_cross_entropy(head, hidden, targets)
    exact = hidden.to(of_head).float().requires_grad_()
    plain = torch.nn.functional.cross_entropy(head.float()(exact), targets, reduction="sum")
    plain.backward()
    assert total == pytest.approx(plain.item(), rel=1e-3)
    assert gradient.dtype == hidden.dtype
    assert (gradient - exact.grad).norm() < (1e-5 if of_head == torch.float32 else 2e-2) * exact.grad.norm()


def test_a_sample_in_company_has_the_loss_it_has_alone(tiny: Callable[[], Any]) -> None:
    model = tiny()
    together = nats(model, examples())
    alone = sum(nats(model, (e,)) for e in examples())
    assert together == pytest.approx(alone, rel=1e-6)


def test_a_neighbour_changes_nothing(tiny: Callable[[], Any]) -> None:
    model = tiny()
    first, second, third = examples()
    other = Example(tuple(reversed(second.ids)), second.prompt)
    with_second = nats(model, (first, second, third)) - nats(model, (second,))
    with_other = nats(model, (first, other, third)) - nats(model, (other,))
    assert with_second == pytest.approx(with_other, rel=1e-6)


def test_prompt_tokens_carry_no_loss() -> None:
    batch = examples()
    _, positions, targets = tensors(batch, CPU)
    assert len(targets) == len(positions) == sum(e.targets for e in batch)
    assert targets.tolist() == [i for e in batch for i in e.ids[e.prompt :]]
