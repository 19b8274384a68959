"""The sentence that stands where an answer would be invented; it names the nearest post."""

from __future__ import annotations

import hashlib

from llm_twin.contracts.records import Hit

# Plain sentences, written here and never by a model: a model asked to decline tends to answer after all.
_NEAREST = (
    "I haven't written about that. The nearest I've come is “{title}”.",
    "That isn't something I've written about. “{title}” is as close as I've come.",
    "I don't think I've ever put that in a post. The closest one is “{title}”.",
    "Nothing I've written answers that. You might look at “{title}”, which comes nearest.",
    "I've not written that down anywhere. “{title}” is the nearest post, and it doesn't say.",
)
_NOTHING = (
    "I haven't written about that.",
    "That isn't something I've written about.",
    "Nothing I've written answers that.",
)


def refusal(question: str, nearest: Hit | None) -> str:
    """The same question always gets the same sentence; others get another."""
    choices = _NEAREST if nearest else _NOTHING
    draw = int.from_bytes(hashlib.sha256(question.strip().lower().encode()).digest()[:4])
    return choices[draw % len(choices)].format(title=nearest.title if nearest else "")
