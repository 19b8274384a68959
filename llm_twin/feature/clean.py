"""What is done to a post's Markdown before anything else, and nothing more: the voice must survive.

Line ends become "\\n", letters their composed form (Unicode NFC), and blanks at line ends go, but for the
two spaces that are a line break in Markdown. Apostrophes, dashes, quotes, case, emphasis, lists and
paragraph breaks stay as the author typed them.
"""

from __future__ import annotations

import re
import unicodedata

from llm_twin.contracts.records import Post

_LINE_END = re.compile(r"\r\n?")
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.MULTILINE)
_HARD_BREAK = re.compile(r"(?<=\S)[ \t]* {2}\n(?=[ \t]*\S)")
_MARK = "\x00"  # stands for a hard break while trailing blanks go; Markdown itself forbids the character


def clean(markdown: str) -> str:
    """The text in normal form; cleaning it again changes nothing."""
    text = unicodedata.normalize("NFC", _LINE_END.sub("\n", markdown)).replace(_MARK, "").lstrip("\ufeff")
    text = _TRAILING.sub("", _HARD_BREAK.sub(f"{_MARK}\n", text))
    return text.strip("\n").replace(_MARK, "  ")


def clean_post(post: Post) -> Post:
    """The post with title and Markdown in normal form.

    Its revision stays the library's: it names the source.
    """
    title = " ".join(unicodedata.normalize("NFC", post.title).split())
    return post.model_copy(update={"title": title, "markdown": clean(post.markdown)})
