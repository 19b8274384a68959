"""Posts that say nearly the same: found by MinHash, then measured exactly.

Similarity is the Jaccard index of the sets of five-word shingles (Broder, On the resemblance and containment
of documents, 1997). MinHash with banding only proposes pairs; every proposed pair is measured on the sets
themselves, so what is reported is exact and no pair is wrong. A post that lies inside a longer one has a low
Jaccard index; it is found by the blocks that both hold word for word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llm_twin.contracts.prose import UNSPACED, blocks

# A repeat. 0.75 of five-word shingles is what FineWeb drops (Penedo et al., The FineWeb Datasets, 2024).
NEAR = 0.75
# Not a repeat, but so alike that one must not be learnt and the other measured. Measured on 893 posts of
# three authors: two posts that are not the same text reach 0.12; one with each tenth word changed has 0.42.
RELATED = 0.25
CONTAINED = 0.9  # of the shorter post's words, in blocks of the longer one: nothing of its own is left
PART = 0.3  # what RELATED is, for a post within another: the same authors reach 0.24, by quoting one licence

_SHINGLE = 5
# 128 bands of 2 slots propose a pair of Jaccard index 0.25 with probability 0.9997, one of 0.75 always.
_SLOTS, _BANDS, _SEED = 256, 128, 1
_FEWEST, _SHARE = 3, 0.01  # texts that hold what recurs; of few texts, of many
BLOCK_WORDS = 8  # shorter blocks ("Conclusion", "And the result:") stand in two posts by chance
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+(?:['’][^\W{UNSPACED}]+)*")


class Pair(NamedTuple):
    """Two texts by their place in the sequence, and how alike they are, 0 to 1."""

    first: int
    second: int
    share: float


def words(text: str) -> list[str]:
    """The words in lower case, without punctuation."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def alike(texts: Sequence[str], least: float) -> list[Pair]:
    """Pairs (first < second) of Jaccard index `least` or more; texts without words pair with none."""
    from rensa import RMinHash, RMinHashLSH

    # The threshold is that of a filter which is not used here: every proposal is measured below.
    index = RMinHashLSH(threshold=least, num_perm=_SLOTS, num_bands=_BANDS)
    proposed = set()
    for place, text in enumerate(texts):
        shingles = _shingles(text)
        if shingles:
            sketch = RMinHash(num_perm=_SLOTS, seed=_SEED)
            sketch.update(sorted(shingles))
            proposed |= {(int(other), place) for other in index.query(sketch)}
            index.insert(place, sketch)
    sets = {place: _shingles(texts[place]) for pair in proposed for place in pair}
    measured = (Pair(a, b, _jaccard(sets[a], sets[b])) for a, b in sorted(proposed))
    return [pair for pair in measured if pair.share >= least]


def recurring(number: int) -> int:
    """In how many of so many texts a formula stands at least: a block that says nothing of any of them."""
    return max(_FEWEST, round(_SHARE * number))


def inside(texts: Sequence[str], least: float, widest: int | None = None) -> list[Pair]:
    """(shorter, longer, share) where at least that share of the shorter's words stands in the longer.

    Only blocks that both hold word for word count, and those alone that stand in `widest` texts at most.
    """
    held = [{block: block.count(" ") + 1 for block in block_texts(markdown)} for markdown in texts]
    sizes = [sum(own.values()) for own in held]
    holders = _holders(held, widest or len(texts))
    found = []
    for place, own in enumerate(held):
        for other in sorted(_candidates(own, holders, least)):
            if (sizes[place], place) < (sizes[other], other):
                common = sum(n for block, n in own.items() if block in holders and block in held[other])
                if common / sizes[place] >= least:
                    found.append(Pair(place, other, common / sizes[place]))
    return found


def related(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """Groups of two or more texts that must lie in one split, each in order; chains count as one group.

    What an author signs every post with makes none alike: one short post would chain them all.
    """
    root = list(range(len(texts)))

    def top(place: int) -> int:
        while root[place] != place:
            place = root[place]
        return place

    for a, b, _ in [*alike(texts, RELATED), *inside(texts, PART, recurring(len(texts)))]:
        low, high = sorted((top(a), top(b)))
        root[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(texts)):
        groups[top(place)].append(place)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def block_texts(markdown: str) -> Iterable[str]:
    """The words of each block, one blank between them; blocks without words are left out."""
    found = (" ".join(words(markdown[block.start : block.end])) for block in blocks(markdown))
    return [text for text in found if text]


def _holders(held: Sequence[dict[str, int]], widest: int) -> dict[str, list[int]]:
    """Which texts hold a block, for the blocks that say something where two texts hold them."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, own in enumerate(held):
        for block, size in own.items():
            if size >= BLOCK_WORDS:
                found[block].append(place)
    return {block: places for block, places in found.items() if 1 < len(places) <= widest}


def _candidates(own: dict[str, int], holders: dict[str, list[int]], least: float) -> set[int]:
    """Places of the texts that may hold that share of a text's words, its own place too.

    They hold one of its rarest blocks, since all others together are too few words. So a sign-off of every
    post proposes no pair: of 10,000 posts that would be fifty million.
    """
    found: set[int] = set()
    size = left = sum(own.values())
    for block in sorted(own, key=lambda block: len(holders.get(block, ()))):
        if left / size < least:
            break
        found.update(holders.get(block, ()))
        left -= own[block]
    return found


def _shingles(text: str) -> set[str]:
    found = words(text)
    runs = range(max(1, len(found) - _SHINGLE + 1)) if found else range(0)
    return {" ".join(found[i : i + _SHINGLE]) for i in runs}


def _jaccard(one: set[str], other: set[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
