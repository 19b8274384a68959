"""The training room: a feature version and a base model to a LoRA adapter with its measured scores.

Importing it loads torch; compose does so when it is needed.
"""

from llm_twin.training.checkpoint import begun_in
from llm_twin.training.data import spread
from llm_twin.training.loop import run
from llm_twin.training.precision import choose as choose_precision
from llm_twin.training.preference import Pair, PreferenceRun, prefer
from llm_twin.training.processes import from_first, processes
from llm_twin.training.report import Point, TrainingReport, package_versions

__all__ = [
    "Pair",
    "Point",
    "PreferenceRun",
    "TrainingReport",
    "begun_in",
    "choose_precision",
    "from_first",
    "package_versions",
    "prefer",
    "processes",
    "run",
    "spread",
]
