"""How a causal language model's scores come of its hidden states, for who takes those of few positions only.

The training loss and the scorer run the body of a model, and its output head where it counts: the logits of
all positions would not fit in memory.
"""

from __future__ import annotations

from typing import Any

from llm_twin.errors import MismatchError

_SAME = 1e-3  # of the largest logit. The same products give the same; to scale or cap them changes more.


def body_and_head(model: Any) -> tuple[Any, Any]:
    """The part of a causal language model, plain or in PEFT, that gives hidden states, and its output head.

    Adapters live inside the body's layers, so the body called alone still runs through them.
    """
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return plain.base_model, plain.get_output_embeddings()


def check_head(model: Any) -> None:
    """Compare a model's own logits of a few tokens with those of its head on its body.

    Raises MismatchError where they differ: the model scales or caps them (Granite, Gemma 2), and loss and
    scores would be of another model.
    """
    import torch

    body, head = body_and_head(model)
    ids = torch.arange(1, 9, device=head.weight.device).unsqueeze(0)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            own = model(input_ids=ids, use_cache=False).logits.float()
            ours = head(body(input_ids=ids, use_cache=False).last_hidden_state).float()
    finally:
        model.train(was_training)
    if (own - ours).abs().max() > _SAME * own.abs().max():
        raise MismatchError(
            f"The base model, a {type(body).__name__}, changes its logits after its output head, "
            "which neither training nor measuring knows",
            "Choose another base model",
        )
