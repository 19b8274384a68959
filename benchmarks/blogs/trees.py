"""Small changes to a post's body as a tree, from which dialects of markup are put together."""

from __future__ import annotations

from hashlib import sha256

from lxml import html
from lxml.html import HtmlElement, builder


def tree(body: str) -> HtmlElement:
    """A body as the children of a div."""
    return html.fragment_fromstring(body, create_parent="div")


def written(root: HtmlElement) -> str:
    """The markup of what is in an element."""
    text = str(html.tostring(root, encoding="unicode"))
    return text[text.index(">") + 1 : text.rindex("</div>")]


def written_one(element: HtmlElement) -> str:
    """The markup of an element."""
    return str(html.tostring(element, encoding="unicode"))


def hashed(text: str, digits: int) -> str:
    """Hex digits that stay the same for a text, as generated ids do."""
    return sha256(text.encode()).hexdigest()[:digits]


def add_class(root: HtmlElement, tag: str, name: str) -> None:
    """Give every element of a tag a class."""
    for element in root.iter(tag):
        element.set("class", name)


def wrap(element: HtmlElement, around: HtmlElement) -> None:
    """Put an element into another, in its place."""
    around.tail, element.tail = element.tail, None
    element.getparent().replace(element, around)
    around.append(element)


def captions(root: HtmlElement, figure: str, caption: str, hint: bool = False) -> None:
    """A picture alone in its paragraph, and the line in italics below it, as a figure with a caption."""
    for p in [e for e in root if e.tag == "p" and e.find("img") is not None]:
        below = p.getnext()
        box = builder.FIGURE()
        if figure:
            box.set("class", figure)
        box.append(p.find("img"))
        if hint:
            box.append(
                html.fragment_fromstring(
                    '<span class="fo pu pv">Press enter or click to view image in full size</span>'
                )
            )
        if below is not None and len(below) == 1 and below[0].tag == "em":
            words = below[0]
            words.tag = "figcaption"
            if caption:
                words.set("class", caption)
            box.append(words)
            below.drop_tree()
        box.tail = p.tail
        p.getparent().replace(p, box)


def insert_middle(root: HtmlElement, markup: str) -> None:
    """Put markup between the paragraphs of a text that is long enough."""
    if len(root) >= 6:
        root.insert(len(root) // 2, html.fragment_fromstring(markup))


def language(pre: HtmlElement) -> str:
    """The language that a code block names, "" where it names none."""
    code = pre.find("code")
    return (code.get("class") or "").removeprefix("language-") if code is not None else ""


def flat(pre: HtmlElement, keep_code: bool = False) -> None:
    """Code as plain text, in a code element or not."""
    text = "".join(pre.itertext())
    empty(pre)
    if keep_code:
        pre.append(builder.CODE(text))
    else:
        pre.text = text


def empty(element: HtmlElement) -> None:
    """Take everything out of an element."""
    for child in list(element):
        element.remove(child)
    element.text = None


def inner_span(element: HtmlElement, name: str) -> None:
    """Put all that is in an element into a span."""
    span = builder.SPAN(builder.CLASS(name))
    span.text, element.text = element.text, None
    for child in list(element):
        span.append(child)
    element.append(span)


def notes_as_divs(root: HtmlElement) -> None:
    """Footnotes as an editor for letters writes them: a div for each, its number a link."""
    for notes in root.xpath(".//section[@class='footnotes']"):
        for n, item in enumerate(notes.iter("li"), 1):
            for back in item.xpath(".//a[@class='footnote-backref']"):
                back.drop_tree()
            note = html.fragment_fromstring(
                f'<div class="footnote" data-component-name="FootnoteToDOM"><a id="footnote-{n}" '
                f'href="#footnote-anchor-{n}" class="footnote-number" contenteditable="false">{n}</a><div '
                'class="footnote-content"></div></div>'
            )
            note[1].extend(list(item))
            notes.addprevious(note)
        notes.drop_tree()
