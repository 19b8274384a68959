"""Forgets the target of `traces` in a process of its own that kills itself at its n-th step.

    python -m tests.compose.forgetter WORKSPACE STEP

A step is what `tests.feature.builder` counts. Step 0 never comes. Prints the number of steps.
"""

from __future__ import annotations

import sys
from pathlib import Path

from llm_twin import compose
from tests.compose.traces import target
from tests.feature.builder import Steps


def main() -> None:
    folder = Path(sys.argv[1])
    space, steps = compose.open_workspace(folder), Steps(folder, int(sys.argv[2]))
    post = target(space)
    sys.addaudithook(steps.audit)
    compose.forget(space, post.id, steps)
    print(steps.count)


if __name__ == "__main__":
    main()
