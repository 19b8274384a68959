"""The text of a page's bytes, decoded as browsers do (HTML standard, 13.2.3.2; Encoding standard)."""

from __future__ import annotations

import re
from codecs import CodecInfo, lookup

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# The standard looks into 1024 bytes and lets the parser begin anew at a later meta element; four times as
# much at once finds those that pages really have.
_HEAD_BYTES = 4096
_IN_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:+-]+)", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(r"<meta[\s/][^>]*", re.IGNORECASE)
_XML = re.compile(r"\A\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([\w.:+-]+)")


def decode(body: bytes, content_type: str = "") -> str:
    """The text of a page: by its byte order mark, the HTTP charset, its own; else UTF-8, else windows-1252.

    Broken characters become U+FFFD. XHTML's own charset stands in its XML declaration first.
    """
    for mark, name in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    head = _COMMENT.sub("", body[:_HEAD_BYTES].decode("latin-1"))
    own = [_in_meta(head), _in_declaration(head)]
    if "xhtml" in content_type.lower():
        own.reverse()
    if codec := next((c for c in (_in_header(content_type), *own) if c), None):
        return codec.decode(body, "replace")[0]
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def is_utf16(body: bytes, content_type: str) -> bool:
    """Whether every other byte of plain text may be zero."""
    codec = _in_header(content_type)
    return body.startswith((_BOMS[1][0], _BOMS[2][0])) or bool(codec and codec.name.startswith("utf-16"))


def _in_header(content_type: str) -> CodecInfo | None:
    found = _IN_HEADER.search(content_type)
    return _codec(found[1]) if found else None


def _in_meta(head: str) -> CodecInfo | None:
    named = (found[1] for meta in _META.findall(head) if (found := _IN_HEADER.search(meta)))
    return next((codec for name in named if (codec := _codec(name, in_page=True))), None)


def _in_declaration(head: str) -> CodecInfo | None:
    found = _XML.search(head)
    return _codec(found[1], in_page=True) if found else None


def _codec(label: str, in_page: bool = False) -> CodecInfo | None:
    """The decoder of a label of the Encoding standard; None for one that it does not know.

    Args:
        in_page: said by the page itself, which was readable as ASCII so far and thus cannot be UTF-16.
    """
    import webencodings  # type: ignore[import-untyped]

    found = webencodings.lookup(label)
    if found is None:
        return None
    name = found.name
    if in_page and name.startswith("utf-16"):
        return lookup("utf-8")
    if in_page and name == "x-user-defined":
        return lookup("cp1252")
    # "gbk's decoder is gb18030's decoder"; Python's gbk knows fewer characters.
    codec: CodecInfo = lookup("gb18030") if name == "gbk" else found.codec_info
    return codec
