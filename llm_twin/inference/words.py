"""Text as retrieval compares it: content words in a common form, and sentences with their spans."""

from __future__ import annotations

import re
from functools import lru_cache

from llm_twin.contracts.records import Span
from llm_twin.errors import TwinError

# Words that carry no subject: function words, and the words that only ask ("what", "tell", "many"). Written
# out by hand from the closed classes of English; a word missing here merely weighs a little through its idf.
_FUNCTION_WORDS = """
    a an the this that these those some any each every no not nor and or but if then than so as at by for from
    in into of off on onto out over to up with within without about after again against all also am are be
    because been before being below between both can cannot could did do does doing done down during ever few
    further get gets getting got had has have having he her here hers herself him himself his how i is it its
    itself just let like made make makes me more most much many my myself now once one only other our ours own
    said same say says she should such tell their theirs them themselves there they think thing through too
    under until upon us use used very was way we were what when where which while who whom whose why will
    would yes yet you your yours yourself s t d ll re ve m don doesn didn isn aren wasn weren won wouldn
    couldn shouldn hasn haven hadn ain must might may shall exactly actually ever
"""
STOP = frozenset(_FUNCTION_WORDS.split())
_WORD = re.compile(r"[^\W_]+(?:\.[0-9]+)?")
_ENDS = re.compile(r"(?<=[.!?…])[\"'”’)\]*_]*\s+(?=[\"'“‘(*_\[]*[A-Z0-9])|\n+")
_MARK = re.compile(r"^\s*(?:[-*+•]|#{1,6}|\d{1,3}[.)])(?:\s+|$)")
_MIN_STEM = 3


def checked(text: str, what: str) -> str:
    """The text. Raises TwinError, naming `what` it is, for no string and half a character (a lone surrogate).

    Arguments that are no UTF-8 come with some, and texts that a program cut between the two halves of an
    emoji; no tokenizer takes them.
    """
    if not isinstance(text, str):
        raise TwinError(f"The {what} is no text: {text!r:.80}", "Give it as a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TwinError(
            f"The {what} is no valid Unicode: {text[error.start]!r} at character {error.start + 1}",
            "Give it as UTF-8",
        ) from error
    return text


def content_words(text: str) -> list[str]:
    """The words that carry the subject, lower case, lightly stemmed, in order, repeats kept."""
    words = (w.lower() for w in _WORD.findall(text.replace("’", "'")))
    return [stem(w) for w in words if w not in STOP]


def matches(text: str, query: str) -> tuple[Span, ...]:
    """Spans of the words of `text` that carry a subject of `query`, in any of their forms."""
    wanted = set(content_words(query))
    straight = text.replace("’", "'")
    return tuple(m.span() for m in _WORD.finditer(straight) if wanted.intersection(content_words(m.group())))


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A light stem, so that "locks", "locked" and "locking" meet.

    Strips plural and verb endings only (the S-stemmer of Harman, "How effective is suffixing?", JASIS 1991,
    with -ed, -ing, -ly, -er added); a stronger stemmer joins words that differ, which here would hide that a
    post says something else.
    """
    if not word.isalpha() or len(word) <= _MIN_STEM:
        return word
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("ly", "")):
        if word.endswith(ending) and len(word) - len(ending) >= _MIN_STEM:
            return _undouble(word[: -len(ending)] + instead)
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith("er") and len(word) > _MIN_STEM + 2:
        word = word[:-2]
    return _undouble(word)


def _undouble(word: str) -> str:
    if len(word) > _MIN_STEM and word[-1] == word[-2] and word[-1] not in "aeiouls":
        return word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > _MIN_STEM else word


def points(outline: str) -> list[str]:
    """The points of an outline, a line each, without the marks of a list or a heading."""
    found = (_MARK.sub("", line).strip() for line in outline.splitlines())
    return [point for point in found if point]


def sentences(text: str) -> list[Span]:
    """Spans of the sentences and lines of a text, without the white space between them."""
    spans, start = [], 0
    for gap in [*_ENDS.finditer(text), None]:
        end = gap.start() if gap else len(text)
        if gap:
            end += len(gap.group().rstrip())
        inner = text[start:end].strip()
        if inner:
            first = start + text[start:end].index(inner)
            spans.append((first, first + len(inner)))
        start = gap.end() if gap else end
    return spans
