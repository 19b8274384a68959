"""What the base is shown of an author instead of being trained: the contender that an adapter must beat."""

from __future__ import annotations

import numpy as np

from llm_twin.contracts.bits import Examples
from llm_twin.contracts.ports import Vectors
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion

FEW_SHOT = "few-shot"  # as the measures of a version name it


def examples(features: FeatureVersion, shots: int) -> Examples:
    """For a post, as many training posts nearest to it, the nearest last.

    By the mean vectors of the posts, that of the held-out one too: no search by its title could choose
    better, so the comparison favours the base.
    """
    rows: dict[str, list[int]] = {}
    for row, chunk in enumerate(features.chunks.values()):
        rows.setdefault(chunk.post_id, []).append(row)
    means = {post: _unit(features.vectors[own].mean(axis=0)) for post, own in rows.items()}
    learnt = [post for post in features.split("train") if post.id in means]
    matrix = np.array([means[post.id] for post in learnt])

    def nearest(post: Post) -> list[Post]:
        if post.id not in means or not learnt:
            return learnt[-shots:]
        order = np.argsort(matrix @ means[post.id], kind="stable")
        return [learnt[row] for row in order[-shots:]]

    return nearest


def _unit(vector: Vectors) -> Vectors:
    unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
