"""Notes that a site or a habit of publishing puts at the edge of post after post, and their removal.

"This post was archived", a licence, "subscribe to my newsletter", "discussed on Hacker News": they are
learnt as style and retrieved as answers unless they go. A sentence that an author always opens or closes
with looks the same to a counter, but it is voice and must stay. So a block is removed only where all of this
holds: it recurs, it stands at the edge of the post, and it points elsewhere, by a link or by its words.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from llm_twin.contracts.prose import Block, BlockKind, blocks
from llm_twin.contracts.records import Post
from llm_twin.feature.near import NEAR, alike, recurring, words

_FIRST, _LAST = 2, 3  # blocks from either end that count as the edge
_LEAST_WORDS = 3
_KINDS: frozenset[BlockKind] = frozenset({"paragraph", "list", "quote", "html"})
# Of a link no more is read than tells it, and none reaches over the next: what never closes costs no time.
_LINK = re.compile(r"\]\([^)\s]|\]\[[^\]]*\]|<?https?://|href=|<?mailto:|\w[.+-]*@[\w-]+\.\w+")
_TARGET = re.compile(r"(?<=\])\((?:[^)\]]|\](?!\())*+\)|(?<=\])\[[^\]]*\]|https?://\S+|<[^<>]*>")
# What differs from one such note to the next: a date, a place in a series. Other numbers are a post's own.
_DATE = re.compile(r"\b(?:\d\d?[-/.]){0,2}(?:19|20)\d\d(?:[-/.]\d\d?){0,2}\b")
_PLACE = re.compile(r"(\b(?:part|no\.?|number|issue|episode|chapter|volume)\s+|#)\d+", re.IGNORECASE)
# What such notes speak of; recurring text without a link goes only where it holds one of these.
_NOTE = re.compile(
    r"\b(?:archived|subscri\w+|newsletters?|mailing list|rss|licen[csçz]\w+|creative commons|cc0|cc[ -]by\S*"
    r"|copyright\w*|all rights reserved|public domain|originally (?:published|posted|appeared|written)"
    r"|cross-?posted|first (?:published|appeared)|discuss(?:ed|ion)|comments? (?:are|is|on|by)|sponsor\w*"
    r"|patreon|donat\w+|ko-fi|buy me a|affiliate|follow me on|syndicated"
    r"|abonnier\w*|folg\w* mir|(?:zuerst|ursprünglich) (?:erschienen|veröffentlicht)|urheberrecht\w*"
    r"|lizenz\w*|alle rechte vorbehalten"
    r"|abonne[rz]|abonne-toi|publié (?:initialement|à l['’]origine)|droits réservés"
    r"|suscr[ií]\w+|derechos reservados|inscreva\w*|direitos reservados|iscriv\w+|diritti riservati"
    r"|подпиш\w+|подписыва\w+|подписк\w+|подписаться|лицензи\w+|авторские права)\b"
    r"|订阅|訂閱|转载|轉載|版权|購読|転載|著作権",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Removed:
    """A note that was taken out, as it stands in the first of the posts that held it."""

    text: str
    posts: tuple[str, ...]


def remove(posts: Sequence[Post]) -> tuple[list[Post], list[Removed]]:
    """(posts without their recurring notes, what was removed), the most frequent note first.

    Copies of one post count once, so that what only they share is no recurring note.
    """
    least = recurring(len(posts))
    edges = [{_normal(post.markdown, b): b for b in _edge(post.markdown)} for post in posts]
    holders = _at_least(least, edges, range(len(posts)))
    bare = [
        _without(post.markdown, [block for key, block in edge.items() if key in holders])
        for post, edge in zip(posts, edges, strict=True)
    ]
    holders = _at_least(least, edges, _distinct(bare))
    kept: list[Post] = []
    taken: dict[str, list[str]] = {}
    texts: dict[str, str] = {}
    for post, edge in zip(posts, edges, strict=True):
        found = {key: block for key, block in edge.items() if key in holders}
        for key, block in found.items():
            texts.setdefault(key, post.markdown[block.start : block.end])
            taken.setdefault(key, []).append(post.id)
        if found:
            post = post.model_copy(update={"markdown": _without(post.markdown, list(found.values()))})
        kept.append(post)
    ordered = sorted(taken, key=lambda key: (-len(taken[key]), key))
    return kept, [Removed(texts[key], tuple(taken[key])) for key in ordered]


def _edge(markdown: str) -> Iterator[Block]:
    """The blocks at either end that may be a note."""
    found = [block for block in blocks(markdown) if block.kind != "rule"]
    for place, block in enumerate(found):
        if block.kind in _KINDS and (place < _FIRST or place >= len(found) - _LAST):
            text = markdown[block.start : block.end]
            points = _LINK.search(text) or _NOTE.search(text)
            if points and len(words(_TARGET.sub(" ", text))) >= _LEAST_WORDS:
                yield block


def _normal(markdown: str, block: Block) -> str:
    """The block's words, without where its links lead, its dates, and which part of a series it names."""
    text = _TARGET.sub(" ", markdown[block.start : block.end])
    return " ".join(words(_PLACE.sub(r"\1", _DATE.sub(" ", text))))


def _at_least(least: int, edges: Sequence[dict[str, Block]], places: Sequence[int]) -> set[str]:
    count: dict[str, int] = defaultdict(int)
    for place in places:
        for key in edges[place]:
            count[key] += 1
    return {key for key, number in count.items() if number >= least}


def _distinct(texts: Sequence[str]) -> list[int]:
    """Places of the texts that repeat no earlier one; of the blank ones the first."""
    repeats = {pair.second for pair in alike(texts, NEAR)}
    blank = [place for place, text in enumerate(texts) if not words(text)]
    return [place for place in range(len(texts)) if place not in repeats and place not in blank[1:]]


def _without(markdown: str, gone: Sequence[Block]) -> str:
    """The text without the blocks, nor a rule that then divides nothing; what is left keeps its form."""
    if not gone:
        return markdown
    cut = set(gone)
    found = blocks(markdown)
    for inwards in (found, found[::-1]):  # from either end, until something stays
        edge = set(takewhile(lambda block: block.kind == "rule" or block in gone, inwards))
        if edge & set(gone):
            cut |= edge
    parts, last = [], 0
    for start, end in [*sorted((block.start, block.end) for block in cut), (len(markdown), len(markdown))]:
        parts.append(markdown[last:start].strip("\n"))
        last = end
    return "\n\n".join(part for part in parts if part.strip())
