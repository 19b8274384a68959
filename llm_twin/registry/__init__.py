"""Versions, aliases and lineage of adapters."""
