"""Formulas back to the TeX that their author wrote, as `$…$` or, on lines of their own, `$$…$$`.

Engines render TeX in four ways, and all but pictures keep the source: KaTeX and MathML as an annotation
(MathML 3, section 5.1.3: `application/x-tex`), MathJax 2 as a script beside its output, WordPress as the
alternative text of a picture. What a browser renders itself is plain text already.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_RENDERED = re.compile(r"(?:^|\s)(?:MathJax\w*|katex-html)(?=\s|$)")
_PICTURE = re.compile(r"(?:^|\s)(?:latex|tex|math)(?=\s|$)")
_TEX = frozenset({"application/x-tex", "text/x-tex", "application/x-latex"})


def restore(root: HtmlElement) -> None:
    """Replace every rendered formula of a tree by its source, in place."""
    for element in list(root.iter("math", "script", "img", "span", "div")):
        if element.getparent() is None:
            continue
        name = element.get("class") or ""
        if element.tag in ("span", "div"):
            if _RENDERED.search(name):
                element.drop_tree()
        elif (found := _source(element, name)) is not None:
            _replace(element, *found)


def _source(element: HtmlElement, name: str) -> tuple[str, bool] | None:
    """The TeX of an element, and whether it is displayed as a block; None where it is no formula."""
    if element.tag == "script":
        kind, _, mode = (element.get("type") or "").partition(";")
        return (element.text or "", "display" in mode) if kind.strip().lower() == "math/tex" else None
    if element.tag == "img":
        alternative = element.get("alt") or ""
        return (alternative, False) if alternative and _PICTURE.search(name) else None
    block = element.get("display") == "block"
    noted = (a.text for a in element.iter("annotation") if (a.get("encoding") or "").lower() in _TEX)
    source = next((text for text in noted if text), None) or element.get("alttext")
    return (source, block) if source else None


def _replace(element: HtmlElement, tex: str, block: bool) -> None:
    mark = "$$" if block else "$"
    shown = element.makeelement("p" if block else "span")
    shown.text = f"{mark}{' '.join(tex.strip().strip('$').split())}{mark}"
    shown.tail = element.tail
    parent = element.getparent()
    assert parent is not None
    parent.replace(element, shown)
