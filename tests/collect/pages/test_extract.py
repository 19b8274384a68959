from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from lxml.html import HtmlElement

from llm_twin.collect.pages import page
from llm_twin.collect.pages.extract import Draft, extract
from llm_twin.collect.pages.judge import why_not_address, why_not_page, why_not_post
from llm_twin.collect.pages.layout import Layout, learn
from llm_twin.collect.web.feeds import Entry

URL = "https://a.org/2020/05/tea/"
TOPICS = ("tea", "bees", "locks", "rain", "bread", "oars")


def body(topic: str) -> str:
    """A post as its author wrote it, with an aside that only the feed can tell from template."""
    return (
        f"<p>I don't drink {topic} — it's a habit, isn’t it? So I wrote <em>this</em> about {topic}.</p>"
        f'<p class="note">A note on {topic}: nobody asked for it, and here it is all the same, in full.</p>'
        f"<h2>Why {topic}</h2><p>Because of {topic} and the weather in the {topic} season of last year.</p>"
        f"<ul><li>one {topic}</li><li>two</li></ul><pre><code>x = '{topic}'\n</code></pre>"
        f"<p>Bye, {topic}.</p>"
    )


def noisy(topic: str, container: str = 'div class="c1 words"') -> str:
    """The page around a post: unnamed template inside of the container, named furniture around it."""
    tag = container.split()[0]
    return f"""<!DOCTYPE html><html><head><title>On {topic} | My Blog</title></head><body>
<header><h1><a href="/">My Blog</a></h1><nav><a href="/">Home</a> <a href="/about">About</a></nav></header>
<article><h1>On {topic}</h1>
<p class="when">By Ann, <time datetime="2020-05-01">May 1, 2020</time></p>
<{container}>
<p class="pitch">You are reading the blog of Ann, who also sells pots.</p>
{body(topic)}
<div class="sharing">Share this: <a href="x">Toot</a></div>
<p class="pitch">If you liked that, buy a pot.</p>
</{tag}>
<div class="author-box"><p>Ann is a potter who lives by the sea with two cats and no television.</p></div>
<section class="related-posts"><h3>Related</h3>
<p>Another post of mine about {topic} and pots and cats.</p></section>
<section id="comments"><h3>Comments</h3>
<p>A reader: I disagree about {topic} with every word that you wrote.</p></section>
</article><footer>Copyright Ann. All rights reserved, in all weathers.</footer></body></html>"""


def tree(text: str) -> HtmlElement:
    root = page.parse(text)
    assert root is not None
    return root


def draft(text: str, layout: Layout | None = None, url: str = URL, entry: Entry | None = None) -> Draft:
    root = tree(text)
    return extract(root, url, page.read_meta(root, url), layout, entry)


def expected(topic: str) -> str:
    return (
        f"I don't drink {topic} — it's a habit, isn’t it? So I wrote *this* about {topic}.\n\n"
        f"A note on {topic}: nobody asked for it, and here it is all the same, in full.\n\n"
        f"## Why {topic}\n\nBecause of {topic} and the weather in the {topic} season of last year.\n\n"
        f"- one {topic}\n- two\n\n```\nx = '{topic}'\n```\n\nBye, {topic}."
    )


def learned(
    topics: Sequence[str], container: str = 'div class="c1 words"', feed: bool = True
) -> Layout | None:
    examples = [(tree(noisy(t, container)), body(t)) for t in topics] if feed else []
    return learn(examples, [tree(noisy(t, container)) for t in topics])


@pytest.mark.parametrize(
    "container", ['div class="c1 words"', "div", 'section id="text"', 'div class="p-77 meta"']
)
def test_the_feed_shows_what_is_text_and_what_is_template(container: str) -> None:
    layout = learned(TOPICS[:3], container)
    assert layout is not None
    assert layout.exact
    found = draft(noisy("oars", container), layout)
    assert found.markdown == expected("oars")
    assert found.fits


def test_template_that_repeats_is_found_without_a_feed() -> None:
    layout = learned(TOPICS[:5], feed=False)
    assert layout is not None
    assert not layout.exact
    assert draft(noisy("oars"), layout).markdown == expected("oars")


def test_a_feed_with_the_beginnings_alone_does_not_cut_posts() -> None:
    beginnings = [(tree(noisy(t)), body(t)[: body(t).index("</p>") + 4] * 3) for t in TOPICS[:3]]
    layout = learn(beginnings, [tree(noisy(t)) for t in TOPICS])
    assert draft(noisy("oars"), layout).markdown == expected("oars")


