"""Markdown as people keep it, to the form that pages are read into: a post is the same text from both.

What Jekyll, Octopress and Hexo (Liquid tags, kramdown attributes), Hugo (shortcodes), Obsidian (wiki links,
embeds, comments, block ids) and MDX (modules, comments) add to Markdown is resolved or left out: tags of
quotations become quotations. Code is never touched, but for the engines' own code tags, which become fences.
Then the Markdown is rendered and read back by the one converter of this room.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from llm_twin.collect.pages.markdown import from_html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

# What opens is read to where the same opens anew (its `(?!...)`), never over it to the end: text in which
# nothing closes takes no more time than other text.
_CODE_OPENS = r"\{(?:%|\{<)-?\s*(?:highlight|codeblock)\b"
_CODE_TAG = re.compile(
    r"\{(?:%|\{<)-?\s*(?P<tag>highlight|codeblock)\b"
    rf"(?P<said>(?>(?:(?!{_CODE_OPENS}).)*?-?(?:%|>\}})\}}))\n?"
    rf"(?P<code>(?:(?!{_CODE_OPENS}).)*?)"
    r"\{(?:%|\{<)-?\s*(?:end|/\s*)(?P=tag)\s*-?(?:%|>\})\}",
    re.DOTALL,
)
_LANGUAGE = {"highlight": re.compile(r"\s+([\w+#-]+)"), "codeblock": re.compile(r".*?\blang:([\w+#-]+)")}
_CODE = (
    r"(?P<code>^[ ]{0,3}(?P<fence>`{3,}|~{3,}).*?(?:^[ ]{0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<tick>`+)(?!`).{1,10000}?(?<!`)(?P=tick)(?!`))"
)
_INDENTED = re.compile(r"^[ >]*(?:[ ]{4}|\t)", re.MULTILINE)
_QUOTE_OPENS = r"\{(?:%|\{[<%])-?\s*(?:block|pull)?quote\b"
_QUOTATION = re.compile(
    _CODE + r"|\{(?:%|\{[<%])-?\s*(?P<tag>(?:block|pull)?quote)\b"
    rf"(?>(?:(?!{_QUOTE_OPENS}).)*?(?:[>%]\}}|%)\}})"
    rf"(?P<words>(?:(?!{_QUOTE_OPENS}).)*?)"
    r"\{(?:%|\{[<%])-?\s*(?:end|/\s*)(?P=tag)\s*-?(?:[>%]\}|%)\}",
    re.DOTALL | re.MULTILINE,
)
# Octopress's, of the words of a paragraph that are shown beside it too.
_PULLED = re.compile(r"\{\"[ ]?((?:(?!\{\").)*?)[ ]?\"\}", re.DOTALL)
_EXTENSIONS = re.compile(
    _CODE
    + "|"
    + "|".join(
        (
            r"\{%-?\s*comment\s*-?%\}(?:(?!\{%-?\s*comment).)*?\{%-?\s*endcomment\s*-?%\}",
            r"\{%(?:(?!\{%).)*?%\}",  # Liquid
            r"\{\{[<%](?:(?!\{\{[<%]).)*?[%>]\}\}",  # Hugo
            r"\{\{-?\s*[\w.]+(?:\s*\|[^{}\n]*+)?\s*-?\}\}",  # a variable of either
            r"\{\{-?\s*(?P<quote>[\"'])(?P<literal>[^\"'{}\n]*)(?P=quote)(?:\s*\|[^{}\n]*+)?\s*-?\}\}",
            r"^[ ]{0,3}\{:[^},\n]*\}[ \t]*$|(?<=[)\]])\{:[\w -]+\}",  # kramdown: of a block, of a link
            # Not Elixir's {:ok, x} or Python's {:.2f}.
            r"\{:[ ]*(?:[.#][A-Za-z_]|[:/]|[\w-]+=)(?:(?!\{:)[^}\n])*\}",
            r"^[ ]{0,3}%%.*?%%",  # Obsidian: a comment, of whole paragraphs where it begins a line
            r"(?<!\d)%%(?:(?!\n[ \t]*\n).)*?%%",
            r"!\[\[(?:(?!\[\[)[^\]\n])*\]\]",  # an embedded note or image
            # A link, shown by its alias.
            r"\[\[(?:(?:(?!\[\[)[^\]|\n])*\|)?(?P<shown>(?:(?!\[\[)[^\]|\n])+)\]\]",
            r"(?<=\S)[ ]\^[\w-]+[ \t]*$",  # the id of a block
        )
    ),
    re.DOTALL | re.MULTILINE,
)

# Characters that the parser may read again, all "[" of a paragraph together: it looks for the end of each.
_MOST_READ = 5_000_000

# Modules stand between blank lines, and no paragraph of MDX may begin as they do.
_SCRIPTS = re.compile(
    _CODE + r"|(?:\A\s*|(?<=\n\n))(?:import|export)[ ](?:[^\n]|\n(?!\n))*|\{/\*(?:(?!\{/\*).)*?\*/\}",
    re.DOTALL | re.MULTILINE,
)


def normal(markdown: str) -> str:
    """The Markdown of a post as a page of it would have been read."""
    text = re.sub(r"\r\n?", "\n", markdown)
    text = _outside_code(_QUOTATION, _quoted, _CODE_TAG.sub(_fenced, text))
    return from_html(_parser().render(_outside_code(_EXTENSIONS, _resolved, text)))


def without_scripts(mdx: str) -> str:
    """MDX without the modules that it imports or exports, and without its comments."""
    return _SCRIPTS.sub(lambda m: m["code"] or "", re.sub(r"\r\n?", "\n", mdx))


def _outside_code(pattern: re.Pattern[str], resolve: Callable[[re.Match[str]], str], text: str) -> str:
    bounds = _code_bounds(text) if pattern.search(text) else []
    return pattern.sub(lambda m: m[0] if bisect_right(bounds, m.start()) % 2 else resolve(m), text)


def _fenced(match: re.Match[str]) -> str:
    language = _LANGUAGE[match["tag"]].match(match["said"])
    return f"```{language[1] if language else ''}\n{match['code'].rstrip()}\n```"


def _quoted(match: re.Match[str]) -> str:
    """Code as it is, and a quotation as Markdown has it."""
    if match["code"]:
        return match["code"]
    words = match["words"].strip()
    if match["tag"] == "pullquote" and _PULLED.search(words):  # the author's own, and nowhere else
        return _PULLED.sub(r"\1", words)
    return "\n\n" + "".join(f"> {line}\n" for line in words.split("\n")) + "\n"


def _resolved(match: re.Match[str]) -> str:
    """What stays of code or of an extension."""
    if match["shown"]:
        return match["shown"].split("#")[0] or match["shown"]
    return match["code"] or match["literal"] or ""


def _code_bounds(text: str) -> list[int]:
    """Where code that is indented begins and ends, by turns: only a parser knows it from text in lists."""
    if not _INDENTED.search(text):
        return []
    starts = [0, *(m.end() for m in re.finditer("\n", text)), len(text)]
    blocks = (t.map for t in _parser().parse(text) if t.type in ("code_block", "fence") and t.map)
    return sorted(starts[line] for block in blocks for line in block)


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.footnote import footnote_plugin

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    parser.use(footnote_plugin).use(deflist_plugin)
    parser.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    parser.inline.ruler.before("escape", "crowded", _in_crowd)
    # Notes follow the text as they do on a page, without a rule of their own.
    parser.add_render_rule("footnote_block_open", lambda *_: "<section><ol>")
    for rule, mark in {"math_inline": "$", "math_inline_double": "$$", "math_block": "$$"}.items():
        parser.add_render_rule(rule, _maths(mark))
    return parser


def _in_crowd(state: StateInline, silent: bool) -> bool:
    """Takes a "[" as text where there are more of them than prose has: to tell links would take hours."""
    if state.src[state.pos] not in "[!^" or not _is_crowd(state.src):
        return False
    if not silent:
        state.pending += state.src[state.pos]
    state.pos += 1
    return True


@lru_cache(maxsize=1)
def _is_crowd(paragraph: str) -> bool:
    return paragraph.count("[") * len(paragraph) > _MOST_READ


def _maths(mark: str) -> Any:
    def render(_: Any, tokens: Any, at: int, *__: Any) -> str:
        shown = escape(f"{mark}{tokens[at].content}{mark}", quote=False)
        return f"<p>{shown}</p>" if tokens[at].type == "math_block" else shown

    return render
