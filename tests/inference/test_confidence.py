from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from llm_twin.inference.confidence import WEIGHTS, Signals, probability
from llm_twin.inference.retrieve import Retriever


def test_nothing_found_is_no_confidence(retriever: Retriever) -> None:
    assert retriever.confidence("anything", []) == 0.0


def test_nonsense_stands_far_below_a_question_that_a_post_answers(retriever: Retriever) -> None:
    def confidence(question: str) -> float:
        return retriever.confidence(question, retriever.search(question, 4, by="chunk"))

    answered = confidence("How many rungs of ash has the loft ladder?")
    nonsense = confidence("Which zebra governs the quantum opera of Saturn?")
    assert 0 <= nonsense < 0.3 < 0.5 < answered <= 1


def test_signals_are_the_best_passage_and_the_best_post(retriever: Retriever) -> None:
    question = "How many rungs of ash has the loft ladder?"
    hits = retriever.search(question, 4, by="chunk")
    signals = retriever.signals(question, hits)
    assert signals.chunk == max(h.cosine for h in hits)
    assert signals == retriever.signals(question, hits[::-1]), "their order does not matter"
    assert retriever.signals(question, hits[-1:]).post <= signals.post <= 1.0


def test_the_probability_is_the_logistic_of_the_weighted_sum() -> None:
    zero = Signals(**dict.fromkeys((f.name for f in fields(Signals)), 0.0))
    weights = replace(zero, post=4.0)
    assert probability(zero, weights, 0.0) == 0.5
    assert probability(replace(zero, post=0.5), weights, -1.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert all(math.isfinite(getattr(WEIGHTS, f.name)) for f in fields(Signals))
