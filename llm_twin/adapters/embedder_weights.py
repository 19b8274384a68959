"""The weights of an embedder on disk, and its identity: one model is another embedder in every backend."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from llm_twin.adapters.weights import file_sha256
from llm_twin.contracts.manifests import digest
from llm_twin.errors import MissingDependency

Backend = Literal["torch-fp32", "torch-bf16", "openvino-bf16", "openvino-int8"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)  # the reference first, then from exact to less exact
REFERENCE: Backend = "torch-fp32"
# How the OpenVINO models are made (adapters/openvino_model.py). Raised when that changes their vectors.
OPENVINO_RECIPE = 1


def embedder_id(backend: Backend, folder: Path) -> str:
    """Identity for caches and manifests, 16 hex digits: backend, its precision, and the weights' hashes.

    Raises MissingDependency where the folder holds no weights.
    """
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        raise MissingDependency(
            f"{folder} holds no .safetensors weights", "Choose another features.embedder in twin.yaml"
        )
    made_by = f"{backend}-{OPENVINO_RECIPE}" if backend.startswith("openvino") else backend
    return digest([made_by, *(file_sha256(path) for path in weights)])[:16]


def embedder_name(model: str, backend: Backend) -> str:
    """For people: the model, and the backend where it is not the reference."""
    return model if backend == REFERENCE else f"{model} ({backend})"
