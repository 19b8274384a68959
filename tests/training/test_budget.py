from __future__ import annotations

import pytest

from llm_twin.training.budget import tokens_within


class Machine:
    """A clock that goes on as work is done: slow at first, as caches are cold."""

    def __init__(self, learn_s: float, measure_s: float) -> None:
        self.now = 0.0
        self._learn_s = learn_s
        self._measure_s = measure_s
        self._cold = 5.0
        self.learnt = 0

    def clock(self) -> float:
        return self.now

    def learn(self) -> int:
        self.now += self._learn_s + self._cold
        self._cold = 0.0
        self.learnt += 1
        return 2000

    def measure(self) -> None:
        self.now += self._measure_s


def test_what_is_left_beside_the_measures_is_trained() -> None:
    machine = Machine(learn_s=10, measure_s=1)
    found = tokens_within(600, machine.learn, machine.measure, 60, pytest.fail, machine.clock)
    # The probe counts as well: a cold turn of each, learning for a fiftieth of the time, and one measure.
    assert machine.now == 16 + 20 + 1
    assert found == (600 - 37 - 60) * 200


def test_a_longer_budget_is_planned_on_more_of_the_mix() -> None:
    turns = []
    for seconds in (300, 6000):
        machine = Machine(learn_s=10, measure_s=1)
        tokens_within(seconds, machine.learn, machine.measure, 0, pytest.fail, machine.clock)
        turns.append(machine.learnt)
    assert turns == [1 + 1, 1 + 12]  # a cold one, then for a fiftieth of the time


def test_a_budget_that_measuring_alone_exceeds_learns_for_a_quarter_of_it_and_says_so() -> None:
    machine, said = Machine(learn_s=10, measure_s=20), list[str]()
    found = tokens_within(120, machine.learn, machine.measure, 60, said.append, machine.clock)
    assert found == 120 // 4 * 200
    spent = 5 + 10 + 20 + 10 + 20  # a cold turn of each, and one of each
    assert f"it will be about {(spent + 60 * 20 + 120 / 4) / 60:.0f}." in said[0]
