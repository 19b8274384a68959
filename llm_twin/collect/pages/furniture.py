"""What on a page is furniture by its name: navigation, bylines, share buttons, related posts, comments.

Names are only the first guess. Where a site's feed shows what the author wrote, `layout` learns better, and
what it has learned to be text is never taken for furniture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.html import HtmlElement

Skip = Callable[["HtmlElement"], bool]

# Never part of a post's text, whatever they are called.
NOT_TEXT = frozenset(
    str.split(
        "script style noscript template svg canvas iframe object embed video audio button form input "
        "select textarea label dialog nav link meta head map"
    )
)
_ROLES = frozenset(str.split("navigation banner contentinfo complementary search dialog alert menu toolbar"))
_NAMES = re.compile(
    r"(?:^|[\s_-])(?:comments?|commentlist|respond|disqus\w*|giscus|utterances|webmentions?|"
    r"related\w*|recommend\w*|read-?next|more-?posts|also-?like|"
    r"shar(?:e|es|ing)|sharedaddy|addtoany|social\w*|likes?|claps?|rating|"
    r"newsletter\w*|subscri(?:be|ption)\w*|signup|sign-up|cta|promo\w*|advert\w*|ads?|adsbygoogle|sponsor\w*|"
    r"breadcrumbs?|paginat\w*|pager|navigation|navbar|nav|nav-?links|links-?nextprev|prev-?next|next-?prev|"
    r"(?:post|entry)-(?:prev|next)|button-?wrap(?:per)?|menu|sidebar|widgets?|"
    r"cookies?|popup|modal|print-?only|screen-?reader\w*|sr-?only|visually-?hidden|skip-?links?|"
    r"byline|author-?(?:box|bio|info|card|profile|name)|bio|about-?author|"
    r"(?:post|entry|article|page|blog)-?(?:meta|nav|tags|footer|header|info|date|utility|author|categories)|"
    r"meta|dateline|reading-?time|read-?time|tags|tag-?(?:list|links|cloud)|categories|cat-?links|taxonom\w*|"
    r"toc|table-?of-?contents|site-?(?:header|footer|title)|masthead|licen[cs]e|copyright|backlinks?|"
    r"edit-?(?:link|page)|permalink|anchor|headerlink|heading-?(?:link|anchor)|jp-relatedposts)(?=$|[\s_-])",
    re.IGNORECASE,
)
_COMMENTS = re.compile(
    r"(?:^|[\s_-])(?:comments?|commentlist|respond|responses|replies|disqus\w*|giscus|utterances|webmentions?)"
    r"(?=$|[\s_-])",
    re.IGNORECASE,
)
# Words that stand beside such names in ids of furniture: "related-posts", "leave-a-comment".
_BESIDE_NAMES = frozenset(
    str.split(
        "post posts article articles entry entries story stories content list area section box form button "
        "buttons links this a leave"
    )
)
# Classes that describe a post rather than a part of a page: WordPress puts its tags and categories on it.
_DESCRIBING = re.compile(
    r"^(?:tag|category|type|status|format|has|is|with|no)-(?!links|list|cloud)", re.IGNORECASE
)
_LEVEL = re.compile(r"(?:^|\s)level[1-6](?:\s|$)")  # Pandoc's class of the section that a heading begins
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
# What engines call a heading that can be linked to; on other elements these are the marks beside it.
_OF_HEADINGS = re.compile(r"anchor|permalink|header|heading|title", re.IGNORECASE)
_BLOCKS = frozenset(
    str.split(
        "p div section article main aside header footer h1 h2 h3 h4 h5 h6 ul ol li dl dt dd blockquote "
        "pre table tr td th figure figcaption details summary address center body"
    )
)
_MOST = 0.6  # an element that holds more of a page's words than this is no furniture, whatever its name


def classes(element: HtmlElement) -> set[str]:
    """The classes of an element."""
    return set((element.get("class") or "").split())


def is_furniture(element: HtmlElement) -> bool:
    """Whether an element is furniture by its tag, role, class or id. Code is never judged by class."""
    if element.tag in NOT_TEXT or (element.get("role") or "").lower() in _ROLES:
        return True
    if element.get("hidden") is not None or (element.get("aria-hidden") or "").lower() == "true":
        return True
    heading = element.tag in _HEADINGS
    named = [n for n in (element.get("class") or "").split() if not _DESCRIBING.match(n)]
    if heading:
        named = [n for n in named if not _OF_HEADINGS.search(n)]
    # A heading's id repeats its words, which may be any words.
    if not heading and element.tag != "li":
        named.append(_own_id(element))
    return bool(_NAMES.search(" ".join(named))) and element.tag not in ("body", "html", "pre", "code")


def is_comments(element: HtmlElement) -> bool:
    """Whether an element holds what readers wrote, by its class or id."""
    return bool(_COMMENTS.search(f"{element.get('class') or ''} {_own_id(element)}"))


def _own_id(element: HtmlElement) -> str:
    """An element's id; "" where it is that of a heading's section and only repeats the heading's words.

    Pandoc, Sphinx and others make such ids, of any words. An id of nothing but names of furniture says
    nothing new beside its heading either, but is furniture's unless Pandoc's class is there too.
    """
    identity = element.get("id") or ""
    heading = next(element.iterdescendants(*_HEADINGS), None) if _NAMES.search(identity) else None
    if heading is None:
        return identity
    slug = re.sub(r"-\d+$", "", identity.replace("_", "-"))  # a number makes it the only one of its page
    if _letters(slug) not in _letters("".join(heading.itertext())):
        return identity
    others = set(_NAMES.sub(" ", slug).lower().replace("-", " ").split()) - _BESIDE_NAMES
    return "" if others or _LEVEL.search(element.get("class") or "") else identity


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def texts(element: HtmlElement, skip: Skip | None = None) -> Iterator[tuple[HtmlElement, str]]:
    """Text nodes below an element in document order, each with the element that it stands in.

    Args:
        skip: says which elements to leave out, outside of code.
    """
    from lxml import etree

    in_code = 0
    walk = etree.iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, found in walk:
        if event != "start":
            in_code -= event == "end" and found.tag in ("pre", "code")
            if found is not element and found.tail:
                yield found.getparent(), found.tail
            continue
        skipped = skip and not in_code and found is not element and skip(found)
        in_code += found.tag in ("pre", "code")
        if skipped or found.tag in NOT_TEXT:
            walk.skip_subtree()
        elif found.text:
            yield found, found.text


def words(element: HtmlElement, skip: Skip | None = None) -> int:
    """Number of words of an element's text."""
    if skip is None and next(element.iter(*NOT_TEXT), None) is None:  # all of it is text: no need to walk
        return len(" ".join(element.itertext()).split())
    return sum(len(text.split()) for _, text in texts(element, skip))


