"""The model card names a version's base as the Hub does, where the Hub has it."""

from __future__ import annotations

import pytest
import yaml

from llm_twin.adapters.base_model import PACKAGED
from llm_twin.contracts.manifests import PartId
from llm_twin.registry.card import model_card
from tests.registry.made import manifest


def test_the_packaged_base_is_named_with_its_owner() -> None:
    card = model_card(manifest(base=PartId(name=PACKAGED, id="b" * 64)))
    metadata = yaml.safe_load(card.split("---")[1])
    assert metadata["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert metadata["base_model_relation"] == "adapter"
    assert f"Base: {PACKAGED}, sha256 {'b' * 64} (a GGUF of HuggingFaceTB/" in card


def test_any_other_base_is_named_as_the_configuration_names_it() -> None:
    card = model_card(manifest(base=PartId(name="Qwen/Qwen3-0.6B", id="b" * 64)), merged=True)
    assert yaml.safe_load(card.split("---")[1])["base_model"] == "Qwen/Qwen3-0.6B"
    assert f"Base: Qwen/Qwen3-0.6B, sha256 {'b' * 64}.\n" in card


@pytest.mark.parametrize("name", ["/srv/models/qwen3", "~/models/qwen3", "./models/qwen3", "../qwen3"])
def test_a_base_in_a_folder_is_named_by_that_alone(name: str) -> None:
    card = model_card(manifest(base=PartId(name=name, id="b" * 64)))
    assert {"base_model", "base_model_relation"}.isdisjoint(yaml.safe_load(card.split("---")[1]))
    assert f"\nBase: qwen3, sha256 {'b' * 64}.\n" in card
    assert name not in card


def test_the_preference_step_is_told_where_there_was_one() -> None:
    assert "preferred to 64 of its own drafts (DPO)" in model_card(manifest(preferred=64))
    assert "DPO" not in model_card(manifest())
