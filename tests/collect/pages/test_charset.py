from __future__ import annotations

import pytest

from llm_twin.collect.pages.charset import decode, is_utf16

TEXT = "don’t — “quote”"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), "text/html; charset=utf-8"),
        (TEXT.encode(), ""),
        (TEXT.encode("cp1252"), ""),
        (TEXT.encode("cp1252"), "text/html; charset=ISO-8859-1"),
        (TEXT.encode("cp1252"), "text/html; charset=us-ascii"),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), "text/html"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "text/html; charset=windows-1252"),
        (TEXT.encode("utf-16-le"), "text/html; charset=utf-16"),
        (b"<meta charset=windows-1252>" + TEXT.encode("cp1252"), "text/html"),
        (b"<meta charset=windows-1252>" + TEXT.encode(), "text/html; charset='utf-8'"),
        (TEXT.encode(), "text/html; charset=no-such-thing"),
        (b"<meta charset=nonsense><meta charset=cp1252>" + TEXT.encode("cp1252"), ""),
        (b"<meta charset=utf-16>" + TEXT.encode(), "text/html"),
        (b"<meta charset=x-user-defined>" + TEXT.encode("cp1252"), "text/html"),
        (b"<!-- <meta charset=koi8-r> -->" + TEXT.encode(), "text/html"),
        (b"<script src=x charset=koi8-r></script>" + TEXT.encode(), "text/html"),
        (
            b'<meta http-equiv="content-type" content="text/html; charset=latin1">' + TEXT.encode("cp1252"),
            "text/html",
        ),
        (b" " * 3000 + b"<meta charset=windows-1252>" + TEXT.encode("cp1252"), "text/html"),
        (b'<?xml version="1.0" encoding="windows-1252"?>' + TEXT.encode("cp1252"), "text/html"),
        (
            b'<?xml version="1.0" encoding="windows-1252"?><meta charset="utf-8">' + TEXT.encode("cp1252"),
            "application/xhtml+xml",
        ),
        (
            b'<?xml version="1.0" encoding="windows-1252"?><meta charset="utf-8">' + TEXT.encode(),
            "text/html",
        ),
    ],
)
def test_pages_are_decoded_as_browsers_do(body: bytes, content_type: str) -> None:
    assert decode(body, content_type).endswith(TEXT)


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("gb2312", "gb18030", "我喜欢茶 €"),
        ("GBK", "gb18030", "镕 𠀀"),
        ("shift_jis", "cp932", "①お茶～"),
        ("x-sjis", "cp932", "お茶"),
        ("euc-kr", "cp949", "차를 좋아해요 뷁"),
        ("big5", "big5hkscs", "我喜歡茶"),
        ("euc-jp", "euc-jp", "お茶"),
        ("koi8-r", "koi8-r", "чай"),
        ("windows-1251", "cp1251", "чай"),
        ("iso-8859-9", "cp1254", "çay ğ"),
        ("iso-8859-2", "iso8859-2", "čaj"),
        ("macintosh", "mac-roman", "thé “noir”"),
    ],
)
def test_labels_mean_what_the_standard_says(label: str, codec: str, text: str) -> None:
    assert decode(text.encode(codec), f"text/html; charset={label}") == text
    assert decode(f"<meta charset={label}>".encode() + text.encode(codec)).endswith(text)


def test_a_wrong_charset_loses_characters_and_not_the_page() -> None:
    assert decode("tea — and cake".encode("cp1252"), "text/html; charset=utf-8") == "tea \ufffd and cake"
    assert decode("tea’s".encode(), "text/html; charset=windows-1252") == "teaâ€™s"


def test_an_encoding_that_browsers_refuse_is_no_text() -> None:
    assert set(decode(b"hello", "text/html; charset=iso-2022-kr")) == {"\ufffd"}


def test_zeros_are_text_only_where_the_charset_says_so() -> None:
    assert is_utf16(b"\xff\xfea\0", "")
    assert is_utf16(b"a\0", "text/html; charset=UTF-16LE")
    assert not is_utf16(b"a\0", "text/html; charset=utf-8")
