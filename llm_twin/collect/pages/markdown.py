"""A post's element to Markdown that keeps the voice: words, punctuation, emphasis and paragraph breaks as
written.

Links keep their text, images go; code keeps its text to the character. Nothing inside a line is escaped (a
backslash is not what the author wrote); only what would turn a paragraph into another kind of block is, a tag
that the author typed among it: `contracts.prose` takes the backslash out again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from markdownify import MarkdownConverter

from llm_twin.collect.pages.furniture import NOT_TEXT, classes, in_code, remove

if TYPE_CHECKING:
    from lxml.html import HtmlElement
    from markdown_it import MarkdownIt

_BLOCK_START = re.compile(r"^(\d{1,9})([.)])(?=\s|$)|^(#{1,6}|[-+*]|>|`{3,}|~{3,}|={2,}|-{2,})(?=\s|$)")
_DIVIDER = re.compile(r"([*_-])(?:[ \t]*\1){2,}")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_MARK = "\x00"  # before such a tag until it is known where its line begins; no tree can hold the character
_LINE_START = r"^((?:[ >]|[-+*] |\d{1,9}[.)] )*)"
_MARKED = re.compile(_LINE_START + _MARK, re.MULTILINE)
_STARTING_TAG = re.compile(_LINE_START + _TAG.pattern, re.MULTILINE)
_PERMALINK = re.compile(r"^[#¶§∞🔗⚓︎\ufe0f\s]*$|^(?:link|permalink|anchor)$", re.IGNORECASE)
_BACKLINK = re.compile(r"^[↩↑⤴︎⏎^\ufe0e\ufe0f\s]*$")
_LANGUAGE = re.compile(r"^(?:language-|lang-|highlight-source-|brush:)([\w+#.-]+)$", re.IGNORECASE)
_NO_LANGUAGE = frozenset({"plaintext", "text", "plain", "none", "nohighlight"})
_GUTTER = frozenset(
    {"lineno", "linenos", "linenodiv", "gutter", "line-numbers", "line-numbers-rows", "rouge-gutter"}
)
_BLANKS = re.compile(r"[ \t\r\n]{2,}|[\t\r\n]")  # all but the single space, which stays
_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
# Blanks at the edges of these, inside and outside, are only how the page was written.
_BLOCKS = frozenset(
    str.split(
        "p blockquote article div section ol ul li dl dt dd table thead tbody tfoot tr td th "
        "h1 h2 h3 h4 h5 h6"
    )
)
_MARKS = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6", "td", "th"), frozenset({"_inline"})),
    **dict.fromkeys(("pre", "code", "kbd", "samp"), frozenset({"_noformat"})),
}
_MOST_COLUMNS = 1000  # of one cell (HTML standard, 4.9.11)
_LAYOUT = ("pre", "ul", "ol", "blockquote", "table", "h1", "h2", "h3", "h4", "h5", "h6")


def to_markdown(container: HtmlElement) -> str:
    """Markdown of an element. Changes the element: give a copy."""
    for heading in container.xpath(".//h1 | .//h2 | .//h3 | .//h4 | .//h5 | .//h6"):
        for link in [a for a in heading.iter("a") if is_permalink(a)]:
            remove(link)
    for table in container.xpath(".//table"):
        _unwrap_layout(table)
    for block in container.xpath(".//pre"):
        _flatten(block)
    container.tail = None
    text = _MARKED.sub(r"\1\\", _CONVERTER.process_tag(container)).replace(_MARK, "")
    return "\n".join(line.rstrip() if not line.endswith("  ") else line for line in text.strip().split("\n"))


def escape_tags(text: str) -> str:
    """Plain text as Markdown in which no tag begins a block of HTML, which may go on to the text's end.

    Code stays as it is.
    """
    if not _STARTING_TAG.search(text):
        return text
    code = (t.map for t in _parser().parse(text) if t.type in ("fence", "code_block") and t.map)
    kept = {number for first, end in code for number in range(first, end)}
    lines = enumerate(text.split("\n"))
    return "\n".join(line if n in kept else _STARTING_TAG.sub(r"\1\\<", line) for n, line in lines)


@cache
def _parser() -> MarkdownIt:
    """What tells code from text that has no HTML."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").disable(["inline", "html_block"])


