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


def embedder_folder(source: str | Path) -> Path:
    """A folder as it is, or the folder of a Hugging Face id, downloaded once. Raises MissingDependency."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    if isinstance(source, Path):
        raise MissingDependency(f"There is no embedder in {folder}", "Correct features.embedder in twin.yaml")
    return _from_hub(source)


def _from_hub(model: str) -> Path:
    """The folder of a Hugging Face id: the local copy, else a download."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    other_formats = ["onnx/*", "openvino/*", "*.bin", "*.h5", "*.ot", "*.msgpack"]
    try:
        return Path(snapshot_download(model, ignore_patterns=other_formats, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not fetched before
    except HFValidationError:
        raise MissingDependency(
            f"The embedder {model!r} is neither a folder nor a Hugging Face id",
            "Correct features.embedder in twin.yaml",
        ) from None
    try:
        return Path(snapshot_download(model, ignore_patterns=other_formats))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        raise MissingDependency(
            f"The embedder {model!r} could not be downloaded ({reason})",
            "Use features.embedder: all-MiniLM-L6-v2, which comes as a package",
        ) from error