def prune(container: HtmlElement, keep: frozenset[str], drop: frozenset[str]) -> None:
    """Remove furniture from a copy of a post's element.

    Args:
        keep: signatures (`layout.signature`) that were seen to hold the author's text.
        drop: signatures that were seen to hold none of it.
    """
    from llm_twin.collect.pages.selector import signature

    most = _MOST * max(1, words(container))
    for element in list(container.iterdescendants()):
        if not isinstance(element.tag, str) or in_code(element, container):
            continue
        name = signature(element)
        if name in keep and element.tag not in NOT_TEXT:
            continue
        if element.tag in NOT_TEXT or ((name in drop or is_furniture(element)) and words(element) <= most):
            remove(element)


def in_code(element: HtmlElement, top: HtmlElement) -> bool:
    """Whether an element other than a button or script stands inside of a code block."""
    if element.tag in NOT_TEXT:
        return False
    holder = element.getparent()
    while holder is not None and holder is not top:
        if holder.tag in ("pre", "code"):
            return True
        holder = holder.getparent()
    return False


def remove(element: HtmlElement) -> None:
    """Take an element out of its tree; the text after it stays."""
    if element.getparent() is not None:
        element.drop_tree()


def block_of(element: HtmlElement) -> HtmlElement:
    """The nearest block that an element stands in, or itself."""
    while element.tag not in _BLOCKS and element.getparent() is not None:
        element = element.getparent()
    return element
