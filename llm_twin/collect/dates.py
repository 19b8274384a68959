"""Dates as the web writes them, to ISO 8601."""

from __future__ import annotations

import re
from datetime import date, datetime
from email.utils import parsedate_to_datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?"
_WRITTEN = (
    (re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+(\d{{4}})\b", re.IGNORECASE), "mdy"),
    (re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\.?\s+{_MONTH},?\s+(\d{{4}})\b", re.IGNORECASE), "dmy"),
    (re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b"), "ymd"),
)
_IN_PATH = re.compile(r"/(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?=[/._-]|$)")
_EARLIEST, _LATEST = 1980, 2100  # outside of these a number is no year of a post


def iso(text: str | None) -> str | None:
    """An ISO 8601 date or date-time from ISO, RFC 822 or a written-out date; None where it is none."""
    text = " ".join((text or "").split())
    if not text:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return _known(date.fromisoformat(text).isoformat())
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]", text):
            return _known(datetime.fromisoformat(text).isoformat())
        if re.match(r"(?:[A-Za-z]{3}, ?)?\d{1,2} [A-Za-z]{3} \d{4} \d", text):
            return _known(parsedate_to_datetime(text).isoformat())
    except (ValueError, TypeError):
        pass  # not what it looked like; it may still hold a written-out date
    return written(text)


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