def test_text_with_a_furniture_name_stays_when_the_feed_has_it() -> None:
    """The author's own class "note-share" reads like share buttons."""

    def renamed(text: str) -> str:
        return text.replace('class="note"', 'class="note share"')

    plain = draft(renamed(noisy("oars")), learned(TOPICS, feed=False))
    assert "nobody asked" not in plain.markdown
    layout = learn([(tree(renamed(noisy(t))), body(t)) for t in TOPICS[:3]], [])
    assert draft(renamed(noisy("oars")), layout).markdown == expected("oars")


SECTIONS = {
    "Quarto": '<section id="{slug}" class="level2"><h2 class="anchored">{title}</h2>{text}</section>',
    "Pandoc": '<section id="{slug}"><h2>{title}</h2>{text}</section>',
    "Sphinx": '<section id="{slug}-1"><h2>{title}<a class="headerlink" href="#x">¶</a></h2>{text}</section>',
    "docutils": '<div class="section" id="{slug}"><h2>2. {title}</h2>{text}</div>',
}
TITLES = ("How to share data", "Comments in code", "Related work", "Don't like ads?")


@pytest.mark.parametrize("section", SECTIONS.values(), ids=SECTIONS)
@pytest.mark.parametrize("title", TITLES)
def test_a_section_named_by_its_heading_stays_whatever_the_name_is(section: str, title: str) -> None:
    slug = "-".join(re.findall(r"\w+", title.lower().replace("'", "")))
    own = section.format(slug=slug, title=title, text="<p>These are words of the author, and they stay.</p>")
    text = noisy("oars").replace("<p>Bye, oars.</p>", f"{own}<p>Bye, oars.</p>")
    assert "words of the author" in draft(text).markdown
    layout = learn([], [tree(noisy(t)) for t in TOPICS[:5]])
    assert "words of the author" in draft(text, layout).markdown


@pytest.mark.parametrize(
    "furniture",
    [
        '<div id="comments"><h2>Comments</h2>{}</div>',
        '<section id="related-posts"><h3>Related posts</h3>{}</section>',
        '<div id="leave-a-comment"><h3>Leave a comment</h3>{}</div>',
        '<div id="share_this_post"><h4>Share this post</h4>{}</div>',
        '<div id="comments-12"><h2>12 comments on oars</h2>{}</div>',
        '<section id="how-to-share" class="share"><h2>How to share</h2>{}</section>',
        '<div id="share-data"><h2>Spread the word</h2>{}</div>',
        '<div id="newsletter">{}</div>',
    ],
)
def test_furniture_goes_though_its_heading_has_its_name(furniture: str) -> None:
    words = furniture.format("<p>These are words of a stranger, and they go.</p>")
    found = draft(noisy("oars").replace("<p>Bye, oars.</p>", f"<p>Bye, oars.</p>{words}"))
    assert "Bye, oars." in found.markdown
    assert "stranger" not in found.markdown


def test_a_section_of_pandoc_may_be_called_as_furniture_is() -> None:
    own = SECTIONS["Quarto"].format(slug="comments", title="Comments", text="<p>My words of the author.</p>")
    text = noisy("oars").replace("<p>Bye, oars.</p>", f"{own}<p>Bye, oars.</p>")
    assert "words of the author" in draft(text).markdown


def test_a_single_page_is_read_without_its_furniture() -> None:
    found = draft(noisy("oars"))
    assert "I don't drink oars — it's a habit, isn’t it?" in found.markdown
    assert "x = 'oars'" in found.markdown
    for furniture in ("Toot", "potter", "Another post", "A reader", "Copyright", "Home", "On oars"):
        assert furniture not in found.markdown


def test_title_date_and_tags_are_read_from_the_page() -> None:
    found = draft(noisy("oars"))
    assert (found.title, found.published_at) == ("On oars", "2020-05-01")
    bare = (
        "<title>A day | Blog</title><h1>A day</h1><p>Written by Ann on 3rd March 2019</p><p>" + "words " * 30
    )
    assert draft(bare, url="https://a.org/a-day").published_at == "2019-03-03"
    assert draft("<h1>x</h1><p>text", url="https://a.org/2018/07/09/x").published_at == "2018-07-09"
    inside = "<title>A day</title><h1>A day</h1><p>" + "words " * 30 + "on 3 March 2019.</p>"
    assert draft(inside, url="https://a.org/a-day").published_at is None, "a date in a sentence is no byline"


def test_the_date_of_a_comment_is_not_the_date_of_the_post() -> None:
    text = (
        "<article><p>"
        + "words " * 20
        + '</p><div id="comments"><time datetime="2024-01-01"></time></div></article>'
    )
    assert draft(text, url="https://a.org/x").published_at is None


