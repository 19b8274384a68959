"""Layouts learned from pages alone, without a feed that shows what the author wrote."""

from __future__ import annotations

import pytest
from lxml.html import HtmlElement

from llm_twin.collect.pages import page, repeats
from llm_twin.collect.pages.extract import extract
from llm_twin.collect.pages.selector import Layout

NAMES = ("tea", "bees", "locks", "rain", "bread", "oars")


def body(name: str) -> list[str]:
    return [
        f"It's about {name}, and I'd say so — twice, in {len(name)} ways.",
        f"There is more of {name} in a second paragraph, which isn't long.",
        f"Nobody asks me about {name} at the end.",
    ]


def paragraphs(name: str) -> str:
    return "".join(f"<p>{p}</p>" for p in body(name))


def with_classes(n: int) -> str:
    """Utility classes alone, a biography, cards with the words of other posts, readers' comments on some."""
    name, following = NAMES[n], NAMES[(n + 1) % len(NAMES)]
    comments = f"<div class='comments'><p>A reader of {name} disagrees at length, {n} times.</p></div>"
    return (
        "<div class='flex'><a href='/'>The Board</a></div><div class='grid'><div class='col'>"
        f"<div class='mb'><h1>On {name}</h1><span>{n + 1} May 2020</span> · <span>2 min read</span></div>"
        f"<div class='text'>{paragraphs(name)}</div>"
        "<div class='mt'><b>Ann Lee</b> keeps the lock and writes about what she sees from it.</div>"
        f"<div class='cards'><h2>You might like</h2><a href='/{following}/'>On {following}</a>"
        f"<p>{body(following)[0]}</p></div>{comments * (n % 2)}</div></div>"
    )


def without_classes(n: int) -> str:
    """As people write by hand: all of it directly in the body."""
    name, following = NAMES[n], NAMES[(n + 1) % len(NAMES)]
    return (
        f"<p><a href='/'>Home</a> | <a href='/about/'>About</a></p><hr><h1>On {name}</h1>"
        f"<p><em>{n + 1} May 2020</em></p>{paragraphs(name)}<hr>"
        f"<p>Before this: <a href='/{following}/'>On {following}</a>.</p><p>Written by Ann at the lock.</p>"
    )


def tables(n: int) -> str:
    """As in 1999."""
    name = NAMES[n]
    return (
        "<table><tr><td><b>Pages</b><br><a href='/'>Home</a></td><td><font face='Times'>"
        f"<font size=5><b>On {name}</b></font><br><font size=2><i>{n + 1} May 2020</i></font><hr>"
        f"{paragraphs(name)}</font></td></tr></table><center>Best viewed at 800 by 600.</center>"
    )


def trees(form, title: str = "On {} - The Board") -> list[HtmlElement]:
    pages = (f"<title>{title.format(NAMES[n])}</title><body>{form(n)}" for n in range(len(NAMES)))
    return [root for p in pages if (root := page.parse(p)) is not None]


@pytest.mark.parametrize("form", [with_classes, without_classes, tables])
def test_the_text_alone_is_read_from_any_markup(form) -> None:
    roots = trees(form)
    layout = repeats.learn(roots)
    assert layout is not None
    assert not layout.exact
    for n, name in enumerate(NAMES):
        url = f"https://a.org/{name}/"
        draft = extract(roots[n], url, page.read_meta(roots[n], url), layout, None)
        assert draft.markdown == "\n\n".join(body(name))
        assert (draft.title, draft.published_at) == (f"On {name}", f"2020-05-0{n + 1}")
        assert draft.fits


def test_the_container_is_the_element_with_the_words_and_little_else() -> None:
    layout = repeats.learn(trees(with_classes))
    assert isinstance(layout, Layout)
    assert [step.written() for step in layout.path] == ["div.grid", "div.col", "div.text"]


def test_classes_of_single_posts_are_no_part_of_the_path() -> None:
    def form(n: int) -> str:
        return f"<div class='post tag-{NAMES[n]} post-{n}'>{paragraphs(NAMES[n])}</div><p>Written by Ann.</p>"

    layout = repeats.learn(trees(form))
    assert layout is not None
    assert [step.written() for step in layout.path] == ["div.post"]


def test_a_few_pages_or_pages_with_nothing_of_their_own_teach_nothing() -> None:
    assert repeats.learn(trees(with_classes)[:2]) is None
    assert repeats.learn(trees(lambda n: "<p>The same on every page.</p>", "Blog")) is None


@pytest.mark.parametrize(
    "end",
    [
        "Thirty minutes.",
        "30 minutes later the pump failed.",
        "It broke on 3 May 2020.",
        "See 200 words on it",
    ],
)
def test_a_short_last_sentence_stays(end: str) -> None:
    root = page.parse(f"<title>On tea</title><body><article><p>First words.</p><p>{end}</p></article>")
    assert root is not None
    url = "https://a.org/tea/"
    assert extract(root, url, page.read_meta(root, url), None, None).markdown == f"First words.\n\n{end}"


def test_a_list_of_links_to_others_is_the_authors_end_and_to_its_own_posts_is_not() -> None:
    root = page.parse(
        "<title>On tea</title><body><article><h1>On tea</h1><p>It is about tea, and it has words.</p><ul>"
        "<li><a href='https://b.org/'>A friend on tea</a></ul><p><a href='/bees/'>On bees</a></p></article>"
    )
    assert root is not None
    url = "https://a.org/tea/"
    found = extract(root, url, page.read_meta(root, url), None, None).markdown
    assert found == "It is about tea, and it has words.\n\n- A friend on tea"


def test_a_listing_that_shows_whole_posts_does_not_spoil_what_is_learned() -> None:
    """Every post stands whole on a page of two as well, so that none of its words is on one page only."""

    def post(n: int) -> str:
        about = "<p>Ann keeps the lock, and writes about what she sees from it.</p>"
        return f"<h1>On {NAMES[n]}</h1><div class='text'>{paragraphs(NAMES[n])}</div>{about}"

    def listing(n: int) -> str:
        both = "".join(
            f"<div class='entry'><h2>{name}</h2>{paragraphs(name)}</div>" for name in NAMES[n : n + 2]
        )
        return f"<main>{both}</main>"

    layout = repeats.learn(trees(post) + [trees(listing)[n] for n in (0, 2, 4)])
    assert layout
    assert layout.path[-1].classes == {"text"}
    assert layout.pages == len(NAMES)
