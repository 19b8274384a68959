from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm_twin.adapters.torch_scorer import TorchScorer
from llm_twin.errors import MismatchError


@pytest.fixture
def model() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=500,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        attention_dropout=0.5,  # a scorer that forgets to leave training mode would show it
    )
    return LlamaForCausalLM(config)


def ids(n: int, seed: int) -> list[int]:
    return torch.randint(0, 500, (n,), generator=torch.Generator().manual_seed(seed)).tolist()


@pytest.mark.parametrize("length", [1, 7, 256, 700])
def test_equals_the_log_softmax_of_the_whole_model(model: Any, length: int) -> None:
    prompt, completion = ids(11, 1), ids(length, 2)
    model.train()
    found = TorchScorer(model).token_logprobs(prompt, completion)
    assert model.training  # left as it was found
    model.eval()
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0, 10:-1]
    expected = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(completion)[:, None])[:, 0]
    assert found.shape == (length,)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_sees_the_adapter_around_the_model(model: Any) -> None:
    import warnings

    from peft import LoraConfig, get_peft_model

    before = TorchScorer(model).token_logprobs([1, 2], [3, 4, 5])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        tuned = get_peft_model(
            model,
            LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"),
        )
    after = TorchScorer(tuned).token_logprobs([1, 2], [3, 4, 5])
    assert not np.allclose(before, after)
    with tuned.disable_adapter():
        np.testing.assert_allclose(TorchScorer(tuned).token_logprobs([1, 2], [3, 4, 5]), before, rtol=1e-5)


SIZES = {
    "vocab_size": 500,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.5,
}


@pytest.mark.parametrize(
    ("kind", "settings"), [("granite", {"logits_scaling": 8.0}), ("gemma2", {"head_dim": 16})]
)
def test_a_model_that_changes_its_logits_is_refused(kind: str, settings: dict[str, Any]) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    plain = {"granite": {"logits_scaling": 1.0}, "gemma2": {"final_logit_softcapping": None}}[kind]
    changing, keeping = (
        AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SIZES, **settings | more))
        for more in ({}, plain)
    )
    with pytest.raises(MismatchError, match="changes its logits after its output head"):
        TorchScorer(changing)
    TorchScorer(keeping)


def test_names_its_precision(model: Any) -> None:
    assert TorchScorer(model).dtype == "fp32"
    assert TorchScorer(model.to(torch.bfloat16)).dtype == "bf16"


def test_the_edges(model: Any) -> None:
    assert TorchScorer(model).token_logprobs([1], []).shape == (0,)
    with pytest.raises(ValueError, match="prompt is empty"):
        TorchScorer(model).token_logprobs([], [1])
