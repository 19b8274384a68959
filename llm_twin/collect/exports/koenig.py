"""The two formats of Ghost's editor, to Markdown: Lexical (since Ghost 5) and Mobiledoc 0.3 (before).

Both are trees of paragraphs and cards. What an author writes in a card (code, Markdown, HTML, callout,
toggle, header) is text; pictures, players, bookmarks, embeds, buttons and forms are not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any

from llm_twin.collect.exports import bodies
from llm_twin.collect.exports.dialects import normal

# Bits of a Lexical text's format (lexical.dev, LexicalConstants) that Markdown has a mark for.
_FORMATS = ((1, "strong"), (2, "em"), (4, "s"), (16, "code"))
_LINKS = frozenset({"link", "autolink", "at-link"})
_MARKUPS = frozenset({"strong", "b", "em", "i", "code", "s", "del", "sub", "sup"})
_SECTIONS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote"})
_QUOTES = frozenset({"aside", "pull-quote"})


class Broken(Exception):
    """A document that is no tree of the format."""


def lexical(document: str) -> str:
    """Markdown of a Lexical document. Raises Broken."""
    return _guarded(document, lambda tree: [_node(n) for n in tree["root"]["children"]])


def mobiledoc(document: str) -> str:
    """Markdown of a Mobiledoc document. Raises Broken."""
    return _guarded(document, lambda tree: [_section(tree, s) for s in tree["sections"]])


def _guarded(document: str, blocks: Callable[[Any], list[str]]) -> str:
    """The blocks of a document, a blank line apart.

    Each block is HTML, but for those that begin with `_MARKDOWN`.
    """
    try:
        found = blocks(json.loads(document))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise Broken from error
    texts: list[str] = []
    run = ""
    for block in [*found, _MARKDOWN]:
        if not block.startswith(_MARKDOWN):
            run += block
            continue
        texts += [bodies.to_markdown(run), normal(block.removeprefix(_MARKDOWN))]
        run = ""
    return "\n\n".join(text for text in texts if text)


_MARKDOWN = "\0"  # cannot stand in HTML


def _card(kind: str, card: Mapping[str, Any]) -> str:
    """A card of either format: HTML, or Markdown after `_MARKDOWN`."""

    def text(key: str) -> str:
        value = card.get(key)
        return value if isinstance(value, str) else ""

    if kind in ("markdown", "card-markdown"):
        return _MARKDOWN + text("markdown")
    if kind == "html":
        return text("html")
    if kind in ("codeblock", "code"):
        return f'<pre><code class="language-{escape(text("language"))}">{escape(text("code"))}</code></pre>'
    if kind in ("horizontalrule", "hr"):
        return "<hr>"
    if kind == "callout":
        return f"<div>{text('calloutText')}</div>"
    if kind == "toggle":
        return f"<h4>{text('heading')}</h4><div>{text('content')}</div>"
    if kind == "header":
        return f"<h2>{text('header')}</h2><p>{text('subheader')}</p>"
    return ""


def _node(node: Mapping[str, Any]) -> str:
    kind = _kind(node)
    if "children" not in node:
        return _card(kind, node)
    if kind == "list":
        return _list(node)
    inner = _inline(node["children"])
    if kind == "heading":
        tag = tag if (tag := str(node.get("tag"))) in _SECTIONS else "h2"
        return f"<{tag}>{inner}</{tag}>"
    return f"<blockquote><p>{inner}</p></blockquote>" if kind in ("quote", "aside") else f"<p>{inner}</p>"


def _kind(node: Mapping[str, Any]) -> str:
    return str(node["type"]).removeprefix("extended-")


def _inline(nodes: list[Mapping[str, Any]]) -> str:
    """The text of a block; a format that goes on from one piece to the next is one element."""
    found: list[str] = []
    opened: list[str] = []
    between = ""
    for node in _pieces(nodes):
        if "text" not in node:
            between += {"linebreak": "<br>", "tab": "\t"}.get(_kind(node), "")
            continue
        wanted = [tag for bit, tag in _FORMATS if int(node.get("format") or 0) & bit]
        while any(tag not in wanted for tag in opened):
            found.append(f"</{opened.pop()}>")
        found.append(between)
        between = ""
        for tag in wanted:
            if tag not in opened:
                opened.append(tag)
                found.append(f"<{tag}>")
        found.append(escape(str(node["text"]), quote=False))
    return "".join(found) + "".join(f"</{tag}>" for tag in reversed(opened))


def _pieces(nodes: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        if _kind(node) in _LINKS:
            yield from _pieces(node["children"])
        else:
            yield node


def _list(node: Mapping[str, Any]) -> str:
    tag = "ol" if node.get("listType") == "number" else "ul"
    items: list[str] = []
    for child in node["children"]:
        nested = "".join(_list(part) for part in child["children"] if part["type"] == "list")
        text = _inline([part for part in child["children"] if part["type"] != "list"])
        if items and nested and not text:  # it is an item of its own, but belongs to the one before
            items[-1] += nested
        else:
            items.append(text + nested)
    start = node.get("start")
    first = f' start="{start}"' if tag == "ol" and isinstance(start, int) else ""
    return f"<{tag}{first}>{''.join(f'<li>{i}</li>' for i in items)}</{tag}>"


def _section(tree: Mapping[str, Any], section: list[Any]) -> str:
    """A section: [1, tag, markers], [2, image], [3, list tag, items of markers] or [10, card]."""
    kind = section[0]
    if kind == 1:
        tag, inner = str(section[1]).lower(), _markers(tree, section[2])
        if tag in _QUOTES:
            return f"<blockquote>{inner}</blockquote>"
        return f"<{tag}>{inner}</{tag}>" if tag in _SECTIONS else f"<p>{inner}</p>"
    if kind == 3:
        tag = "ol" if section[1] == "ol" else "ul"
        return f"<{tag}>{''.join(f'<li>{_markers(tree, item)}</li>' for item in section[2])}</{tag}>"
    if kind == 10:
        name, card = tree["cards"][section[1]][:2]
        return _card(str(name), card)
    return ""


def _markers(tree: Mapping[str, Any], markers: list[Any]) -> str:
    """Texts with the markups that each opens and the number that each closes, innermost first."""
    found: list[str] = []
    opened: list[str] = []
    for kind, opens, closes, value in markers:
        for number in opens:
            opened.append(tag if (tag := str(tree["markups"][number][0])) in _MARKUPS else "span")
            found.append(f"<{opened[-1]}>")
        if kind == 0:
            found.append(escape(str(value), quote=False))
        else:
            name, text = tree["atoms"][value][:2]
            found.append("<br>" if name == "soft-return" else escape(str(text), quote=False))
        for _ in range(closes):
            found.append(f"</{opened.pop()}>")
    return "".join(found)
