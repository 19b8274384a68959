"""`contracts.ports.Scorer` on a torch causal language model: exact log-probabilities of a given text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llm_twin.contracts.scores import body_and_head, check_head

_SLICE = 256  # positions whose logits exist at once: 256 x 49,152 float32 are 50 MB


class TorchScorer:
    """Scores with `model`, plain or with a PEFT adapter around it, as it stands at the time of each call.

    Raises MismatchError for a model whose logits are not those of its output head.
    """

    dtype: str
    context: int

    def __init__(self, model: Any) -> None:
        import torch

        check_head(model)
        self._model = model
        names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
        weight = model.get_output_embeddings().weight
        self.dtype = names.get(weight.dtype, str(weight.dtype))
        self.context = getattr(model.config, "max_position_embeddings", sys.maxsize)

    def token_logprobs(self, prompt: Sequence[int], completion: Sequence[int]) -> NDArray[np.float64]:
        """Natural-log probability of each completion token after the prompt, shape [len(completion)].

        The body runs once over prompt and completion; logits exist only for completion positions, a slice
        at a time, and the log-softmax is in float32. Raises ValueError for an empty prompt: nothing
        predicts the first.
        """
        import torch

        if not prompt:
            raise ValueError("token_logprobs: the prompt is empty")
        if not completion:
            return np.zeros(0)
        was_training = self._model.training
        self._model.eval()
        try:
            with torch.inference_mode():
                return self._score([*prompt, *completion], len(prompt))
        finally:
            self._model.train(was_training)

    def _score(self, ids: list[int], start: int) -> NDArray[np.float64]:
        import torch

        body, head = body_and_head(self._model)
        row = torch.tensor([ids], device=head.weight.device)
        hidden = body(input_ids=row[:, :-1], use_cache=False).last_hidden_state[0, start - 1 :]
        found = []
        for at in range(0, len(hidden), _SLICE):
            logits = head(hidden[at : at + _SLICE]).float()
            targets = row[0, start + at : start + at + len(logits)]
            found.append(-torch.nn.functional.cross_entropy(logits, targets, reduction="none"))
        scores: NDArray[np.float64] = torch.cat(found).cpu().double().numpy()
        return scores
