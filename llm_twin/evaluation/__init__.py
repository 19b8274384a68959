"""The evaluation room: how well each system predicts the author's held-out words, and the gate."""

from llm_twin.evaluation import gate
from llm_twin.evaluation.few_shot import FEW_SHOT, examples
from llm_twin.evaluation.likeness import Likeness, likeness
from llm_twin.evaluation.scoreboard import EvaluationReport, Gain, run

__all__ = ["FEW_SHOT", "EvaluationReport", "Gain", "Likeness", "examples", "gate", "likeness", "run"]