def test_a_link_to_the_front_page_is_not_the_title() -> None:
    text = "<title>Tea – The Long Name of a Blog</title><h1><a href='/'>The Long Name of a Blog</a></h1>"
    assert draft(text + "<h2>Tea</h2><p>" + "words " * 20).title == "Tea"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", "front page"),
        ("/index.html", "front page"),
        ("/tags/tea/", "listing"),
        ("/category/a/b/", "listing"),
        ("/page/3/", "listing"),
        ("/archive/", "listing"),
        ("/2020/", "listing"),
        ("/2020/05/", "listing"),
        ("/blog/", "listing"),
        ("/?page=2", "listing"),
        ("/about/", "standing page"),
        ("/contact.html", "standing page"),
        ("/2020/05/01/", None),
        ("/2020/05/about-tea/", None),
        ("/posts/tags-considered-harmful/", None),
        ("/p/tea", None),
    ],
)
def test_addresses_of_listings_and_standing_pages(path: str, reason: str | None) -> None:
    assert why_not_address(f"https://a.org{path}") == reason


def judged(
    text: str, in_feed: bool = False, alike: bool = False, url: str = "https://a.org/x/"
) -> str | None:
    root = tree(text)
    meta = page.read_meta(root, url)
    return why_not_page(url, meta) or why_not_post(extract(root, url, meta, None, None), meta, in_feed, alike)


WORDS = "<p>" + "some words of a post " * 10 + "</p>"
ARTICLE = (
    '<meta property="og:type" content="article"><meta property="article:published_time" content="2020-01-01">'
)


def test_a_page_is_a_post_by_evidence() -> None:
    assert judged(ARTICLE + WORDS) is None
    assert judged(WORDS, in_feed=True) is None
    assert judged(f"<article><time>2020-01-01</time>{WORDS}</article>", alike=True) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WORDS, "no date"),
        ('<meta http-equiv="refresh" content="0; url=/y">' + ARTICLE + WORDS, "redirect stub"),
        ('<link rel="canonical" href="/y/">' + ARTICLE + WORDS, "copy of another address"),
        (ARTICLE + "<p>two words</p>", "no text"),
        (ARTICLE + "<ul>" + "<li><a href='/y'>a post of mine</a></li>" * 20 + "</ul>", "listing"),
        (ARTICLE + "<article><p>a b c d e</p></article>" * 5, "listing"),
        (f'<meta name="robots" content="noindex"><article><time>2020-01-01</time>{WORDS}</article>',
         "asks not to be listed"),
        (f"<article><time>2020-01-01</time>{WORDS}</article>", "unlike the posts"),
    ],
)  # fmt: skip
def test_a_page_is_no_post_for_a_reason(text: str, reason: str) -> None:
    assert judged(text) == reason


def test_a_canonical_address_elsewhere_or_at_the_front_is_no_reason() -> None:
    assert judged('<link rel="canonical" href="https://medium.com/y">' + ARTICLE + WORDS) is None
    assert judged('<link rel="canonical" href="/">' + ARTICLE + WORDS) is None


@pytest.mark.parametrize("depth", [100, 2000])
def test_deep_nesting_does_not_break_a_run(depth: int) -> None:
    text = "<title>x</title><body>" + "<div>" * depth + WORDS + "</div>" * depth
    assert draft(text).words == 50


def test_the_single_page_extractor_is_the_last_resort() -> None:
    """The container by its name holds one word; the text stands beside it."""
    text = "<body><div class='entry-content'>x</div>" + "".join(
        f"<p>{'word ' * 30}{n}.</p>" for n in range(5)
    )
    assert draft(text).words > 100


def test_a_long_byline_before_the_title_has_the_date() -> None:
    tags = "<a href='/t/a'>people</a>, <a href='/t/b'>lock</a>"
    byline = f"<div>Publié le 5 juin 2022 · par Maud Orrick · {tags} · 2 min de lecture</div>"
    found = draft(f"<title>The lost key</title>{byline}<h1>The lost key</h1><div>{body('keys')}</div>")
    assert found.published_at == "2022-06-05"


def test_a_list_of_recent_posts_does_not_hide_title_and_date() -> None:
    """Its links have the title before the post has it, and far from any date."""
    recent = "".join(
        f"<li><a href='/{n}'>{t}</a></li>" for n, t in enumerate(["The lost key", *"abcdefghij"])
    )
    post = f"<div>The lost key</div><div>5 June 2022</div><div>{body('keys')}</div>"
    found = draft(f"<title>The Board: The lost key</title><ul>{recent}</ul><div>{post}</div>")
    assert (found.title, found.published_at) == ("The lost key", "2022-06-05")
