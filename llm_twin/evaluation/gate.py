"""The gate: an adapter goes live only if it predicts held-out words better than what it replaces."""

from __future__ import annotations

from llm_twin.contracts.bits import BitsPerByte
from llm_twin.contracts.verdict import Verdict


def decide(candidate: BitsPerByte, live: BitsPerByte | None, base: BitsPerByte) -> Verdict:
    """Compare on the same validation posts; fewer bits per byte is better, and a tie is no reason to switch.

    `live` is None where the base serves, or where the candidate itself is live. Where the live version was
    measured on other posts (its features were others), the two are compared on the posts that both measured;
    where there are none, no comparison is fair and the base alone decides.
    """
    measures = {"candidate": candidate.value, "base": base.value}
    if not candidate.value < base.value:
        return Verdict(
            passed=False,
            reason=f"{candidate.value:.4f} bits per byte on validation posts, the base only {base.value:.4f}",
            measures=measures,
        )
    shared = _on_shared_posts(candidate, live) if live is not None else None
    if shared is None:
        return Verdict(
            passed=True,
            reason=f"{candidate.value:.4f} bits per byte on validation posts, the base {base.value:.4f}",
            measures=measures,
        )
    ours, theirs = shared
    measures["live"] = theirs
    better = ours < theirs
    return Verdict(
        passed=better,
        reason=(
            f"{ours:.4f} bits per byte on validation posts, the live version {theirs:.4f}, "
            f"the base {base.value:.4f}"
        ),
        measures=measures,
    )


def _on_shared_posts(one: BitsPerByte, other: BitsPerByte) -> tuple[float, float] | None:
    shared = {p.post_id for p in one.posts} & {p.post_id for p in other.posts}
    if not shared:
        return None

    def value(measured: BitsPerByte) -> float:
        rows = [p for p in measured.posts if p.post_id in shared]
        return sum(p.bits for p in rows) / sum(p.bytes for p in rows)

    return value(one), value(other)
