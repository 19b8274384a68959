"""What the base is shown of an author instead of being trained: the contender that an adapter must beat."""

from __future__ import annotations

import numpy as np

from llm_twin.contracts.bits import Examples
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion

FEW_SHOT = "few-shot"  # as the measures of a version name it


def examples(features: FeatureVersion, shots: int) -> Examples:
    """For a post, as many training posts nearest to it, the nearest last.

    By the mean vectors of the posts, that of the held-out one too: a search could know its title alone, so
    the comparison favours the base. A post without vectors is shown the newest.
    """
    vectors = features.post_vectors
    learnt = [post for post in features.split("train") if post.id in vectors]
    matrix = np.array([vectors[post.id] for post in learnt])

    def nearest(post: Post) -> list[Post]:
        if post.id not in vectors or not learnt:
            return learnt[-shots:]
        order = np.argsort(matrix @ vectors[post.id], kind="stable")
        return [learnt[row] for row in order[-shots:]]

    return nearest
