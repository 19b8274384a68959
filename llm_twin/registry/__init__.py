"""The model registry: immutable versions, the live pair, and what each version came from."""

from llm_twin.registry.registry import Entry, Pair, Registry

__all__ = ["Entry", "Pair", "Registry"]
