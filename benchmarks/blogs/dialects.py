"""The markup that hosted engines make of a post's body, from its plain HTML.

Each dialect is written after how pages of that engine are built: wrappers, generated class names, cards, and
widgets that stand between the author's paragraphs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from lxml import html
from lxml.html import builder

from blogs import trees
from blogs.trees import hashed, written, written_one

WIDGETS = Path(__file__).parent / "widgets"
Dialect = Callable[[str, str], str]


def plain(body: str, slug: str) -> str:
    """The body as it is."""
    return body


def wordpress(body: str, slug: str) -> str:
    """The block editor's classes; captions in figures; code as a syntax highlighter's plugin leaves it."""
    root = trees.tree(body)
    trees.captions(root, "wp-block-image size-large", "wp-element-caption")
    for tag, name in _WORDPRESS.items():
        trees.add_class(root, tag, name)
    for table in list(root.iter("table")):
        trees.wrap(table, builder.FIGURE(builder.CLASS("wp-block-table")))
    for pre in list(root.iter("pre")):
        pre.set("class", f"brush: {trees.language(pre) or 'plain'}; title: ; notranslate")
        trees.flat(pre)
    for notes in root.xpath(".//section[@class='footnotes']"):
        notes.find("ol").set("class", "wp-block-footnotes")
        notes.drop_tag()
    return written(root)


def ghost(body: str, slug: str) -> str:
    """Cards: images with captions, alternate quotes, and a sign-up in the middle of the text."""
    root = trees.tree(body)
    trees.captions(root, "kg-card kg-image-card kg-card-hascaption", "")
    for quote in list(root.iter("blockquote"))[1::2]:
        quote.set("class", "kg-blockquote-alt")
    trees.insert_middle(root, _widget("signup"))
    for pre in root.iter("pre"):
        if trees.language(pre):
            pre.set("class", f"language-{trees.language(pre)}")
    return written(root)


def substack(body: str, slug: str) -> str:
    """Figures in containers, heading anchors with buttons, offers to subscribe and to share in the body."""
    root = trees.tree(body)
    trees.captions(root, "", "image-caption")
    for figure in list(root.iter("figure")):
        trees.wrap(figure, builder.DIV(builder.CLASS("captioned-image-container")))
    for heading in list(root.iter("h1", "h2", "h3")):
        heading.set("class", "header-anchor-post")
        heading.append(
            html.fragment_fromstring(_widget("anchor").replace("ID", hashed(heading.text or "", 6)))
        )
    for pre in root.iter("pre"):
        trees.flat(pre, keep_code=True)
    for sup in list(root.iter("sup")):
        link = sup.find("a")
        link.set("class", "footnote-anchor")
        link.set("data-component-name", "FootnoteAnchorToDOM")
        sup.drop_tag()
    trees.notes_as_divs(root)
    trees.insert_middle(root, _widget("subscribe"))
    root.append(html.fragment_fromstring(_widget("share").replace("SLUG", slug)))
    return written(root)


def medium(body: str, slug: str) -> str:
    """Generated class names on everything; code as spans with breaks; headings one level up."""
    root = trees.tree(body)
    caption = "ps fo pt pj pk pu pv bf b bg z du"
    trees.captions(root, "pm pn po pp pq pr pj pk paragraph-image", caption, hint=True)
    for old, new in (("h2", "h1"), ("h3", "h2")):
        for heading in list(root.iter(old)):
            heading.tag = new
    for element in root.iterdescendants():
        if element.tag in _MEDIUM:
            element.set("class", _MEDIUM[element.tag])
            element.set("id", hashed(slug + str(len(element.text or "")) + element.tag, 4))
    for pre in root.iter("pre"):
        text = "".join(pre.itertext()).rstrip("\n")
        trees.empty(pre)
        span = builder.SPAN(builder.CLASS("pb of hb oy b bg pc pd l pe pf"))
        first, *rest = text.split("\n")
        span.text = first
        for line in rest:
            br = builder.BR()
            br.tail = line
            span.append(br)
        pre.append(span)
    return written(root)


def blogger(body: str, slug: str) -> str:
    """What its editor left over the years: paragraphs, lines with double breaks, or a div for each line."""
    kind = int(hashed(slug, 2), 16) % 3
    root = trees.tree(body)
    for image in list(root.iter("img")):
        trees.wrap(image, builder.DIV(builder.CLASS("separator"), style="clear: both; text-align: center;"))
    for pre in root.iter("pre"):
        trees.flat(pre)
        pre.set("class", "brush: plain")
    for p in [e for e in root if e.tag == "p"]:
        if kind == 1:
            p.tail = ""
            p.append(builder.BR())
            p.append(builder.BR())
            p.drop_tag()
        elif kind == 2:
            p.tag = "div"
            p.set("style", "font-family: georgia;")
            p.tail = ""
            p.addnext(html.fragment_fromstring("<div><br /></div>"))
    return written(root)


def squarespace(body: str, slug: str) -> str:
    """The body cut into blocks: text, code, image and quote each in their own, a newsletter form between."""
    root = trees.tree(body)
    blocks: list[str] = []
    run: list[str] = []

    def close() -> None:
        if run:
            text = f'<div class="sqs-html-content">{"".join(run)}</div>'
            blocks.append(_block("html-block sqs-block-html", text))
            run.clear()

    for n, child in enumerate(list(root)):
        image = child.find(".//img")
        if child.tag == "pre":
            close()
            trees.flat(child)
            child.set("class", "source-code")
            blocks.append(_block("code-block sqs-block-code", written_one(child)))
        elif child.tag == "blockquote":
            close()
            words = escape(" ".join("".join(child.itertext()).split()))
            quote = (
                f'<blockquote data-animation-role="quote"><span>“</span>{words}<span>”</span></blockquote>'
            )
            blocks.append(_block("quote-block sqs-block-quote", f"<figure>{quote}</figure>"))
        elif image is not None:
            close()
            figure = f'<figure class="sqs-block-image-figure intrinsic">{written_one(image)}</figure>'
            blocks.append(_block("image-block sqs-block-image", figure))
        else:
            run.append(written_one(child))
        if n == len(root) // 2:
            close()
            blocks.append(_block("newsletter-block sqs-block-newsletter", _widget("newsletter")))
    close()
    column = f'<div class="row sqs-row"><div class="col sqs-col-12 span-12">{"".join(blocks)}</div></div>'
    return f'<div class="sqs-layout sqs-grid-12 columns-12" data-layout-label="Post Body">{column}</div>'


def wix(body: str, slug: str) -> str:
    """A div around every paragraph, a span in it, and empty lines as elements of their own."""
    root = trees.tree(body)
    for child in list(root):
        child.set("class", "wKHyJ _01Vdz T5Kq6" if child.tag == "p" else "Xb7Qd _01Vdz")
        child.set("dir", "auto")
        child.set("id", f"viewer-{hashed(written_one(child), 5)}")
        if child.tag in ("p", "h1", "h2", "h3"):
            trees.inner_span(child, "_3kPiT")
        trees.wrap(child, builder.DIV({"data-breakout": "normal"}))
    for wrapped in list(root)[:-1]:
        wrapped.addnext(html.fragment_fromstring(_widget("empty-line")))
    return written(root)


def nineties(body: str, slug: str) -> str:
    """Paragraphs that are opened and not closed, bold for headings, and typewriter type for code."""
    body = re.sub(r"<h[1-3]>(.*?)</h[1-3]>", r'<P><FONT SIZE="+1"><B>\1</B></FONT>', body)
    body = (
        body.replace("</p>", "").replace("<p>", "<P>").replace("<code>", "<TT>").replace("</code>", "</TT>")
    )
    body = (
        re.sub(r"<code class=\"[^\"]*\">", "", body)
        .replace("</TT></pre>", "</pre>")
        .replace("<pre><TT>", "<pre>")
    )
    return body.replace("</li>", "").replace("<em>", "<I>").replace("</em>", "</I>")


def utility(body: str, slug: str) -> str:
    """Utility classes and a scope's hash on every element, as compiled components leave them."""
    root = trees.tree(body)
    for element in root.iterdescendants():
        element.set("data-astro-cid-j7pv25f6", "")
        if element.tag in _UTILITY:
            element.set("class", _UTILITY[element.tag])
    return written(root)


