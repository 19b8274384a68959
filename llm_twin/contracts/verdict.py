"""What the gate said about a candidate: made by evaluation, obeyed wherever versions are promoted."""

from __future__ import annotations

from llm_twin.contracts.records import Record


class Verdict(Record):
    """Whether a candidate may go live.

    Attributes:
        reason: one line for people, with the figures that decided.
        measures: what was compared, by name: validation bits per byte of "candidate", "base", "few_shot",
            "live".
    """

    passed: bool
    reason: str
    measures: dict[str, float]
