"""Phone numbers in prose, checked against the numbering plans of libphonenumber.

Taken are numbers in the international form (+CC) and, since their usual separators leave no doubt, those of
North America ("(415) 555-2671", "415-555-2671") and the United Kingdom ("0121 234 5678"). Digits of other
shapes are not guessed at: no country is known for a post. Code, tables, HTML and web addresses hold numbers
of every other kind and are left alone. Numbers that regulators keep for fiction are no one's, as is one of an
area that does not exist, such as (555) 123-4567.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from llm_twin.contracts.prose import parser
from llm_twin.contracts.records import Span

_HYPHEN = "\\-\u2010-\u2013"
# The first character of a number is looked at first: it is cheaper to see than what stands before it.
# What may not stand around a number: it would be part of a longer one, of a sum, or of an address.
_BEFORE = rf"(?<![\w.+/#$€£=&?%{_HYPHEN}])"
_AFTER = rf"(?![\w/={_HYPHEN}]|[.:,]\d)"
_SEPARATOR = rf"[ \u00a0.{_HYPHEN}]"
_FORMS: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (
        re.compile(
            rf"(?=\+){_BEFORE}\+\d{{1,3}}(?:{_SEPARATOR}?\(\d{{1,5}}\))?(?:{_SEPARATOR}?\d){{5,14}}+"
            rf"(?!\w|{_SEPARATOR}?\d)"
        ),
        None,
    ),
    (
        re.compile(
            rf"(?=[\d(]){_BEFORE}(?:1[ .{_HYPHEN}])?(?:\(\d{{3}}\) ?|\d{{3}}[.{_HYPHEN}])"
            rf"\d{{3}}[.{_HYPHEN}]\d{{4}}{_AFTER}"
        ),
        "US",
    ),
    (
        re.compile(
            rf"(?=[0(]){_BEFORE}(?:\(0\d{{2,4}}\)|0\d{{2,4}}) "
            rf"(?:\d{{3,4}} \d{{3,4}}|\d{{6}}){_AFTER}(?! \d)"
        ),
        "GB",
    ),
)
_FICTION = {
    # 555-0100 to 555-0199 in every area: ATIS-0300115, "555 NXX Assignment Guidelines".
    1: re.compile(r"\d{3}55501\d\d"),
    # Ofcom, "Telephone numbers for use in TV and radio drama programmes".
    44: re.compile(
        r"1632960\d{3}|2079460\d{3}|7700900\d{3}|8081570\d{3}|9098790\d{3}|3069990\d{3}|1914980\d{3}|2896496\d{3}|"
        r"2920180\d{3}|1(?:1[3-8]|[2-6]1)4960\d{3}"
    ),
}
_NOT_PROSE = frozenset({"fence", "code_block", "table_open", "html_block"})
_LINE_END = re.compile(r"\r\n?|\n")  # CommonMark 0.31, section 2.1
_TICKS = re.compile(r"`+|\n[ \t]*\n")
_URL = re.compile(r"://[^\s<>\"']*\Z")
_LOOK_BACK = 200


def find(text: str) -> Iterator[Span]:
    """Spans of phone numbers."""
    candidates = sorted((m.span(), region) for form, region in _FORMS for m in form.finditer(text))
    elsewhere = sorted([*_blocks(text), *_inline_code(text)], reverse=True) if candidates else []
    beyond = 0
    for (start, end), region in candidates:
        while elsewhere and elsewhere[-1][0] <= start:
            beyond = max(beyond, elsewhere.pop()[1])
        in_prose = start >= beyond and not _URL.search(text, max(0, start - _LOOK_BACK), start)
        if in_prose and (length := _number(text[start:end], region)):
            yield start, start + length


def _number(written: str, region: str | None) -> int:
    """How many characters of `written` are a number that can be called; 0 for none."""
    import phonenumbers

    strict = phonenumbers.Leniency.STRICT_GROUPING if region else phonenumbers.Leniency.VALID
    match: Any = next(iter(phonenumbers.PhoneNumberMatcher(written, region, strict)), None)
    if match is None or match.start != 0:
        return 0
    fiction = _FICTION.get(match.number.country_code)
    return 0 if fiction and fiction.fullmatch(str(match.number.national_number)) else int(match.end)


def _blocks(text: str) -> Iterator[Span]:
    """Code, tables and HTML at any depth; their lines as a whole."""
    starts = [0, *(end.end() for end in _LINE_END.finditer(text)), len(text)]
    for token in parser().parse(text):
        if token.type in _NOT_PROSE and token.map:
            yield starts[token.map[0]], starts[token.map[1]]


def _inline_code(text: str) -> Iterator[Span]:
    """Code spans (CommonMark 0.31): from a run of backticks to the next of its length in the paragraph."""
    opened: re.Match[str] | None = None
    for mark in _TICKS.finditer(text):
        if not mark[0].startswith("`"):
            opened = None
        elif opened is None:
            opened = mark
        elif len(mark[0]) == len(opened[0]):
            yield opened.start(), mark.end()
            opened = None
