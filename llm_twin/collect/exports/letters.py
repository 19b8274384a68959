"""One letter of a newsletter to Markdown, without what the sending service or an answer put around it."""

from __future__ import annotations

import codecs
import re
from email.message import EmailMessage, MIMEPart
from typing import TYPE_CHECKING

from llm_twin.collect.exports import bodies
from llm_twin.collect.pages import page
from llm_twin.collect.pages.furniture import NOT_TEXT, remove, words
from llm_twin.collect.pages.markdown import escape_tags
from llm_twin.collect.plaintext import compared

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_RICHER = (
    1.5  # the plain part counts where it has so many times the words: the other is then a picture or a link
)
_LETTERS = re.compile(r"[^\W\d_]{2,}")
_LATIN = frozenset({"ascii", "iso8859-1", "utf-8"})  # what is no UTF-8 is then windows-1252
# A font size of 0 is no sign: generators of letters set it on every box, to mend the space between boxes.
_HIDDEN = re.compile(
    r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden|(?:max-height|opacity)\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_PREHEADER = re.compile(r"pre-?header|preview-?text", re.IGNORECASE)
_QUOTE = re.compile(r"gmail_quote|yahoo_quoted|moz-cite-prefix|gmail_attr|protonmail_quote", re.IGNORECASE)
_SERVICE = re.compile(
    r"\bunsubscribe\b|\b(?:manage|update) (?:your )?(?:e-?mail )?(?:profile|subscriptions?|preferences)\b|"
    r"\b(?:view|read|open|see) (?:(?:this|the|it) ?)?(?:e-?mail |post |message |newsletter |letter |issue )?"
    r"(?:in|on) (?:your |the |a |my )?(?:web ?)?(?:browser|web|app|website)\b|\bview (?:it )?online\b|"
    r"\byou(?:['’]re| are) (?:receiving|getting) this\b|\byou received this\b|\ball rights reserved\b|"
    r"\bpowered by (?:substack|mailchimp|ghost|beehiiv|buttondown|convertkit|kit|mailerlite|sendgrid)\b|"
    r"^\W*forwarded this (?:e-?mail|letter)\?|"
    r"^\W*(?:©|\(c\) ?\d|copyright\b)|^\W*forward(?:ed)? (?:this )?(?:e-?mail )?to (?:you|a friend)\b",
    re.IGNORECASE | re.MULTILINE,
)
_FOOTER = re.compile(
    r"\byou(?:['’]re| are) (?:receiving|getting) this\b|\byou received this\b|\ball rights reserved\b|"
    r"\bno longer (?:want|wish) to (?:receive|get)\b|\bto your address book\b|"
    r"\bunsubscribe (?:here|at any ?time|from (?:this|these|our|all)\b)|\bhere to unsubscribe\b|"
    r"\btrouble (?:viewing|reading|seeing) this\b|\bcan(?:['’]t|not) (?:see|read|view) this\b",
    re.IGNORECASE,
)
_SERVICE_LINK = re.compile(
    r"unsubscribe|opt-?out\b|list-manage\.com/(?:profile|vcard)|/preferences\b|disable_email", re.IGNORECASE
)
_LINE_WORDS = 8  # of a line such as "View this letter in your browser"
_FOOTER_WORDS = 60  # of a paragraph that says why a letter was received
_AT_THE_ENDS = (3, 8)  # blocks at the start and at the end among which the service's stand
_ADDRESS = re.compile(
    r"(?<![ \t])[ \t]*"
    r"(?:\[(?:image|cid):[^\]\n]*\]|\[\s*https?://[^\s\]]+\s*\]|\(\s*https?://[^\s)]+\s*\)|<\s*https?://[^\s>]+\s*>)"
)
_ATTRIBUTION = re.compile(r"^On [^\n]{5,200}\n?[^\n]{0,100}wrote:[ \t]*$", re.MULTILINE)
_ORIGINAL = re.compile(
    r"^-{2,}\s*(?:Original Message|Forwarded message)\s*-{2,}.*\Z", re.MULTILINE | re.DOTALL | re.I
)
_SIGNATURE = re.compile(r"^-- \n.*\Z", re.MULTILINE | re.DOTALL)
_TABLE_PARTS = ("table", "tbody", "thead", "tfoot", "tr", "td", "th")
_BREAKS = re.compile(r"(?:[ ]{2}\n){2,}")


def to_markdown(message: EmailMessage, title: str) -> str:
    """Markdown of a letter, without a heading that repeats the title; "" where it has no text."""
    html, plain = (message.get_body((kind,)) for kind in ("html", "plain"))
    rich = _from_html(_text(html), title) if html else ""
    bare = _from_plain(_text(plain), _is_flowed(plain)) if plain else ""
    return bare if len(_LETTERS.findall(bare)) > _RICHER * len(_LETTERS.findall(rich)) else rich


def decode(content: bytes, charset: str | None) -> str:
    """Text of bytes whose charset may be labelled wrongly: UTF-8 wherever it is that, else as labelled."""
    try:
        codec = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        codec = "utf-8"
    if codec in _LATIN or not content.isascii():
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            codec = "cp1252" if codec in _LATIN else codec
    try:
        return content.decode(codec, "replace")
    except (LookupError, ValueError):  # a codec that is not for text
        return content.decode("cp1252", "replace")


def _text(part: MIMEPart) -> str:
    content = part.get_payload(decode=True)
    return decode(content, part.get_content_charset()) if isinstance(content, bytes) else ""


def _is_flowed(part: MIMEPart) -> bool:
    return str(part.get_param("format", "")).lower() == "flowed"


def _from_html(text: str, title: str) -> str:
    from lxml import etree

    root = page.parse(text)
    body = root.find("body") if root is not None else None
    if body is None:
        return ""
    body.tag = "div"
    source = str(etree.tostring(body, encoding="unicode", method="html", with_tail=False))
    markdown = bodies.to_markdown(source, lambda container: _prepare(container, title))
    return _without_service(_BREAKS.sub("\n\n", markdown))


def _prepare(container: HtmlElement, title: str) -> None:
    for element in list(container.iterdescendants()):
        named = f"{element.get('class') or ''} {element.get('id') or ''}"
        hidden = _HIDDEN.search(element.get("style") or "") or element.get("hidden") is not None
        quoted = element.tag == "blockquote" and (element.get("type") or "").lower() == "cite"
        if hidden or quoted or _PREHEADER.search(named) or _QUOTE.search(named):
            remove(element)
    sizes = _sizes(container)
    for link in list(container.iter("a")):
        if _SERVICE.search("".join(link.itertext())) or _SERVICE_LINK.search(link.get("href") or ""):
            remove(_around(link, container, sizes))
    for part in [p for p in container.iter(*_TABLE_PARTS) if not _holds_data(_table_of(p))]:
        part.tag = "div"
    for heading in container.iter("h1", "h2"):
        if compared("".join(heading.itertext())) == compared(title):
            remove(heading)
        break


def _sizes(container: HtmlElement) -> dict[HtmlElement, int]:
    """Number of words in every element; counted once, since a letter may have thousands of links."""
    sizes: dict[HtmlElement, int] = {}
    for element in reversed(list(container.iter())):  # children before parents
        own = len((element.text or "").split()) if element.tag not in NOT_TEXT else 0
        sizes[element] = own + sum(sizes[c] + len((c.tail or "").split()) for c in element)
    return sizes


def _around(link: HtmlElement, container: HtmlElement, sizes: dict[HtmlElement, int]) -> HtmlElement:
    """The largest element around a link that is still only the service's."""
    most = min(_FOOTER_WORDS, sizes[container] // 2)
    found = link
    for element in link.iterancestors():
        if element is container or sizes[element] > most:
            break
        found = element
    return found


def _table_of(part: HtmlElement) -> HtmlElement | None:
    return part if part.tag == "table" else next(part.iterancestors("table"), None)


def _holds_data(table: HtmlElement | None) -> bool:
    """Whether a table is one: letters are laid out with tables."""
    if (
        table is None
        or (table.get("role") or "") in ("presentation", "none")
        or table.find(".//table") is not None
    ):
        return False
    rows = [[c for c in row if c.tag in ("td", "th") and words(c)] for row in table.iter("tr")]
    return len(rows) > 1 and len(rows[0]) > 1 and all(len(row) == len(rows[0]) for row in rows)


def _from_plain(text: str, flowed: bool) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\xa0", " ").split("\n")
    if flowed:
        lines = _unflow(lines)
    kept = "\n".join(line for line in lines if not line.startswith(">"))
    kept = _SIGNATURE.sub("", _ORIGINAL.sub("", _ATTRIBUTION.sub("", kept)))
    kept = "\n".join(line.rstrip() for line in _ADDRESS.sub("", kept).split("\n"))
    return escape_tags(_without_service(re.sub(r"\n{3,}", "\n\n", kept).strip("\n")))


def _unflow(lines: list[str]) -> list[str]:
    """Lines joined where they end in a space (RFC 3676); "-- " begins a signature."""
    found: list[str] = []
    joins = False
    for line in lines:
        unstuffed = line.removeprefix(" ")
        if joins:
            found[-1] += unstuffed
        else:
            found.append(unstuffed)
        joins = line.endswith(" ") and line != "-- "
    return found


def _without_service(markdown: str) -> str:
    """The text without short blocks of the sending service at its start and end."""
    blocks = markdown.split("\n\n")
    first, last = _AT_THE_ENDS
    kept = [
        block
        for number, block in enumerate(blocks)
        if not ((number < first or number >= len(blocks) - last) and _is_service(block))
    ]
    return "\n\n".join(kept).strip("\n")


def _is_service(block: str) -> bool:
    count = len(block.split())
    return bool(
        (count <= _LINE_WORDS and _SERVICE.search(block))
        or (count <= _FOOTER_WORDS and _FOOTER.search(block))
    )
