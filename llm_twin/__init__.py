"""LLM Twin learns to write like one author from that author's own posts, on the author's own machine.

from llm_twin import Twin
twin = Twin.open("my-twin")
print(twin.ask("How do you read a gauge?").text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_twin.api import Twin

__version__ = "0.1.0"
__all__ = ["Twin", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): `import llm_twin` must load neither torch nor any part of the pipelines.
    if name == "Twin":
        from llm_twin.api import Twin

        return Twin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
