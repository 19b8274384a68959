"""Which commit of the program is running, where it runs from a checkout."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_WAIT_S = 10.0  # git answers in 0.1 s


def commit(package: Path = _PACKAGE) -> str | None:
    """The hash of the checked-out commit, with "-dirty" where files differ from it.

    None where the package lies in no checkout of its own (an installed wheel), or git does not answer.
    """
    if not (package.parent / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=40"],
            cwd=package.parent,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # only look: others may be writing there
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
