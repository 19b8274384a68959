"""Between plain text and HTML, for the short texts around a post and for bodies without markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

_TITLE_CHARS = 2000  # of a title that are looked at; the patterns below are slow on long texts
_HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.DOTALL | re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|p|div|h[1-6]|li)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[/!]?[A-Za-z][^<>]*>")
_LONG_REFERENCE = re.compile(r"&#x?[0-9a-f]{8,};?", re.IGNORECASE)  # no character has such a number


def of_html(markup: str) -> str:
    """The text of a title in HTML, on one line: entities decoded once, tags and what is not shown removed."""
    return without_tags(_HIDDEN.sub("", markup[:_TITLE_CHARS]))


def without_tags(typed: str) -> str:
    """The same of what an author typed: a script or a style there is one that is spoken of."""
    text = _LONG_REFERENCE.sub("\ufffd", typed[:_TITLE_CHARS])
    return one_line(html.unescape(_TAG.sub("", _BREAK.sub(" ", text))))


def to_html(text: str) -> str:
    """Plain text as HTML: blank lines part paragraphs, lines stay lines, and nothing in it is markup."""
    found = (part.strip() for part in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")))
    lines = (html.escape(part, quote=False).replace("\n", "<br>") for part in found if part)
    return "".join(f"<p>{paragraph}</p>\n" for paragraph in lines)


def names(found: Iterable[Any]) -> str | None:
    """What names the authors of one text as one name, each of them once; None where nothing does."""
    texts = (one_line(name) for name in found if isinstance(name, str))
    return one_line(", ".join(dict.fromkeys(filter(None, texts)))) or None


def compared(text: str) -> str:
    """The words of a title or a heading, the same however they are set."""
    return re.sub(r"[\W_]+", " ", text).strip().casefold()


def one_line(text: str) -> str:
    """A title, a name or a tag without line breaks and repeated blanks."""
    return " ".join(text[:_TITLE_CHARS].split())
