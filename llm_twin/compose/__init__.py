"""The only place that picks concrete parts from the configuration and wires the rooms together.

The command line, the Python API, the notebooks and pipelines/ all call these functions. Heavy libraries are
imported when a function needs them, so that importing this package stays cheap.
"""

from llm_twin.compose.demo import SAMPLE_PORT, Exchange, Story, demo
from llm_twin.compose.doctor import Check, doctor, install_weights
from llm_twin.compose.embedding import embedder
from llm_twin.compose.exchange import (
    collect_old_models,
    diff_models,
    export_gguf,
    export_merged,
    export_model,
    import_model,
)
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
    mend_features,
    open_library,
)
from llm_twin.compose.forget import ForgetReport, forget
from llm_twin.compose.lineage import features_of, models_of, titles_of, trace_features
from llm_twin.compose.models import TrainReport, evaluate, promote, rollback, train
from llm_twin.compose.parts import base_model, vector_store
from llm_twin.compose.preference import PreferenceReport
from llm_twin.compose.push import push_model
from llm_twin.compose.serving import Session, open_retriever, open_session
from llm_twin.compose.space import Twinspace, init, open_workspace
from llm_twin.compose.taint import leads_back, refuse_tainted, why_tainted

__all__ = [
    "SAMPLE_PORT",
    "Check",
    "Exchange",
    "ForgetReport",
    "PreferenceReport",
    "Session",
    "Story",
    "TrainReport",
    "Twinspace",
    "base_model",
    "build_features",
    "check_features",
    "collect",
    "collect_old_features",
    "collect_old_models",
    "demo",
    "diff_features",
    "diff_models",
    "doctor",
    "embedder",
    "evaluate",
    "export_gguf",
    "export_merged",
    "export_model",
    "feature_examples",
    "feature_name",
    "feature_version",
    "features_of",
    "forget",
    "import_model",
    "init",
    "install_weights",
    "leads_back",
    "list_features",
    "mend_features",
    "models_of",
    "open_library",
    "open_retriever",
    "open_session",
    "open_workspace",
    "promote",
    "push_model",
    "refuse_tainted",
    "rollback",
    "titles_of",
    "trace_features",
    "train",
    "vector_store",
    "why_tainted",
]
