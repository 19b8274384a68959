"""Likeness: whether a discriminator that knows both could tell the twin's text from the author's.

It is a classifier over character n-grams, which are what tells authors apart best (Koppel and Winter 2014,
Stamatatos 2013). It learns from the texts of some posts and judges those of the others; its AUC is the chance
that, of a text of each on one post's matter, it takes the right one for the author's: 0.5 cannot tell, 1
always can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FOLDS = 5
_GRAMS = (2, 4)  # characters
_C = 10.0  # inverse of the regularisation
# A text of the twin of fewer words than this share of the author's is told apart by that alone: cut alike,
# nothing would be left to tell it by.
_LEAST_SHARE = 0.5
_RESAMPLES = 2000  # of the bootstrap, as in `contracts.bits`


@dataclass(frozen=True, slots=True)
class Likeness:
    """How well the discriminator tells the two apart: its AUC, with the 95 % bootstrap interval over posts.

    `texts` are those of the twin that were judged, each against the author's own; `posts` hold these.
    """

    auc: float
    low: float
    high: float
    texts: int
    posts: int


def likeness(texts: Sequence[tuple[str, str, str]]) -> Likeness:
    """Judge texts given as (post id, the author's, the twin's on the same matter), in folds of whole posts.

    Both texts of a pair are cut to as many words as the shorter has, since length alone tells nobody's voice;
    but a text of less than half the author's words is always known for the twin's.

    Raises ValueError for texts of fewer than two posts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold

    posts = np.array([post for post, _, _ in texts])
    names = sorted(set(posts))
    if len(names) < 2:
        raise ValueError(f"likeness: texts of {len(names)} posts, at least 2 are needed")
    shown = [text for _, author, twin in texts for text in _alike_long(author, twin)]
    short = [len(twin.split()) < _LEAST_SHARE * len(author.split()) for _, author, twin in texts]
    by_author = np.tile([True, False], len(texts))
    scores = np.zeros(len(shown))
    for learn, judge in GroupKFold(min(_FOLDS, len(names))).split(shown, groups=np.repeat(posts, 2)):
        grams = TfidfVectorizer(analyzer="char", ngram_range=_GRAMS, lowercase=False, sublinear_tf=True)
        known = grams.fit_transform([shown[i] for i in learn])
        judging = LogisticRegression(C=_C, max_iter=1000).fit(known, by_author[learn])
        scores[judge] = judging.decision_function(grams.transform([shown[i] for i in judge]))
    scores[1::2][short] = -np.inf
    # Of each text of the author with each of the twin of the same post: is the right one taken? Posts of
    # other folds were judged on another scale. A tie is half right.
    right, asked = [], []
    for name in names:
        own, made = (scores[2 * np.flatnonzero(posts == name) + side] for side in (0, 1))
        answers = np.sign(own[:, None] - made[None, :]) / 2 + 0.5
        right.append(answers.sum())
        asked.append(answers.size)
    draws = np.random.default_rng(0).integers(0, len(names), size=(_RESAMPLES, len(names)))
    rights, sizes = np.array(right), np.array(asked)
    low, high = np.quantile(rights[draws].sum(1) / sizes[draws].sum(1), [0.025, 0.975])
    auc = float(rights.sum() / sizes.sum())
    return Likeness(auc, float(low), float(high), len(texts), len(names))


def _alike_long(author: str, twin: str) -> tuple[str, str]:
    own, made = author.split(), twin.split()
    words = max(1, min(len(own), len(made)))
    return " ".join(own[:words]), " ".join(made[:words])
