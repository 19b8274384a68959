"""HTML bodies as the editors of blogs and newsletters write them, to Markdown with the author's words alone.

Buttons, sign-up forms, pictures with their captions and embedded posts of others go. Names and formulas that
stand in attributes come in. The marks of footnotes go from the sentences that they would be glued to; the
notes themselves stay at the end, as "[^1]: the note".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_twin.collect.item import whole
from llm_twin.collect.pages.furniture import classes, in_code, remove, words
from llm_twin.collect.pages.markdown import from_html

if TYPE_CHECKING:
    from lxml.html import HtmlElement

# Classes of elements that the author did not write, by the editor that writes them.
_NOT_THE_AUTHOR = frozenset(
    str.split(
        # Substack
        "subscription-widget-wrap subscription-widget-wrap-editor subscription-widget button-wrapper "
        "captioned-button-wrap digest-post-embed embedded-post-wrap embedded-publication-wrap twitter-embed "
        "tweet comment poll-embed sponsorship-campaign-embed image-link-expand file-embed-wrapper instagram "
        "bluesky-wrap tiktok-wrap soundcloud-wrap spotify-wrap apple-podcast-container datawrapper-wrap "
        "polymarket-embed install-substack-app-embed community-chat directMessage paywall-jump paywall "
        # Medium
        "graf--mixtapeEmbed graf--iframe js-mixtapeImage imageCaption "
        # WordPress
        "wp-block-embed wp-block-file wp-block-button wp-block-buttons wp-block-social-links "
        "wp-block-latest-posts wp-block-latest-comments wp-block-jetpack-subscriptions wp-caption-text "
        "gallery-caption sharedaddy jp-relatedposts wp-embedded-content mc4wp-form "
        # Ghost
        "kg-bookmark-card kg-signup-card kg-button-card kg-embed-card kg-product-card kg-file-card "
        "kg-audio-card kg-video-card kg-cta-card kg-nft-card kg-callout-emoji "
        # What networks hand out for embedding
        "twitter-tweet twitter-video instagram-media bluesky-embed tiktok-embed mastodon-embed reddit-card "
        "reddit-embed-bq fb-post imgur-embed-pub text-post-media MathJax MathJax_Preview MathJax_Display"
    )
)
_VERSE = frozenset({"wp-block-verse", "preformatted-block"})
_MARK = re.compile(r"^[\[(]?(?:\d{1,3}|[*†‡§]{1,3}|[ivx]{1,5}|[a-z])[\])]?$")
_DIVIDER = "---"


def to_markdown(body: str, prepare: Callable[[HtmlElement], None] | None = None) -> str:
    """Markdown of a body; "" where nothing of the author is in it.

    Args:
        prepare: takes out of the tree, before all else, what one platform alone puts there.
    """

    def clean(container: HtmlElement) -> None:
        if prepare:
            prepare(container)
        _clean(container)

    blocks = from_html(body, clean).split("\n\n")
    # A divider divides nothing once what stood beyond it is gone.
    first = next((n for n, block in enumerate(blocks) if block != _DIVIDER), len(blocks))
    last = next((n for n in range(len(blocks), 0, -1) if blocks[n - 1] != _DIVIDER), 0)
    return "\n\n".join(blocks[first:last]).strip("\n")


def _clean(container: HtmlElement) -> None:
    for element in list(container.iterdescendants()):
        if classes(element) & _NOT_THE_AUTHOR and not in_code(element, container):
            remove(element)  # highlighters call parts of code so, too
    _maths(container)
    _names(container)
    _notes(container)
    for figure in list(container.iter("figure")):
        if words(figure) == sum(words(caption) for caption in figure.iter("figcaption")):
            remove(figure)
    for element in list(container.iterdescendants()):
        if classes(element) & _VERSE:
            _verse(element)
        elif element.tag == "div" and "pullquote" in classes(element):
            element.tag = "blockquote"


def _replace(element: HtmlElement, tag: str, text: str) -> None:
    element.clear(keep_tail=True)
    element.tag, element.text = tag, whole(text)


def _attributes(element: HtmlElement) -> dict[str, Any]:
    """What Substack keeps of an element in its `data-attrs`."""
    try:
        found = json.loads(element.get("data-attrs") or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _maths(container: HtmlElement) -> None:
    """Substack's formulas: only the attribute has what the author typed. `maths` knows all others."""
    for element in [e for e in container.iter("div") if "latex-rendered" in classes(e)]:
        if tex := str(_attributes(element).get("persistentExpression") or "").strip():
            _replace(element, "p", f"$${tex}$$")


def _names(container: HtmlElement) -> None:
    """A mention is a word of its sentence, but its text is in an attribute."""
    for element in list(container.iter("span")):
        if "mention-wrap" in classes(element) and not words(element):
            _replace(element, "span", str(_attributes(element).get("name") or ""))


def _notes(container: HtmlElement) -> None:
    """Take the marks of footnotes out of the text, and mark the notes."""
    targets = {e.get("id"): e for e in container.iter() if e.get("id")}
    numbers: dict[HtmlElement, int] = {}
    inside: dict[HtmlElement, set[HtmlElement]] = {}
    for link in list(container.iter("a")):
        target = (
            targets.get((link.get("href") or "")[1:]) if (link.get("href") or "").startswith("#") else None
        )
        if not _is_mark(link):
            continue
        note = _note(target) if target is not None else None
        if note is not None and note not in inside:
            inside[note] = set(note.iter("a"))
        if note is not None and link not in inside[note]:
            numbers.setdefault(note, len(numbers) + 1)
        elif "footnote-anchor" not in classes(link):
            continue
        holder = link.getparent()
        remove(holder if holder.tag == "sup" and words(holder) == words(link) else link)
    for note, number in numbers.items():
        _mark(note, number)


def _is_mark(link: HtmlElement) -> bool:
    named = f"{link.get('class') or ''} {link.get('rel') or ''}"
    raised = link.getparent().tag == "sup" or link.find("sup") is not None
    return bool(_MARK.match("".join(link.itertext()).strip())) and (raised or "footnote" in named)


def _note(target: HtmlElement) -> HtmlElement | None:
    """The block that a note is in, from what its mark leads to."""
    for element in (target, *target.iterancestors()):
        if element.tag in ("li", "p", "dd") or "footnote" in classes(element):
            return element
    return target if target.tag == "div" else None


def _mark(note: HtmlElement, number: int) -> None:
    for back in [a for a in note.iter("a") if (a.get("href") or "").startswith("#")]:
        remove(back)
    if note.tag == "li":
        around = note.getparent()
        around.tag = note.tag = "div"
        line = around.getprevious()
        if line is not None and line.tag == "hr":
            remove(line)
    first = next(note.iter("p"), note)
    first.text = f"[^{number}]: {(first.text or '').lstrip()}"


def _verse(element: HtmlElement) -> None:
    """A poem is no code: its lines become lines of a paragraph."""
    lines = [line.strip() for line in "".join(element.itertext()).strip("\n").split("\n")]
    _replace(element, "p", lines[0])
    for line in lines[1:]:
        br = element.makeelement("br")
        br.tail = line
        element.append(br)
