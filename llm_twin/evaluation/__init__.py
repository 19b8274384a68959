"""The evaluation room: how well each system predicts the author's held-out words, and the gate."""

from llm_twin.evaluation import gate
from llm_twin.evaluation.scoreboard import EvaluationReport, Gain, run

__all__ = ["EvaluationReport", "Gain", "gate", "run"]
