"""Turn a post's Markdown into HTML and into the short texts that a blog engine shows around it."""

import html
import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

EXCERPT_WORDS = 55
WORDS_A_MINUTE = 220

_SLASHES = r"//[^\n]*|/\*.*?\*/"
_COMMENTS = {"c": _SLASHES, "cpp": _SLASHES, "go": _SLASHES, "rust": _SLASHES, "sql": r"--[^\n]*"}
_COMMENTS |= {"javascript": _SLASHES, "js": _SLASHES, "lua": r"--[^\n]*"}
_KEYWORDS = (
    "and as assert async await begin break case class const continue def del do done elif else end except "
    "esac false False fi fn for from func function if import in is lambda let local nil None not null or "
    "pass raise return select SELECT FROM WHERE GROUP ORDER BY static struct switch then true True try type "
    "use var void while with yield int float double char unsigned bool"
)


@dataclass(frozen=True)
class Heading:
    """A second-level heading, as a table of contents lists it."""

    anchor: str
    text: str


def slugify(text: str) -> str:
    """Make a text fit for an address or an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def page_html(markdown: str) -> str:
    """Render the way a theme does, with permalinks at the headings and a copy button at the code."""
    return _render(markdown, decorated=True)


def feed_html(markdown: str) -> str:
    """Render without the theme's decoration, as engines do for their feeds."""
    return _render(markdown, decorated=False)


def headings(markdown: str) -> list[Heading]:
    """List the second-level headings of a post."""
    tokens = _parse(markdown)
    opens = [
        index for index, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"
    ]
    return [Heading(str(tokens[i].attrs["id"]), _text(tokens[i + 1])) for i in opens]


def paragraphs(markdown: str) -> list[str]:
    """List the plain texts of the paragraphs that stand at the top level of a post."""
    tokens = _parse(markdown)
    opens = [i for i, token in enumerate(tokens) if token.type == "paragraph_open" and token.level == 0]
    return [_text(tokens[i + 1]) for i in opens]


def excerpt(markdown: str, limit: int = EXCERPT_WORDS) -> str:
    """Cut a post to its first words, as listings and teasers show it."""
    words = " ".join(paragraphs(markdown)).split()
    return " ".join(words[:limit]) + ("…" if len(words) > limit else "")


def reading_minutes(markdown: str) -> int:
    """Estimate the reading time, code included, as most themes do."""
    return max(1, ceil(len(markdown.split()) / WORDS_A_MINUTE))


def highlight(code: str, language: str) -> str:
    """Wrap comments, strings, keywords and numbers in spans; the text itself is unchanged."""
    if not language or language in {"text", "plain", "console"}:
        return html.escape(code, quote=False)
    pieces: list[str] = []
    end = 0
    for match in _lexer(language).finditer(code):
        pieces.append(html.escape(code[end : match.start()], quote=False))
        pieces.append(f'<span class="{match.lastgroup}">{html.escape(match.group(), quote=False)}</span>')
        end = match.end()
    return "".join(pieces) + html.escape(code[end:], quote=False)


@cache
def _lexer(language: str) -> re.Pattern[str]:
    """Build the expression that finds the coloured parts of one language."""
    comment = _COMMENTS.get(language, r"#[^\n]*")
    string = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    keyword = rf"\b(?:{'|'.join(_KEYWORDS.split())})\b"
    return re.compile(rf"(?P<s>{string})|(?P<c1>{comment})|(?P<k>{keyword})|(?P<mi>\b\d[\d_.]*\b)", re.DOTALL)


@cache
def _parser() -> MarkdownIt:
    """Build the Markdown parser with the theme's own markup for code and headings."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("heading_close", _heading_close)
    return parser


def _parse(markdown: str) -> list[Token]:
    """Parse, and give each heading an anchor that is unique in its post."""
    tokens = _parser().parse(markdown)
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            slug = slugify(_text(tokens[index + 1])) or "section"
            seen[slug] = seen.get(slug, 0) + 1
            anchor = slug if seen[slug] == 1 else f"{slug}-{seen[slug]}"
            token.attrSet("id", anchor)
            tokens[index + 2].meta["anchor"] = anchor
    return tokens


def _render(markdown: str, decorated: bool) -> str:
    """Render a post, telling the rules whether the theme's decoration is wanted."""
    return str(_parser().renderer.render(_parse(markdown), _parser().options, {"decorated": decorated}))


def _text(inline: Token) -> str:
    """Read the plain text of an inline token."""
    parts = [" " if t.type in {"softbreak", "hardbreak"} else t.content for t in inline.children or []]
    return "".join(parts)


def _fence(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Render a code block in the markup that highlighting engines leave behind."""
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    name = f' class="language-{language}" data-lang="{language}"' if language else ""
    code = f'<pre tabindex="0"><code{name}>{highlight(token.content, language)}</code></pre>'
    button = '<button class="copy-code" type="button">Copy</button>' if env["decorated"] else ""
    return f'<div class="highlight">{button}{code}</div>\n'


def _heading_close(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: MutableMapping[str, Any]
) -> str:
    """Close a heading, after a permalink sign where the theme wants one."""
    token = tokens[index]
    link = f' <a class="anchor" href="#{token.meta["anchor"]}" aria-label="Permalink">#</a>'
    return f"{link if env['decorated'] else ''}</{token.tag}>\n"
