"""What WordPress does to a post's text before it is HTML: shortcodes, and paragraphs in the classic editor's.

In the classic editor an empty line ends a paragraph and a line's end is a line's end
(developer.wordpress.org/reference/functions/wpautop); the block editor writes its paragraphs.
"""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING

from llm_twin.collect.pages import page

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_BLOCK_EDITOR = "<!-- wp:"
# Shortcodes that go with what they enclose: pictures, players, forms and what others wrote.
_GONE = frozenset(
    str.split(
        "caption wp_caption gallery embed audio video playlist youtube vimeo ted dailymotion soundcloud "
        "spotify bandcamp instagram tweet twitter facebook flickr slideshare googlemaps googlemap polldaddy "
        "poll "
        "contact-form contact-form-7 contact_form gravityform wpforms ninja_form mc4wp_form newsletter "
        "subscribe jetpack_subscription_form blog_subscription_form sharing share_buttons related_posts "
        "recent_posts recent-posts archives button su_button toc table_of_contents donate paypal"
    )
)
_CODE = frozenset(
    str.split("code sourcecode source php python bash js javascript css html xml sql java ruby cpp")
)
_NOTES = frozenset({"footnote", "ref", "efn_note", "mfn", "fn"})
_QUOTES = frozenset({"quote", "blockquote", "pullquote", "su_quote", "su_pullquote"})
_KNOWN = _GONE | _CODE | _NOTES | _QUOTES
_TAG = re.compile(
    r"(?P<html></?(?:pre|code)\b[^>]{0,1000}>)"
    r"|\[(?P<end>/?)(?P<name>[a-z][\w-]{0,60})(?P<rest>(?:\s[^\]\n]{0,1000})?)/?\]"
)
_ATTRIBUTE = re.compile(r"\s[\w-]+\s*=\s*[\"'&\w#]")
_LANGUAGE = re.compile(r"\b(?:lang|language)\s*=\s*[\"']?([\w+#-]+)")
_LATEX = re.compile(r"\$latex\s+([^$\n]{1,1000})\$")
_LATEX_LOOKS = re.compile(r"&(?:amp;)?(?:bg|fg|s)=\w+")
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_BLOCKS = frozenset(
    str.split(
        "p div section article aside header footer main nav h1 h2 h3 h4 h5 h6 ul ol dl blockquote pre table "
        "hr figure form fieldset details address center iframe video audio object embed script style"
    )
)
_HOLDERS = ("body", "div", "blockquote", "section", "article", "center")


def to_html(content: str) -> str:
    """The HTML of `content:encoded`."""
    from lxml import etree

    text = _shortcodes(content.replace("\r\n", "\n").replace("\r", "\n"))
    text = _LATEX.sub(lambda m: f"${_LATEX_LOOKS.sub('', m[1]).strip()}$", text)
    if _BLOCK_EDITOR in content:
        return text
    root = page.parse(f"<body>{text}</body>")
    body = root.find("body") if root is not None else None
    if body is None:
        return ""
    for holder in list(body.iter(*_HOLDERS)):
        _paragraphs(holder)
    body.tag = "div"
    return str(etree.tostring(body, encoding="unicode", method="html", with_tail=False))


def _shortcodes(text: str) -> str:
    """Resolve shortcodes; other words in square brackets stay. Code in HTML is not looked into."""
    tags = list(_TAG.finditer(text))
    pairs = _pairs(tags)
    closed = set(pairs.values())
    kept: list[str] = []
    notes: list[str] = []
    at = depth = 0
    for number, tag in enumerate(tags):
        if tag.start() < at:
            continue
        if tag["html"]:
            depth = max(0, depth + (-1 if tag["html"].startswith("</") else 1))
            continue
        if depth:
            continue
        kept.append(text[at : tag.start()])
        at = tag.end()
        last = tags[pairs[number]] if number in pairs else None
        inner = text[tag.end() : last.start()] if last else ""
        if text[tag.start() - 1 : tag.start()] == "[" and text[at : at + 1] == "]":
            if tag["name"] in _KNOWN:  # [[name]] is how a shortcode is written about
                kept[-1] = kept[-1][:-1]
                at += 1
            kept.append(tag[0])
        elif not tag["end"] and tag["name"] in _GONE:
            at = last.end() if last else at
        elif last and tag["name"] in _CODE:
            kept.append(_code(inner, tag))
            at = last.end()
        elif last and tag["name"] in _QUOTES:
            kept.append(f"<blockquote>{inner}</blockquote>")
            at = last.end()
        elif last and tag["name"] in _NOTES:
            notes.append(inner)
            kept.append(f'<sup><a href="#note-{len(notes)}">{len(notes)}</a></sup>')
            at = last.end()
        elif not (last or number in closed or _ATTRIBUTE.search(tag["rest"])):
            kept.append(tag[0])
    lines = "".join(f'<li id="note-{n}">{note}</li>' for n, note in enumerate(notes, 1))
    return "".join(kept) + text[at:] + (f"\n\n<ol>{lines}</ol>" if lines else "")


def _pairs(tags: list[re.Match[str]]) -> dict[int, int]:
    """Positions of closing tags by those of their opening ones."""
    found: dict[int, int] = {}
    opened: dict[str, list[int]] = {}
    for number, tag in enumerate(tags):
        if tag["html"]:
            continue
        if not tag["end"]:
            opened.setdefault(tag["name"], []).append(number)
        elif opened.get(tag["name"]):
            found[opened[tag["name"]].pop()] = number
    return found


def _code(inner: str, tag: re.Match[str]) -> str:
    named = _LANGUAGE.search(tag["rest"])
    language = named[1] if named else "" if tag["name"] in ("code", "sourcecode", "source") else tag["name"]
    # Some editors store the code as HTML and some as it is.
    return f'<pre><code class="language-{language}">{escape(unescape(inner.strip(chr(10))))}</code></pre>'


def _paragraphs(holder: HtmlElement) -> None:
    """Put the bare text of an element into paragraphs."""
    if any(e.tag in ("pre", "code") for e in holder.iterancestors()):
        return
    pieces: list[str | HtmlElement] = [holder.text or ""]
    for child in list(holder):
        pieces += [child, child.tail or ""]
        child.tail = None
        holder.remove(child)
    holder.text = None
    current: HtmlElement | None = None
    for piece in pieces:
        if isinstance(piece, str):
            for number, part in enumerate(_PARAGRAPH.split(piece)):
                current = None if number else current
                if part.strip() or (current is not None and part):
                    current = _open(holder) if current is None else current
                    _add(current, part)
        elif piece.tag in _BLOCKS:
            current = None
            holder.append(piece)
        else:
            current = _open(holder) if current is None else current
            current.append(piece)


def _open(holder: HtmlElement) -> HtmlElement:
    paragraph = holder.makeelement("p")
    holder.append(paragraph)
    return paragraph


def _add(paragraph: HtmlElement, text: str) -> None:
    """Add text, its lines parted by line breaks."""
    last = paragraph[-1] if len(paragraph) else None
    if last is None:
        text = text.lstrip()
    elif last.tag == "br" and not last.tail:
        text = text.removeprefix("\n")
    first, *lines = text.split("\n")
    if last is None:
        paragraph.text = (paragraph.text or "") + first
    else:
        last.tail = (last.tail or "") + first
    for line in lines:
        br = paragraph.makeelement("br")
        br.tail = line
        paragraph.append(br)
