from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from llm_twin.adapters.base_model import HFChatTokenizer
from llm_twin.config import Training
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Silent
from llm_twin.errors import TrainingError
from llm_twin.training import Pair, PreferenceRun, preference
from llm_twin.training.fused import fuse
from tests.training.test_fused import adapted

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

PAIRS = [
    Pair(prompts.rewrite("Ada", f"- river {n}\n- gauge"), f"The river, I’d say, reads {n}.", f"{n} is low.")
    for n in range(12)
]
CONFIG = Training(preference_pairs=12, preference_learning_rate=2e-3)


def log_p(model: Any, prompt: Sequence[int], completion: Sequence[int]) -> torch.Tensor:
    """Of a whole completion, by the model's own logits and autograd."""
    logits = model(input_ids=torch.tensor([[*prompt, *completion]])).logits[0].float()
    chosen = logits.log_softmax(-1)[len(prompt) - 1 : -1]
    return chosen.gather(1, torch.tensor(completion).unsqueeze(1)).sum()


def test_the_gradient_is_that_of_the_formula(tiny: Any, tokenizer: HFChatTokenizer) -> None:
    pair, config, reference = PAIRS[0], Training(preference_beta=0.4), 0.7
    prompt = tokenizer.encode_chat(pair.messages)
    own, other = ([*tokenizer.encode(t), tokenizer.eos_ids[0]] for t in (pair.chosen, pair.rejected))
    model = adapted(tiny())
    chosen, rejected = log_p(model, prompt, own), log_p(model, prompt, other)
    margin = chosen - rejected - reference
    (-logsigmoid(0.4 * margin) - chosen / len(own)).backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    fuse(model)
    known = preference._tokenise(pair, tokenizer)
    found = preference._backward(model, known, reference, config, pairs=1)
    assert found == pytest.approx(margin.item(), abs=1e-3)
    for name, gradient in expected.items():
        got = dict(model.named_parameters())[name].grad
        assert torch.allclose(got, gradient, atol=1e-5, rtol=1e-3), name


def preferred(
    model: Any, tokenizer: HFChatTokenizer, target: Path, config: Training = CONFIG
) -> PreferenceRun:
    return preference.prefer(model, PAIRS, config, tokenizer, target, "tiny", Silent())


def test_the_authors_text_becomes_likelier_than_the_draft(
    tiny: Any, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    model = adapted(tiny())
    pairs = [preference._tokenise(pair, tokenizer) for pair in PAIRS]
    before = [preference._margin(model, pair) for pair in pairs]
    run = preferred(model, tokenizer, tmp_path / "adapter")
    after = [preference._margin(model, pair) for pair in pairs]
    assert all(new > old for new, old in zip(after, before, strict=True))
    assert run.pairs == len(PAIRS)
    assert run.tokens == sum(pair.tokens for pair in pairs)


def test_the_same_pairs_give_the_same_bytes(tiny: Any, tokenizer: HFChatTokenizer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        preferred(adapted(tiny()), tokenizer, tmp_path / name)
    one, two = ((tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_step_that_breaks_says_so(tiny: Any, tokenizer: HFChatTokenizer, tmp_path: Path) -> None:
    model = adapted(tiny())
    next(p for p in model.parameters() if p.requires_grad).data.fill_(float("nan"))
    with pytest.raises(TrainingError, match="preference step broke at step 1"):
        preferred(model, tokenizer, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()
