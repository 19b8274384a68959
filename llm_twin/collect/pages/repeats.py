"""Where a site's posts have their text, learned from pages alone: the author's words stand on one page only.

A text node that more than one page has is template or quotes another post; so are words in links, and dates.
What is left are a page's own words. The container is the path whose element holds most of them, and little
else, on most pages; parts of it that hold next to none of them are template.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_twin.collect import dates
from llm_twin.collect.pages.furniture import is_comments, texts, words
from llm_twin.collect.pages.selector import (
    HOLDERS,
    PLAIN,
    Layout,
    Path,
    common_path,
    find,
    path_of,
    signature,
)

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_FEWEST = 3  # pages from which anything can be told
_DESCENDS = 0.5  # of a page's own words, in each element on the way down to a possible container
_SUPPORTED = 0.25  # of the pages on whose way down a possible container must lie
_MOST_COMMENTS = 0.6  # of a page's words; a theme may name the whole page for having comments
_USUAL = 0.4  # of the pages, on which a class must be to be of a kind of element
_HOLDS_NONE = 0.15  # share of own words below which a part is template: excerpts of rare posts look like own
_TEMPLATE = 0.5  # share of pages that have a text node which is taken away wherever it stands at an end
_SHOWN = 0.5  # of what a page and few others say: so much of it elsewhere makes that other one a listing
_SEVERAL = 2  # pages that a listing shows
_DATE_WORDS = 6  # a longer text with a date in it is a sentence, as is one that ends like a sentence
_READING_TIME = re.compile(r"\W*\d+\s*(?:min(?:ute)?s?(?:\W*read)?|words?)\W*", re.IGNORECASE)
_PARTS = frozenset(
    str.split(
        "div section article aside header footer nav ul ol dl p table figure details form h1 h2 h3 h4 h5 h6"
    )
)


_Node = tuple["HtmlElement", str]  # a text node, squeezed, and the element that it stands in


@dataclass(frozen=True, slots=True)
class _Page:
    """One page: own and all words of each element with text in it."""

    root: HtmlElement
    own: dict[HtmlElement, int]
    total: dict[HtmlElement, int]


def learn(roots: Sequence[HtmlElement]) -> Layout | None:
    """The layout of pages that look like posts; None where they are too few or have nothing in common."""
    if len(roots) < _FEWEST:
        return None
    read = _without_listings([(root, list(_nodes(root))) for root in roots])
    if len(read) < _FEWEST:
        return None
    seen = Counter(text for _, nodes in read for text in {text for _, text in nodes})
    pages = [_weigh(root, nodes, seen) for root, nodes in read]
    path = _best(pages)
    if path is None:
        return None
    containers = [(page, container) for page in pages if (container := find(page.root, path)) is not None]
    return Layout(
        path=path,
        drop=_drop(containers),
        keep=frozenset(),
        head=(),
        tail=(),
        exact=False,
        pages=len(containers),
        template=frozenset(t for t, n in seen.items() if n >= max(_FEWEST, _TEMPLATE * len(pages))),
    )


def is_own(owner: HtmlElement, text: str, shared: Iterable[str]) -> bool:
    """Whether a text node says something of its own: it is in no link, is no date, and not in `shared`."""
    if text in shared or _READING_TIME.fullmatch(text) or not re.search(r"\w", text):
        return False
    if text.count(" ") < _DATE_WORDS and not text.endswith((".", "!", "?")) and dates.written(text):
        return False
    return owner.tag != "a" and not any(a.tag == "a" for a in owner.iterancestors("a"))


def squeeze(text: str) -> str:
    """A text node as it is compared."""
    return " ".join(text.split())


def _nodes(root: HtmlElement) -> Iterator[_Node]:
    """The text nodes of a page, squeezed, without what readers wrote."""
    body = root.find("body")
    if body is None:
        return
    most = _MOST_COMMENTS * words(body)
    for owner, text in texts(body, lambda e: is_comments(e) and words(e) <= most):
        if line := squeeze(text):
            yield owner, line


def _without_listings(read: list[tuple[HtmlElement, list[_Node]]]) -> list[tuple[HtmlElement, list[_Node]]]:
    """The pages but those that hold most of what several smaller ones say.

    A front page that shows whole posts would make the author's words in all of them look like template.
    """
    on = Counter(text for _, nodes in read for text in {text for _, text in nodes})
    most = max(_FEWEST, _TEMPLATE * len(read))
    said = [{text: text.count(" ") + 1 for _, text in nodes if on[text] < most} for _, nodes in read]
    size = [sum(texts.values()) for texts in said]

    def shows(big: int, small: int) -> bool:
        if not 0 < size[small] < size[big]:
            return False
        both = said[big].keys() & said[small].keys()
        return sum(said[small][text] for text in both) >= _SHOWN * size[small]

    pages = range(len(read))
    return [read[n] for n in pages if sum(shows(n, other) for other in pages) < _SEVERAL]


def _weigh(root: HtmlElement, nodes: list[_Node], seen: Counter[str]) -> _Page:
    own: dict[HtmlElement, int] = defaultdict(int)
    total: dict[HtmlElement, int] = defaultdict(int)
    for owner, text in nodes:
        count = text.count(" ") + 1
        mine = count if seen[text] == 1 and is_own(owner, text, ()) else 0
        holder: HtmlElement | None = owner
        while holder is not None:
            own[holder] += mine
            total[holder] += count
            holder = holder.getparent()
    return _Page(root, own, total)


def _best(pages: Sequence[_Page]) -> Path | None:
    """The path that holds the own words of pages, and little else: F1 of both shares, mean over pages."""
    found = [(depth, element) for page in pages for depth, element in enumerate(_chain(page))]
    classes = Counter((depth, c) for depth, element in found for c in path_of(element)[-1].classes)
    chains: dict[object, list[HtmlElement]] = defaultdict(list)
    for depth, element in found:
        path = path_of(element)
        # Engines write a post's tags and number into its classes; what few posts have names no kind.
        usual = frozenset(c for c in path[-1].classes if classes[depth, c] >= _USUAL * len(pages))
        chains[depth, tuple(step.tag for step in path), usual].append(element)
    scored: list[tuple[float, Path]] = []
    for elements in chains.values():
        if len(elements) >= max(2, _SUPPORTED * len(pages)):
            path = common_path(elements)
            scored.append((sum(_score(page, path) for page in pages) / len(pages), path))
    # Of two that are as good the later is the deeper one.
    return max(reversed(scored), key=lambda s: s[0])[1] if scored else None


def _chain(page: _Page) -> list[HtmlElement]:
    """The elements from the body down that hold most of a page's own words."""
    body = page.root.find("body")
    if body is None or not page.own[body]:
        return []
    found = [body]
    while True:
        inside = [c for c in found[-1] if c.tag in HOLDERS and page.own[c] >= _DESCENDS * page.own[body]]
        if not inside:
            return found
        found.append(inside[0])


def _score(page: _Page, path: Path) -> float:
    container = find(page.root, path)
    if container is None or not page.own[container]:
        return 0.0
    body = page.root.find("body")
    return 2 * page.own[container] / (page.own[body] + page.total[container])


def _drop(containers: Sequence[tuple[_Page, HtmlElement]]) -> frozenset[str]:
    """Signatures inside the container that hold next to no own words on the pages that have them."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    on: Counter[str] = Counter()
    for page, container in containers:
        names: set[str] = set()
        for element in container.iterdescendants(*_PARTS):
            name = signature(element)
            if name not in PLAIN and page.total[element]:
                names.add(name)
                own[name] += page.own[element]
                total[name] += page.total[element]
        on.update(names)
    return frozenset(n for n, pages in on.items() if pages >= _FEWEST and own[n] <= _HOLDS_NONE * total[n])
