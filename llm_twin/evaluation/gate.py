"""The gate: an adapter goes live only if it predicts held-out words better than what it replaces."""

from __future__ import annotations

from collections.abc import Iterable

from llm_twin.contracts.bits import BitsPerByte, PostBits
from llm_twin.contracts.verdict import Verdict

_WORDS = {"base": "the base", "few_shot": "the base with examples", "live": "the live version"}


def decide(
    candidate: BitsPerByte, live: BitsPerByte | None, base: BitsPerByte, few_shot: BitsPerByte | None = None
) -> Verdict:
    """Compare on the same validation posts; fewer bits per byte is better, and a tie is no reason to switch.

    `few_shot` is the base shown posts of the author, None where that was not measured: a version that cannot
    beat it was not worth its training. `live` is None where the base serves, or where the candidate itself is
    live. Where the live version was measured on other posts (its features were others), the two are compared
    on the posts whose text both measured; where there are none, no comparison is fair and the others decide.
    """
    shared = _on_shared_posts(candidate, live) if live is not None else None
    ours, theirs = shared or (candidate.value, None)
    rivals = [("base", candidate.value, base.value)]
    if few_shot is not None:
        rivals.append(("few_shot", candidate.value, few_shot.value))
    if theirs is not None:
        rivals.append(("live", ours, theirs))
    shown = [f"{_WORDS[name]} {other:.4f}" for name, _, other in rivals]
    if f"{ours:.4f}" != f"{candidate.value:.4f}":  # sums in another order differ in the last digit
        shown.append(f"{ours:.4f} on the posts that it measured too")
    return Verdict(
        passed=all(own < other for _, own, other in rivals),
        reason=f"{candidate.value:.4f} bits per byte on validation posts, {', '.join(shown)}",
        measures={"candidate": candidate.value} | {name: other for name, _, other in rivals},
    )


def _on_shared_posts(one: BitsPerByte, other: BitsPerByte) -> tuple[float, float] | None:
    theirs = {p.post_id: p for p in other.posts}
    known = [(p, theirs[p.post_id]) for p in one.posts if p.post_id in theirs]
    shared = [pair for pair in known if _same_text(*pair)]
    return (_value(p for p, _ in shared), _value(p for _, p in shared)) if shared else None


def _value(rows: Iterable[PostBits]) -> float:
    counts = [(p.bits, p.bytes) for p in rows]
    return sum(bits for bits, _ in counts) / sum(size for _, size in counts)


def _same_text(one: PostBits, other: PostBits) -> bool:
    """Whether two measures of a post are of one revision; of older programs' measures the lengths must do."""
    if one.revision and other.revision:
        return one.revision == other.revision
    return (one.bytes, one.tokens) == (other.bytes, other.tokens)
