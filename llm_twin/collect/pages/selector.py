"""Where on a site's pages the text of its posts stands, as a path of elements, and what in it is template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_twin.collect.pages.furniture import words

if TYPE_CHECKING:
    from lxml.html import HtmlElement

# Elements whose kind says nothing, unless they have a class.
PLAIN = frozenset(
    str.split("p ul ol li h1 h2 h3 h4 h5 h6 pre code blockquote table em strong a b i span div img br")
)
HOLDERS = frozenset(str.split("div section article main table tbody tr td center font body"))


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a path: its tag, its id (where no number is in it) and classes it must have."""

    tag: str
    id: str | None
    classes: frozenset[str]

    def fits(self, element: HtmlElement) -> bool:
        """Whether an element is of this kind."""
        return bool(
            element.tag == self.tag
            and (self.id is None or element.get("id") == self.id)
            and self.classes <= frozenset((element.get("class") or "").split())
        )

    def written(self) -> str:
        """The step as a selector. Ids of headings and list items are made from their words: they go."""
        identity = f"#{self.id}" if self.id and self.tag not in PLAIN - {"div", "span"} else ""
        return self.tag + identity + "".join(f".{c}" for c in sorted(self.classes))


Path = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What was learned from a site.

    Attributes:
        path: the container and up to two elements around it, outermost first.
        drop, keep: signatures inside the container that are template, and that hold text.
        head, tail: signatures of the children that stand before and after the text on every example.
        exact: learned from full bodies in a feed rather than from repetition.
        pages: number of examples.
        template: text nodes, on one line, that most pages have.
    """

    path: Path
    drop: frozenset[str]
    keep: frozenset[str]
    head: tuple[str, ...]
    tail: tuple[str, ...]
    exact: bool
    pages: int
    template: frozenset[str] = frozenset()

    def find(self, root: HtmlElement) -> HtmlElement | None:
        """The container on another page of the site."""
        return find(root, self.path)


def find(root: HtmlElement, path: Path) -> HtmlElement | None:
    """The element at a path: where several fit, the one with the most words."""
    fitting = [e for e in root.iter(path[-1].tag) if _fits(e, path)]
    return max(fitting, key=words) if len(fitting) > 1 else next(iter(fitting), None)


def signature(element: HtmlElement) -> str:
    """Tag, id and classes of an element, without those that hold a number: they differ from post to post."""
    return _step(element).written()


def path_of(element: HtmlElement) -> Path:
    """The element with up to two elements around it, outermost first, the body left out."""
    found = [element]
    while len(found) < 3 and (up := found[-1].getparent()) is not None and up.tag not in ("body", "html"):
        found.append(up)
    return tuple(_step(e) for e in found[::-1])


def common_path(elements: Sequence[HtmlElement]) -> Path:
    """The path that fits all of the elements, whose own paths have the same tags."""
    steps = []
    for level in zip(*(path_of(e) for e in elements), strict=True):
        ids = {s.id for s in level}
        classes = frozenset.intersection(*(s.classes for s in level))
        steps.append(Step(level[0].tag, ids.pop() if len(ids) == 1 else None, classes))
    return tuple(steps)


def _fits(element: HtmlElement, path: Path) -> bool:
    here: HtmlElement | None = element
    for step in reversed(path):
        if here is None or not step.fits(here):
            return False
        here = here.getparent()
    return True


def _step(element: HtmlElement) -> Step:
    identity = element.get("id")
    classes = (c for c in (element.get("class") or "").split() if not re.search(r"\d", c))
    return Step(
        element.tag, identity if identity and not re.search(r"\d", identity) else None, frozenset(classes)
    )
