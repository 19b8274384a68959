"""What can be learned from a whole site: where its posts' text stands, and what around it is template.

Pages whose full body also stands in the feed are exact examples: the text of the page is matched against the
feed's, in order; the smallest element that holds all of it is the container, and elements inside the
container that the feed does not have are the template. Without such a feed, `repeats` learns from the pages
alone; `guess` is for a page of which nothing was learned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_twin.collect.pages import repeats
from llm_twin.collect.pages.furniture import is_furniture, texts, words
from llm_twin.collect.pages.page import parse
from llm_twin.collect.pages.selector import HOLDERS, PLAIN, Layout, common_path, path_of, signature

if TYPE_CHECKING:
    from lxml.html import HtmlElement

# Of a feed's body, to be found on the page; and of the container's plain blocks, to be found in the feed.
_FULL = 0.9
_HOLDS = 0.97  # of the matched text: the container is the deepest element that holds so much
_GUESS_HOLDS = 0.8  # the same for a guessed container, where a byline or a note may stand beside the text
_FURNITURE_HOLDS = 0.6  # of a page's words; what holds more is no furniture, whatever its name
_ANCHOR = 12  # characters of a text node that can stand for themselves when the match has to be found again
_WINDOW = 4000  # characters that may be missing on the page before the match is lost
# Names under which engines put a post's text: microformats, schema.org, WordPress, Ghost and many themes.
_KNOWN = (
    ".//*[contains(concat(' ', normalize-space(@class), ' '), ' e-content ')]",
    ".//*[@itemprop='articleBody']",
    *(
        f".//*[contains(concat(' ', normalize-space(@class), ' '), ' {name} ')]"
        for name in str.split(
            "entry-content post-content article-content post-body article-body gh-content "
            "post__content article__content entry__content blog-post-content content-body markdown-body "
            "body-markup"
        )
    ),
)


def learn(examples: Iterable[tuple[HtmlElement, str]], pages: Iterable[HtmlElement]) -> Layout | None:
    """The layout of a site's posts; None where nothing can be learned.

    Args:
        examples: pages of posts, each with the body (HTML) that the feed gives for it.
        pages: pages that look like posts; used where no example has its full body in the feed.
    """
    return _vote([a for a in (_aligned(*e) for e in examples) if a]) or repeats.learn(list(pages))


def guess(root: HtmlElement) -> HtmlElement | None:
    """The likely container of a single page: a well-known name, else the deepest with most of the text."""
    most = _FURNITURE_HOLDS * words(root)
    for known in _KNOWN:
        found = [e for e in root.xpath(known) if not _inside_furniture(e, most)]
        if len(found) == 1 and words(found[0]) >= 5:
            return found[0]
    scopes = [list(root.iter("article")), list(root.iter("main")), list(root.iter("body"))]
    scope = next((s[0] for s in scopes if len(s) == 1), None)
    if scope is None:
        return None
    total = words(scope, is_furniture)
    here = scope
    while True:
        holding = [
            c
            for c in here
            if c.tag in HOLDERS and not is_furniture(c) and words(c, is_furniture) >= _GUESS_HOLDS * total
        ]
        if not holding or total == 0:
            return here
        here = holding[0]


@dataclass(frozen=True, slots=True)
class _Aligned:
    """A page beside its body: the container, and the matched and all characters of each element in it."""

    container: HtmlElement
    matched: dict[HtmlElement, int]
    total: dict[HtmlElement, int]


def _aligned(root: HtmlElement, body: str) -> _Aligned | None:
    given, page = parse(f"<body>{body}</body>"), root.find("body")
    reference = "".join(_squash(t) for _, t in texts(given)) if given is not None else ""
    if page is None or len(reference) < 200:
        return None
    matched: dict[HtmlElement, int] = defaultdict(int)
    total: dict[HtmlElement, int] = defaultdict(int)
    at, synced = 0, False
    for owner, text in texts(page):
        found = _squash(text)
        if not found:
            continue
        long = len(found) >= _ANCHOR
        where = at if (synced or long) and reference.startswith(found, at) else -1
        if where < 0 and long:
            where = reference.find(found, at, at + _WINDOW + len(found))
        if where >= 0:
            at, synced = where + len(found), True
        holder = owner
        while holder is not None:
            total[holder] += len(found)
            matched[holder] += len(found) if where >= 0 else 0
            holder = holder.getparent()
    if matched[page] < _FULL * len(reference):
        return None
    container = page
    while inner := [c for c in container if matched[c] >= _HOLDS * matched[page] and c.tag in HOLDERS]:
        container = inner[0]
    # A feed that gives only the beginning would make the rest of every post look like template.
    named = sum(total[c] for c in container if matched[c] == 0 and c.tag in PLAIN and not c.get("class"))
    if named > (1 - _FULL) * total[container] + 200:
        return None
    return _Aligned(container, matched, total)


def _vote(examples: Sequence[_Aligned]) -> Layout | None:
    if not examples:
        return None
    groups: dict[tuple[str, ...], list[_Aligned]] = defaultdict(list)
    for example in examples:
        groups[tuple(step.tag for step in path_of(example.container))].append(example)
    group = max(groups.values(), key=len)
    template: Counter[str] = Counter()
    text: Counter[str] = Counter()
    heads, tails = [], []
    for example in group:
        for element in example.container.iterdescendants():
            if example.total.get(element):
                (text if example.matched[element] else template)[signature(element)] += 1
        children = [c for c in example.container if isinstance(c.tag, str)]
        inside = [n for n, c in enumerate(children) if example.matched.get(c)]
        first, last = (inside[0], inside[-1]) if inside else (0, len(children) - 1)
        heads.append([signature(c) for c in children[:first]])
        tails.append([signature(c) for c in children[last + 1 :]][::-1])
    return Layout(
        path=common_path([e.container for e in group]),
        drop=frozenset(s for s in template if s not in text and s not in PLAIN),
        keep=frozenset(s for s in text if s not in PLAIN),
        head=_common_start(heads),
        tail=_common_start(tails),
        exact=True,
        pages=len(group),
    )


def _common_start(lists: Sequence[Sequence[str]]) -> tuple[str, ...]:
    found = []
    for level in zip(*lists, strict=False):
        if len(set(level)) > 1:
            break
        found.append(level[0])
    return tuple(found)


def _inside_furniture(element: HtmlElement, most: float) -> bool:
    return any(is_furniture(a) and words(a) <= most for a in element.iterancestors())


def _squash(text: str) -> str:
    return "".join(text.split())
