"""Dates as the web writes them, to ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import product
from typing import Any

# Whose names for months are known. No two of them disagree on a name; Croatian would ("listopad").
_LANGUAGES = str.split("en en_GB de de_AT fr es it pt ca nl sv da nb fi pl cs sk hu ro tr ru uk el")
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}[\d:.,]*) ?(UTC|GMT|Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)
_RFC_822 = re.compile(r"(?:[A-Za-z]{3,9}\.?,? ?)?\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4} \d")
_YEAR = re.compile(r"\d{4}")
_IN_PATH = re.compile(r"/(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?=[/._-]|$)")
_EARLIEST, _LATEST = 1980, 2100  # outside of these a number is no year of a post
_LONGEST = 1000  # characters in which a date is looked for


def iso(text: str | None) -> str | None:
    """An ISO 8601 date or date-time from ISO, RFC 822 or a written-out date; None where it is none."""
    text = " ".join((text or "")[:_LONGEST].split())
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return _known(date.fromisoformat(text).isoformat())
        if found := _ISO.fullmatch(text):
            zone = found[3] or ""
            zone = zone if zone[:1] in ("+", "-", "") else "+00:00"
            return _known(datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}").isoformat())
        # What has no date is of the year 1 in Go, which the standard library reads as 2001.
        if _RFC_822.match(text) and " 0001 " not in text:
            return _known(parsedate_to_datetime(text).isoformat())
    except (ValueError, TypeError, OverflowError, IndexError):
        pass  # not what it looked like; it may still hold a written-out date
    return written(text)


def of_utc(moment: Any) -> str | None:
    """An ISO 8601 date-time from a tuple such as `time.gmtime` gives: UTC, year to second, then anything."""
    if not isinstance(moment, tuple):
        return None
    try:
        year, month, day, hour, minute, second = moment[:6]
        return _known(datetime(year, month, day, hour, minute, second, tzinfo=UTC).isoformat())
    except (ValueError, TypeError, OverflowError):
        return None


def written(text: str) -> str | None:
    """The first date written out in a text: "April 18, 2020", "18. April 2020", "18 de abril de 2020".

    Numbers alone count where their order is certain: 2020-04-18, 18.04.2020, 2020. 4. 18., 2020年4月18日.
    """
    if not _YEAR.search(text):
        return None
    months, patterns = _written()
    for pattern, order in patterns:
        if match := pattern.search(text):
            fields = dict(zip(order, match.groups(), strict=True))
            month = fields["m"]
            number = int(month) if month.isdigit() else months[_folded(month)]
            return _date(int(fields["y"]), number, int(fields["d"]))
    return None


@cache
def _written() -> tuple[dict[str, int], list[tuple[re.Pattern[str], str]]]:
    """Months by name, in full and abbreviated as the Unicode CLDR has them, and the forms of a date."""
    from babel import Locale

    names = {"sept": 9}
    for language in _LANGUAGES:
        months = Locale.parse(language).months
        for form, width in product(("format", "stand-alone"), ("wide", "abbreviated")):
            for number, name in months[form][width].items():
                if len(plain := name.rstrip(".")) > 2:
                    names[plain] = number
    month = "(" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")\b\.?"
    forms = (
        (rf"\b{month}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", "mdy"),
        (
            rf"\b(\d{{1,2}})(?:st|nd|rd|th|er|º|ª)?\.?\s+(?:de\s+|d['’])?{month},?\s+(?:del?\s+)?(\d{{4}})\b",
            "dmy",
        ),
        (r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)", "ymd"),
        (r"\b(\d{4})\.\s(\d{1,2})\.\s(\d{1,2})(?!\d)", "ymd"),
        (r"\b(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?!\d)", "dmy"),
        (r"\b(\d{4})\s?[年년]\s?(\d{1,2})\s?[月월]\s?(\d{1,2})\s?[日일]", "ymd"),
        # Hungarian's; in a sentence of another language, which has no such dots, the day counts what follows.
        (rf"\b(\d{{4}})\.\s+{month}\s+(\d{{1,2}})\.(?!\w)", "ymd"),
        (rf"\A\s*(\d{{4}})\.?\s+{month}\s+(\d{{1,2}})\.?\s*\Z", "ymd"),
    )
    by_name = {_folded(name): number for name, number in names.items()}
    return by_name, [(re.compile(form, re.IGNORECASE), order) for form, order in forms]


def _folded(name: str) -> str:
    """A name without case: as in a pattern that ignores it, the Turkish dotted and dotless i are one."""
    return name.casefold().replace("i\u0307", "i").replace("ı", "i")


def in_path(path: str) -> str | None:
    """The date in the path of an address such as /blog/2015/09/03/."""
    match = _IN_PATH.search(path)
    return _date(*(int(part) for part in match.groups())) if match else None


def _date(year: int, month: int, day: int) -> str | None:
    try:
        return _known(date(year, month, day).isoformat())
    except ValueError:
        return None


def _known(found: str) -> str | None:
    return found if _EARLIEST <= int(found[:4]) <= _LATEST else None