def is_permalink(link: HtmlElement) -> bool:
    """Whether a link in a heading is only the mark by which the heading can be linked to."""
    return bool(_PERMALINK.match("".join(link.itertext()).strip()))


def from_html(body: str, prepare: Callable[[HtmlElement], None] | None = None) -> str:
    """Markdown of a post's body as a feed or an export gives it; "" where nothing is in it.

    Args:
        prepare: changes the body's tree before anything is taken out of it.
    """
    from llm_twin.collect.pages import page

    root = page.parse(f"<body>{body}</body>")
    container = root.find("body") if root is not None else None
    if container is None:
        return ""
    if prepare:
        prepare(container)
    for element in [
        e for e in container.iterdescendants() if e.tag in NOT_TEXT and not in_code(e, container)
    ]:
        remove(element)
    return to_markdown(container)


def _unwrap_layout(table: HtmlElement) -> None:
    """A table with blocks in it is there for its looks: an old theme's columns, or line numbers."""
    for cell in [e for e in table.iter("td", "div", "span", "pre", "a") if classes(e) & _GUTTER]:
        remove(cell)
    if any(next(table.iterdescendants(tag), None) is not None for tag in _LAYOUT):
        for part in table.iter("table", "tbody", "thead", "tr", "td", "th"):
            part.tag = "div"


def _flatten(block: HtmlElement) -> None:
    """Code as plain text: highlighters wrap every token in an element."""
    for gutter in [e for e in block.iterdescendants() if classes(e) & _GUTTER]:
        remove(gutter)
    for br in block.iter("br"):
        br.text = "\n"
    inner = next(block.iter("code"), block)
    around = [inner, block, *list(block.iterancestors())[:2]]
    named = (e.get("data-lang") or e.get("data-language") or _language(e) for e in around)
    language = next((n for n in named if n), "")
    text = "".join(block.itertext())
    for child in list(block):
        block.remove(child)
    block.text = text
    block.attrib.clear()
    if language.lower() not in _NO_LANGUAGE:
        block.set("data-lang", language)


def _language(element: HtmlElement) -> str:
    for name in (element.get("class") or "").split():
        if found := _LANGUAGE.match(name):
            return found[1]
    return ""


def _escape_block_start(line: str) -> str:
    return _BLOCK_START.sub(lambda m: f"{m[1]}\\{m[2]}" if m[1] else f"\\{m[3]}", line)


def _joined(strings: Iterable[str]) -> str:
    """Strings one after another; where line breaks of two meet there is at most one blank line."""
    parts, breaks = [], 0
    for string in filter(None, strings):
        begun = string.lstrip("\n")
        text, leading = begun.rstrip("\n"), len(string) - len(begun)
        parts += ["\n" * (min(2, max(breaks, leading)) if breaks and leading else breaks + leading), text]
        breaks = len(begun) - len(text)
    return "".join(parts) + "\n" * breaks


def _number(written: str | None) -> int:
    """A number in an attribute; 1 where there is none that Markdown can have (CommonMark: nine digits)."""
    return int(written) if written and written.isdecimal() and len(written) <= 9 else 1


_Base: Any = MarkdownConverter  # its stubs leave out what it is extended by


