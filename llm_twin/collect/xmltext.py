"""XML from strangers, made harmless before a parser sees it: UTF-8, legal characters, no document type.

The encoding is guessed as XML 1.0, appendix F, and RFC 7303, section 3, have it. A document type is how a
small file grows in memory or asks for other files, and no feed or sitemap needs one: it goes, and the short
texts that it names are put where they are used.
"""

from __future__ import annotations

import codecs
import re

ILLEGAL = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"
)  # in XML 1.0, and in text at all

# UTF-32's little-endian mark begins with UTF-16's, so it comes first.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, "utf-8"),
)
# How a document without a mark begins in encodings that are no superset of ASCII: with "<" and more.
_STARTS = (
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
    (b"\x4c\x6f\xa7\x94", "cp037"),
)
_HTTP_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]+)", re.IGNORECASE)
# Read as their supersets, as the WHATWG encoding standard has it.
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932"}
# Python codecs that are no charset of a document; some take quadratic time.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape", "utf-7", "undefined"})
_HEAD = 65_536  # bytes in which a document says what it is

_PROLOG = re.compile(r"(?:\s++|<\?.*?\?>|<!--.*?-->)*+", re.DOTALL)
_DOCTYPE = re.compile(
    r"""<!DOCTYPE(?:[^\[\]<>"']|"[^"]*"|'[^']*')*+"""
    r"""(?:\[(?:[^\]"'<]|"[^"]*"|'[^']*'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?))*+\])?+\s*+>""",
    re.DOTALL | re.IGNORECASE,
)
_BROKEN_DOCTYPE = re.compile(r"<!DOCTYPE[^>]*+>?", re.IGNORECASE)
_MAX_DOCTYPES = 3  # one is legal
_ENTITY = re.compile(
    r"""<!ENTITY\s+([\w.-]+)\s+(?:"((?:[^"&%<]|&#\w+;){0,64})"|'((?:[^'&%<]|&#\w+;){0,64})')\s*>"""
)
_USED = re.compile(r"&([\w.-]+);")
_CHAR_REF = re.compile(r"&#(x[0-9a-f]+|[0-9]+);?", re.IGNORECASE)
_ROOT = re.compile(r"<([A-Za-z_][\w.-]*+)(?::([\w.-]++))?+")


def decode(body: bytes, content_type: str = "") -> str:
    """The text of a document by byte order mark, HTTP charset, its own declaration, UTF-8, windows-1252."""
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    for start, name in _STARTS:
        if body.startswith(start):
            return body.decode(name, "replace")
    named = [m[1] for m in [_HTTP_CHARSET.search(content_type)] if m]
    named += [m[1].decode("ascii") for m in [_DECLARED.search(body[:_HEAD])] if m]
    for name in (*named, "utf-8"):
        if (text := _strictly(body, name)) is not None:
            return text
    # One character that was cut in two must not turn all the others of its document into noise.
    text = body.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = sum(1 for c in text if c > "\x7f") - broken
    return text if broken <= whole else body.decode("cp1252", "replace")


def harmless(body: bytes, content_type: str = "") -> bytes:
    """A document from its root element on, in UTF-8, without illegal characters and without entities."""
    text = ILLEGAL.sub("", decode(body, content_type))
    doctype, rest = _split(_CHAR_REF.sub(_legal, text))
    return _expanded(rest, doctype).encode()


def root(body: bytes) -> str:
    """The lower-case name of a document's root element, without prefix; "" where it has none."""
    found = _ROOT.match(_split(decode(body[:_HEAD]))[1])
    return (found[2] or found[1]).lower() if found else ""


def _strictly(body: bytes, name: str) -> str | None:
    try:
        codec = codecs.lookup(name).name
        return None if codec in _NO_CHARSETS else body.decode(_SUPERSETS.get(codec, codec))
    except (LookupError, ValueError):  # no such charset, or not the one of these bytes
        return None


def _split(text: str) -> tuple[str, str]:
    """The document types, and the text from the root element on."""
    declared = text.find("<?xml")
    if declared > 0 and "<html" not in text[:declared].lower():
        text = text[declared:]  # warnings of a server's script stand before it
    doctypes: list[str] = []
    at = _end(_PROLOG, text, 0)
    for _ in range(_MAX_DOCTYPES):
        found = _DOCTYPE.match(text, at) or _BROKEN_DOCTYPE.match(text, at)
        if not found:
            return "".join(doctypes), text[at:]
        doctypes.append(found[0])
        at = _end(_PROLOG, text, found.end())
    return "", ""


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _expanded(text: str, doctype: str) -> str:
    """The text with the short texts that its document type names in it, where that does not make it long."""
    named = {name: quoted or other for name, quoted, other in _ENTITY.findall(doctype)}
    if not named:
        return text
    expanded = _USED.sub(lambda m: named.get(m[1], m[0]), text)
    return expanded if len(expanded) <= 2 * len(text) else text


def _legal(reference: re.Match[str]) -> str:
    digits = reference[1]
    if len(digits) > 8:
        return "\ufffd"
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    legal = code <= 0x10FFFF and not (ILLEGAL.match(chr(code)))
    return reference[0] if legal else "\ufffd"
