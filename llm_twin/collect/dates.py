"""Dates as the web writes them, to ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_WRITTEN = (
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE), "mdy"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE), "dmy"),
    (re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), "ymd"),
)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}[\d:.,]*) ?(UTC|GMT|Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)
_RFC_822 = re.compile(r"(?:[A-Za-z]{3,9}\.?,? ?)?\d{1,2}[ -][A-Za-z]{3,9}[ -]\d{2,4} \d")
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
    """The first date written out in a text, such as "April 18, 2020" or "18 April 2020"."""
    for pattern, order in _WRITTEN:
        if match := pattern.search(text):
            fields = dict(zip(order, match.groups(), strict=True))
            month = fields["m"]
            number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
            return _date(int(fields["y"]), number, int(fields["d"]))
    return None


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
