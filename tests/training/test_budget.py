from __future__ import annotations

import re

import pytest

from llm_twin.errors import TrainingError
from llm_twin.training.budget import tokens_within


class Machine:
    """A clock that goes on as work is done: slow at first, as caches are cold."""

    def __init__(self, learn_s: float, measure_s: float) -> None:
        self.now = 0.0
        self._learn_s = learn_s
        self._measure_s = measure_s
        self._cold = 5.0

    def clock(self) -> float:
        return self.now

    def learn(self) -> int:
        self.now += self._learn_s + self._cold
        self._cold = 0.0
        return 2000

    def measure(self) -> None:
        self.now += self._measure_s


def test_what_is_left_beside_the_measures_is_trained() -> None:
    machine = Machine(learn_s=10, measure_s=1)
    found = tokens_within(600, machine.learn, machine.measure, 60, machine.clock)
    assert machine.now == 27  # of the probe itself, which counts as well
    assert found == (600 - 27 - 60) * 200


def test_a_budget_that_measuring_alone_exceeds_is_refused() -> None:
    machine = Machine(learn_s=10, measure_s=20)
    with pytest.raises(TrainingError, match=re.escape("2 minutes leave no time to train")):
        tokens_within(120, machine.learn, machine.measure, 60, machine.clock)
