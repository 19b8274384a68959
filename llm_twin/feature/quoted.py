"""What a post quotes: words of others that can be found and cited, but are never learnt as the author's.

Blockquotes, and of plain paragraphs only what is plainly marked: a paragraph announced by a colon and wholly
in quotation marks, a mail under its head ("From: ... Subject: ..."), and the paragraph after "... writes:".
Dialogue in a story is announced by no colon and stays the author's. Wider rules cost more of the author's own
text than they find: so marks that also do other work count as a pair only, and what other languages have for
"writes" does not count, since it also stands for "it is written" and "one writes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llm_twin.contracts.prose import Block, blocks
from llm_twin.contracts.records import Span

# Before a line that it does not quote, » is a bullet.
_OPENS = re.compile(r"[*_]{0,3}(?:[\"“„«「]|»(?=[^«»]*«[.,!?…]?[*_]{0,3}\Z))")
_CLOSES = re.compile(r"[\"”“»«」][.,!?…。]?[*_]{0,3}$")
_HEADER = re.compile(
    r"^[*_]{0,2}(From|To|Cc|Subject|Date|Von|An|Betreff|Datum|De|À|Para|Objet|Asunto|Assunto)[ \xa0]?:",
    re.MULTILINE,
)
# A mail's head has one of them.
_NAMING = {"From", "Subject", "Von", "Betreff", "De", "Objet", "Asunto", "Assunto"}
_COLONS = (":", "：")
_WRITES = re.compile(r"\b(?:writes|wrote)\b")
_OWN = re.compile(r"\b(?:I|we)\b")  # "I wrote:" introduces the author
_INTRODUCTION = 14  # words that "A reader in Corrow writes:" may have


def quoted(markdown: str) -> tuple[Span, ...]:
    """Spans of the blocks that are quotation, in order and apart."""
    found = blocks(markdown)
    texts = [markdown[block.start : block.end] for block in found]
    places = {place for place, block in enumerate(found) if block.kind == "quote"}
    goes_on = False
    for place, (block, text) in enumerate(zip(found, texts, strict=True)):
        if block.kind != "paragraph":
            goes_on = False
            continue
        before = texts[place - 1] if place and place - 1 not in places else ""
        if _is_announced(text, before, goes_on):
            places.add(place)
            # A quotation of several paragraphs opens each and closes only the last.
            goes_on = bool(_OPENS.match(text)) and not _CLOSES.search(text)
        else:
            goes_on = False
            places |= _mail(found, place) if _is_mail_head(text) else set()
    return tuple((found[place].start, found[place].end) for place in sorted(places))


def _mail(found: Sequence[Block], head: int) -> set[int]:
    """A mail's head and its text: up to a rule where one closes it, else one paragraph."""
    after = range(head + 1, len(found))
    close = next((i for i in after if found[i].kind in ("rule", "heading")), len(found))
    closed = close < len(found) and found[close].kind == "rule"
    return set(range(head, close if closed else min(head + 2, close)))


def within(spans: Iterable[Span], start: int, end: int) -> tuple[Span, ...]:
    """The parts of the spans that lie in [start, end)."""
    cut = ((max(a, start), min(b, end)) for a, b in spans)
    return tuple((a, b) for a, b in cut if a < b)


def overlaps(spans: Sequence[Span], others: Iterable[Span]) -> bool:
    """Whether any of the one kind shares a character with any of the other."""
    return any(within(spans, start, end) for start, end in others)


def _is_mail_head(text: str) -> bool:
    names = {match[1] for match in _HEADER.finditer(text)}
    return bool(_HEADER.match(text)) and len(names) > 1 and bool(names & _NAMING)


def _is_announced(text: str, before: str, goes_on: bool) -> bool:
    """Whether the paragraph is quoted: by its marks after a colon, or as what someone writes."""
    if goes_on:
        return bool(_OPENS.match(text))
    if before.endswith(_COLONS) and _OPENS.match(text):
        inner = _OPENS.sub("", text, count=1)
        if _CLOSES.search(text):
            inner = _CLOSES.sub("", inner)
        return not re.search(r"[\"“”„«»「」]", inner)
    if not before.endswith(":") or len(before.split()) > _INTRODUCTION or _OWN.search(before):
        return False
    return bool(_WRITES.search(re.split(r"[.!?]", before)[-1]))