class _Converter(_Base):  # type: ignore[misc]
    """markdownify, on a tree of lxml, with what a reader of prose needs done differently.

    Its own walk is over a tree of bs4: parsing the page once more took a fifth of a collection's time.
    """

    def process_tag(self, node: Any, parent_tags: frozenset[str] = frozenset()) -> str:
        """An element; `parent_tags` are those around it, with markdownify's marks of what they ask for."""
        inside = parent_tags | {node.tag} | _MARKS.get(node.tag, frozenset())
        at_edge = before = node.tag in _BLOCKS
        strings, text = [], node.text
        for child in node:
            after = child.tag in _BLOCKS or child.tag == "pre"
            strings.append(self._text(text, inside, before, after))
            if isinstance(child.tag, str):
                strings.append(self.process_tag(child, inside))
            text, before = child.tail, after
        strings.append(self._text(text, inside, before, at_edge))
        joined = "".join(strings) if "pre" in inside else _joined(strings)
        convert = self.get_conv_fn_cached(node.tag)
        return str(convert(node, joined, parent_tags=parent_tags)) if convert else joined

    def _text(self, text: str | None, inside: frozenset[str], before: bool, after: bool) -> str:
        """A text node; before and after it can be the edge of a block, where blanks mean nothing."""
        if not text or ((before or after) and not text.strip()):
            return ""
        if "pre" not in inside:
            text = _BLANKS.sub(" ", text)
        text = text.lstrip(" \t\r\n") if before else text
        text = text.rstrip() if after else text
        if "pre" in inside:
            return text
        text = _INVISIBLE.sub("", text).replace("\xa0", " ")
        return text if "_noformat" in inside else _TAG.sub(f"{_MARK}<", text)

    def convert_a(self, el: Any, text: str, parent_tags: Any) -> str:
        return "" if _BACKLINK.match(text) and text.strip() else text

    def convert_img(self, el: Any, text: str, parent_tags: Any) -> str:
        return ""

    def convert_p(self, el: Any, text: str, parent_tags: Any) -> str:
        text = str(super().convert_p(el, text, parent_tags))
        if "_inline" in parent_tags:
            return text
        if _DIVIDER.fullmatch(text.strip()):
            return "\n\n---\n\n"
        return "\n".join(_escape_block_start(line) for line in text.split("\n"))

    def convert_pre(self, el: Any, text: str, parent_tags: Any) -> str:
        text = text.removeprefix("\n").rstrip()
        longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
        fence = "`" * (longest + 1)
        return f"\n\n{fence}{el.get('data-lang') or ''}\n{text}\n{fence}\n\n" if text.strip() else ""

    def convert_b(self, el: Any, text: str, parent_tags: Any) -> str:
        nested = parent_tags & {"b", "strong"}
        return text if nested else str(super().convert_b(el, text, parent_tags))

    def convert_em(self, el: Any, text: str, parent_tags: Any) -> str:
        nested = parent_tags & {"em", "i"}
        return text if nested else str(super().convert_em(el, text, parent_tags))

    def convert_q(self, el: Any, text: str, parent_tags: Any) -> str:
        return f"“{text}”"

    def convert_list(self, el: Any, text: str, parent_tags: Any) -> str:
        if "li" in parent_tags:
            return f"\n{text.rstrip()}"
        after = el.getnext()
        more = (el.tail or "").strip() or (after is not None and after.tag not in ("ul", "ol"))
        return f"\n\n{text}\n" if more else f"\n\n{text}"

    def convert_li(self, el: Any, text: str, parent_tags: Any) -> str:
        holder, bullet = el.getparent(), "- "
        if holder is not None and holder.tag == "ol":
            bullet = f"{_number(holder.get('start')) + int(el.xpath('count(preceding-sibling::li)'))}. "
        first, *others = text.strip().split("\n")
        indented = (" " * len(bullet) + line if line else "" for line in others)
        return "\n".join([bullet + first, *indented, ""]) if first else "\n"

    def convert_td(self, el: Any, text: str, parent_tags: Any) -> str:
        inner = text.strip().replace("|", "\\|").replace("\n", " ")
        return f" {inner}" + " |" * min(_number(el.get("colspan")), _MOST_COLUMNS)

    def convert_tr(self, el: Any, text: str, parent_tags: Any) -> str:
        table = next(el.iterancestors("table"), el.getroottree().getroot())
        if next(table.iter("tr")) is not el:
            return f"|{text}\n"
        # A table of Markdown has a head; where the page's has none it is the first row.
        width = sum(min(_number(cell.get("colspan")), _MOST_COLUMNS) for cell in el.iter("td", "th"))
        return f"|{text}\n| {' | '.join(['---'] * width)} |\n"

    convert_strong = convert_b
    convert_i = convert_em
    convert_tt = _Base.convert_code
    convert_figure = convert_summary = convert_details = convert_center = _Base.convert_div
    convert_main = convert_header = convert_footer = convert_aside = convert_address = _Base.convert_div
    convert_th = convert_td
    convert_ul = convert_ol = convert_list


_CONVERTER = _Converter(
    heading_style="atx",
    bullets="-",
    strong_em_symbol="*",
    escape_asterisks=False,
    escape_underscores=False,
    escape_misc=False,
    table_infer_header=True,
    wrap=True,
    wrap_width=None,
)
