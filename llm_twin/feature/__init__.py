"""Feature pipeline: posts to a sealed version of clean posts, chunks, embeddings and training samples."""

from llm_twin.feature.build import FeatureReport, run

__all__ = ["FeatureReport", "run"]
