"""The Hugging Face Hub, or a server that speaks its protocol (HF_ENDPOINT): models fetched and pushed."""

from __future__ import annotations

import json
from pathlib import Path

from llm_twin.contracts.manifests import MANIFEST
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG, ADAPTER_GGUF, CARD, ModelVersion
from llm_twin.errors import MissingDependency, PushError

_OURS = (ADAPTER, ADAPTER_CONFIG, ADAPTER_GGUF, CARD, MANIFEST)  # what a version before may have left there
_WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def fetch(model: str, setting: str, instead: str, endpoint: str | None = None) -> Path:
    """The folder of a Hugging Face id: the local copy, else a download. No weights but safetensors.

    `setting` is the key of twin.yaml that names the model and `instead` what else it may say, for the
    MissingDependency that is raised where there is no such model or no way to it.
    """
    from huggingface_hub import snapshot_download

    local = fetched(model, setting, instead)
    if local is not None:
        return local
    try:
        # Where the Hub cannot be reached this gives the local copy, complete or not.
        found = Path(snapshot_download(model, allow_patterns=list(_WANTED), endpoint=endpoint))
    except _failures() as error:
        raise MissingDependency(
            f"{setting} is {model!r}, no folder, and could not be downloaded ({_line(error)})", instead
        ) from error
    if not _complete(found):
        raise MissingDependency(f"{setting} is {model!r}, whose safetensors are not all in {found}", instead)
    return found


def fetched(model: str, setting: str, instead: str) -> Path | None:
    """The local copy of a Hugging Face id, if it is whole; nobody is asked for another.

    Raises MissingDependency for what is no id, as `fetch` does.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        local = Path(snapshot_download(model, allow_patterns=list(_WANTED), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError:
        raise MissingDependency(
            f"{setting} is {model!r}, which is neither a folder nor a Hugging Face id", instead
        ) from None
    return local if _complete(local) else None


def _complete(folder: Path) -> bool:
    """Whether no weights are missing; a download that was interrupted leaves such a folder."""
    there = {path.name for path in folder.rglob("*.safetensors")}
    indexes = [json.loads(path.read_bytes()) for path in folder.rglob("*.safetensors.index.json")]
    return bool(there) and {name for index in indexes for name in index["weight_map"].values()} <= there


def _failures() -> tuple[type[Exception], ...]:
    """OSError, and the error of the HTTP client, which is another by the version of huggingface_hub."""
    from huggingface_hub.errors import HfHubHTTPError

    return (OSError, *HfHubHTTPError.__bases__)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def push(version: ModelVersion, repository: str, public: bool = False, endpoint: str | None = None) -> str:
    """Upload a version as it lies in the registry, as one commit. Returns the address of that commit.

    It takes the place of a version that is there; what a person added beside that stays. The repository
    ("user/name") is made where it is missing, private unless `public`; one that exists keeps its visibility.
    The token is that of HF_TOKEN or `hf auth login`. Raises PushError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError

    hub = HfApi(endpoint=endpoint)
    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=version.folder,
            commit_message=f"{version.name}, content id {version.manifest.content_id}",
            allow_patterns=[path.name for path in version.files],
            delete_patterns=list(_OURS),
        )
    except HFValidationError:
        raise PushError(f"{repository!r} is no repository of the Hub", "Give it as hub:user/name") from None
    except LocalTokenNotFoundError:
        raise PushError("The Hub asks for a token", "Set HF_TOKEN, or run hf auth login") from None
    except _failures() as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        fix = "Set HF_TOKEN to a token that may write" if status in (401, 403) else "Try again later"
        raise PushError(f"{hub.endpoint} did not take {version.name} ({_line(error)})", fix) from error
    return str(commit.commit_url)
