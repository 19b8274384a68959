"""A model version on the Hugging Face Hub, or on a server that speaks its protocol (HF_ENDPOINT)."""

from __future__ import annotations

from llm_twin.contracts.versions import ModelVersion
from llm_twin.errors import PushError


def push(version: ModelVersion, repository: str, public: bool = False, endpoint: str | None = None) -> str:
    """Upload a version as it lies in the registry, as one commit. Returns the address of that commit.

    The repository ("user/name") is made where it is missing, private unless `public`; one that exists keeps
    its visibility. The token is that of HF_TOKEN or `hf auth login`. Raises PushError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

    # OSError, and the error of the HTTP client: httpx or its successor, by the version of huggingface_hub.
    failures: tuple[type[Exception], ...] = HfHubHTTPError.__bases__
    hub = HfApi(endpoint=endpoint)
    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repository,
            folder_path=version.folder,
            commit_message=f"{version.name}, content id {version.manifest.content_id}",
        )
    except HFValidationError:
        raise PushError(f"{repository!r} is no repository of the Hub", "Give it as hub:user/name") from None
    except LocalTokenNotFoundError:
        raise PushError("The Hub asks for a token", "Set HF_TOKEN, or run hf auth login") from None
    except failures as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        reason = " ".join(str(error).split())[:200]
        fix = "Set HF_TOKEN to a token that may write" if status in (401, 403) else "Try again later"
        raise PushError(f"{hub.endpoint} did not take {version.name} ({reason})", fix) from error
    return str(commit.commit_url)
