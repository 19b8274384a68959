"""What in a text is private: e-mail addresses, phone numbers, keys and tokens, found and masked.

Every room reads privacy through this one package: `collect` reports what it took in, `feature` masks it
before anything is made of a post. A false find destroys an author's text, so every shape is one that its
issuer documents, and what is reserved for documentation (example.com, 555-0100, AKIAIOSFODNN7EXAMPLE) is no
one's and stays. Code is searched for addresses and keys, since that is where they leak, but not for phone
numbers. A find holds where, never what: no report can repeat it.

All patterns look at a bounded stretch around an anchor, so the time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from llm_twin.contracts.private import emails, keys, phones

Kind = Literal["e-mail address", "phone number", "key or token"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_SEVERAL: dict[Kind, str] = {
    "e-mail address": "e-mail addresses",
    "phone number": "phone numbers",
    "key or token": "keys or tokens",
}
# An address that the find stands in: it may hold no blanks (CommonMark 0.31, "link destination").
_IN_ADDRESS = re.compile(r"(?:://|\]\(|\b(?:mailto|tel|sms|xmpp):)[^\s<>]*\Z", re.IGNORECASE)
_LOOK_BACK = 300  # characters: longer than the addresses that people write


@dataclass(frozen=True, slots=True)
class Private:
    """A find: its kind, and its span in the Markdown (start inclusive, end exclusive)."""

    kind: Kind
    start: int
    end: int


def find(markdown: str) -> tuple[Private, ...]:
    """Everything private in a Markdown text, in order and without overlaps."""
    found: list[Private] = []
    # A find can hide another that touches it; once the first is masked nobody should meet the second.
    while more := _search(_blanked(markdown, found)):
        found = sorted([*found, *more], key=lambda one: one.start)
    return tuple(found)


def mask(markdown: str, found: Sequence[Private] | None = None) -> str:
    """The text with every find replaced by the name of its kind, such as "[e-mail address]".

    The Markdown stays valid, and masking it again changes nothing.

    Args:
        found: what `find` gave for this very text, where it is known.
    """
    parts, at = [], 0
    for one in find(markdown) if found is None else found:
        parts += [markdown[at : one.start], _placeholder(markdown, one)]
        at = one.end
    return "".join(parts) + markdown[at:]


def tally(found: Iterable[Private]) -> dict[Kind, int]:
    """Number of finds by kind; kinds that are not there are left out."""
    counts = Counter(one.kind for one in found)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def in_words(counts: Mapping[Kind, int]) -> str:
    """A tally for people: "2 e-mail addresses and 1 key or token"; "nothing private" where it is empty."""
    named = [f"{n} {kind if n == 1 else _SEVERAL[kind]}" for kind in KINDS if (n := counts.get(kind, 0))]
    return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]])) or "nothing private"


def _search(markdown: str) -> list[Private]:
    found = [Private("e-mail address", *span) for span in emails.find(markdown)]
    found += [Private("phone number", *span) for span in phones.find(markdown)]
    found += [Private("key or token", *span) for span in keys.find(markdown)]
    apart: list[Private] = []
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if apart and one.start < apart[-1].end:
            last = apart[-1]
            apart[-1] = Private(last.kind, last.start, max(last.end, one.end))
        else:
            apart.append(one)
    return apart


def _blanked(markdown: str, found: Sequence[Private]) -> str:
    """The text with finds as they look from outside when masked, at unchanged offsets."""
    parts, at = [], 0
    for one in found:
        edges = _placeholder(markdown, one)
        inside = (" " if edges[0] in "[(" else "-") * (one.end - one.start - 2)
        parts += [markdown[at : one.start], edges[0], inside, edges[-1]]
        at = one.end
    return "".join(parts) + markdown[at:]


def _placeholder(markdown: str, one: Private) -> str:
    if _IN_ADDRESS.search(markdown[max(0, one.start - _LOOK_BACK) : one.start]):
        return one.kind.replace(" ", "-")
    # "[...](", "[...][" and "[...]:" would be a link or its definition, and vanish when rendered.
    return f"({one.kind})" if markdown[one.end : one.end + 1] in ("(", "[", ":") else f"[{one.kind}]"
