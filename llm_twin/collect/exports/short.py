"""Short texts of social networks: which of their characters are prose, and an author's threads as one text.

Every network adds to a short text what no reader reads as prose: whom an answer is sent to (in front), the
addresses and hashtags that hang on it (at its end). An author who goes on where a text had no more room
answers his own; such a thread is one text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from llm_twin.collect import item
from llm_twin.collect.item import Item, Rejected
from llm_twin.collect.pages.markdown import escape_tags
from llm_twin.contracts.records import Kind

BROKEN = "broken record"
NO_TEXT = "no text"

_GREETING = re.compile(r"\s*(?:@[\w.-]+(?:@[\w.-]+)?(?:\s+|\Z))+")
_ADDRESSES = re.compile(r"(?:(?:^|(?<!\s)\s+)https?://\S+)+\s*\Z")
_LABEL = re.compile(r"(?:#\w+)+|https?://\S+")
_LINE_END = re.compile(
    r"(?<=\S)\n(?=\S)(?![-*+>] |\d{1,9}[.)] )"
)  # lists and quotations are lines by themselves
_UNDERLINE = re.compile(r"\n(?=[ ]{0,3}(?:=+|-+)[ \t]*(?:\n|\Z))")


@dataclass(frozen=True, slots=True)
class Short:
    """One text before its thread is known.

    Attributes:
        key: its identity within the export.
        parent: the key of the author's own text that it goes on from, "" where it goes on from none.
        rank: sorts the texts of one author by when they were written.
        words: gives its Markdown; asked only once.
    """

    key: str
    parent: str
    rank: str
    address: str
    published_at: str | None
    kind: Kind
    words: Callable[[], str]
    tags: tuple[str, ...] = ()


def without_greeting(text: str) -> str:
    """The text without the handles in front that say whom it is sent to."""
    return _GREETING.sub("", text, count=1) if _GREETING.match(text) else text


def without_labels(text: str) -> str:
    """The text without the addresses at its end and its last lines that are nothing but hashtags."""
    lines = text.rstrip().split("\n")
    while lines and all(_LABEL.fullmatch(word) for word in lines[-1].split()):
        lines.pop()
    if lines and (shorter := _ADDRESSES.sub("", lines[-1])) != lines[-1]:
        lines[-1] = shorter
    return "\n".join(lines).strip()


def to_markdown(text: str) -> str:
    """Plain text as Markdown that shows its lines and paragraphs as they were written."""
    lines = [line.rstrip() for line in re.split(r"\r\n?|\n", text.strip())]
    text = escape_tags(re.sub(r"\n{3,}", "\n\n", "\n".join(lines)))
    # A row of dashes is a divider; right below a line it would make that line a heading.
    return _LINE_END.sub("  \n", _UNDERLINE.sub("\n\n", text)).replace("\n\n\n", "\n\n")


def items(found: Sequence[Short | Rejected]) -> Iterator[Item]:
    """What an account's export gives: the refused first, then the threads.

    They name no author: whatever an account calls itself, its export is of one.
    """
    yield from (f for f in found if isinstance(f, Rejected))
    yield from threads(f for f in found if isinstance(f, Short))


def threads(shorts: Iterable[Short]) -> Iterator[Item]:
    """One item for each thread, in the order of their first texts; a text alone is a thread of one.

    The item has the address, date and kind of the thread's first text. Texts without words (pictures) are
    left out of a thread that has others.
    """
    by_key = {short.key: short for short in shorts}
    first = _firsts(by_key)
    found: dict[str, list[Short]] = {}
    for short in by_key.values():
        found.setdefault(first[short.key], []).append(short)
    for key in [k for k in by_key if k in found]:
        yield _joined(by_key[key], sorted(found[key], key=lambda s: (s.key != key, s.rank)))


def _firsts(by_key: dict[str, Short]) -> dict[str, str]:
    """For each text the key of the first of its thread; texts that answer each other in a ring go alone."""
    first: dict[str, str] = {}
    for key in by_key:
        path: list[str] = []
        seen: set[str] = set()
        at = key
        while at not in first and at not in seen:
            path.append(at)
            seen.add(at)
            parent = by_key[at].parent
            at = parent if parent in by_key else at
        top = first.get(at, at)
        first.update(dict.fromkeys(path, top))
        first[top] = top
    return first


def _joined(first: Short, members: list[Short]) -> Item:
    texts = [text for short in members if (text := short.words())]
    if not texts:
        return Rejected(first.address, NO_TEXT)
    tags = [tag for short in members for tag in short.tags]
    markdown = "\n\n".join(texts)
    post = item.post(first.address, "", markdown, first.published_at, first.kind, tags=tags)
    parts = tuple(item.id_at(short.address) for short in members if short is not first)
    return item.Thread(**dict(post), parts=parts) if parts else post
