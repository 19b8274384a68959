"""The only place that picks concrete parts from the configuration and wires the rooms together.

The command line, the Python API, the notebooks and pipelines/ all call these functions. Heavy libraries are
imported when a function needs them, so that importing this package stays cheap.
"""

from llm_twin.compose.demo import SAMPLE_PORT, Exchange, Story, demo
from llm_twin.compose.doctor import Check, doctor, install_weights
from llm_twin.compose.embedding import embedder
from llm_twin.compose.features import (
    build_features,
    check_features,
    collect,
    collect_old_features,
    diff_features,
    feature_examples,
    feature_name,
    feature_version,
    list_features,
    open_library,
)
from llm_twin.compose.models import TrainReport, evaluate, promote, rollback, train
from llm_twin.compose.parts import base_model, vector_store
from llm_twin.compose.serving import Session, open_retriever, open_session
from llm_twin.compose.space import Twinspace, init, open_workspace

__all__ = [
    "SAMPLE_PORT",
    "Check",
    "Exchange",
    "Session",
    "Story",
    "TrainReport",
    "Twinspace",
    "base_model",
    "build_features",
    "check_features",
    "collect",
    "collect_old_features",
    "demo",
    "diff_features",
    "doctor",
    "embedder",
    "evaluate",
    "feature_examples",
    "feature_name",
    "feature_version",
    "init",
    "install_weights",
    "list_features",
    "open_library",
    "open_retriever",
    "open_session",
    "open_workspace",
    "promote",
    "rollback",
    "train",
    "vector_store",
]