_WORDPRESS = {
    "blockquote": "wp-block-quote",
    "hr": "wp-block-separator has-alpha-channel-opacity",
    "h2": "wp-block-heading",
    "h3": "wp-block-heading",
    "ul": "wp-block-list",
}
_MEDIUM = {
    "p": "pw-post-body-paragraph nk nl hb nm b nn no np nq nr ns nt nu nv nw nx ny nz oa ob oc od ft bk",
    "h1": "oe of hb bf og oh oi oj ok ol om on oo op oq bk",
    "h2": "oe of hb bf og oh oi oj ok ol om on bk",
    "ul": "",
    "li": "nk nl hb nm b nn no np qa qb qc bk",
    "blockquote": "qd qe qf",
    "pre": "os ot ou ov ow ox oy oz bp pa bb bk",
}
_UTILITY = {
    "p": "my-5 leading-7 text-slate-700",
    "h1": "mt-10 mb-4 text-3xl font-bold",
    "h2": "mt-10 mb-4 text-2xl font-semibold tracking-tight",
    "h3": "mt-8 mb-3 text-xl font-semibold",
    "ul": "my-5 list-disc pl-6",
    "ol": "my-5 list-decimal pl-6",
    "blockquote": "border-l-4 pl-4 italic",
    "pre": "my-6 overflow-x-auto rounded-lg bg-slate-900 p-4 text-sm",
    "table": "w-full text-sm",
}


def _widget(name: str) -> str:
    return (WIDGETS / f"{name}.html").read_text(encoding="utf-8").strip()


def _block(kind: str, inner: str) -> str:
    identity = f'data-block-type="2" id="block-{hashed(inner, 20)}"'
    return f'<div class="sqs-block {kind}" {identity}><div class="sqs-block-content">{inner}</div></div>'
