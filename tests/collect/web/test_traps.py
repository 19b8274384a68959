from __future__ import annotations

import pytest

from llm_twin.collect.pages import page
from llm_twin.collect.web import traps
from llm_twin.collect.web.traps import BARREN, Traps


def read(found: Traps, url: str, text: str, leads_on: bool = False) -> None:
    root = page.parse(f"<body><nav>Home</nav><p>{text}</p></body>")
    assert root is not None
    found.read(url, root, leads_on)


@pytest.mark.parametrize(
    "address",
    ["/calendar/{n}/", "/events?month={n}", "/2020-{n}/view", "/list?sid=a{n}&sort=up", "/archive/page/{n}/"],
)
def test_numbered_pages_without_a_new_word_are_a_trap(address: str) -> None:
    found = Traps()
    urls = [f"https://a.org{address.format(n=n)}" for n in range(100, 100 + BARREN + 2)]
    for n, url in enumerate(urls[:-1]):
        assert not found.is_one(url), n
        read(found, url, f"Nothing happens in month {n}.")
    assert found.is_one(urls[-1])
    assert found.found == [urls[BARREN]]
    assert not found.is_one("https://a.org/posts/tea/")


def test_posts_are_none_however_many_there_are() -> None:
    found = Traps()
    words = [f"{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    for word in words:
        read(found, f"https://a.org/posts/{word}/", f"It's about {word}.")
    assert not found.is_one("https://a.org/posts/zz/")


def test_archives_that_lead_on_are_none_and_those_that_repeat_each_other_are() -> None:
    found = Traps()
    for n in range(100):
        read(
            found,
            f"https://a.org/page/{n}/",
            f"Page {n}. <a>New words in a link: {'x' * n}</a>",
            leads_on=n % 30 == 0,
        )
    assert not found.is_one("https://a.org/page/101/")
    for n in range(100, 100 + BARREN):
        read(found, f"https://a.org/page/{n}/", f"Page {n}. <a>New words in a link: {'x' * n}</a>")
    assert found.is_one("https://a.org/page/201/")
    assert found.found == [f"https://a.org/page/{90 + BARREN}/"]


def test_addresses_that_nobody_was_meant_to_see_are_endless() -> None:
    assert traps.is_endless("https://a.org/blog/blog/blog/blog/tea")
    assert traps.is_endless("https://a.org/" + "x" * 2000)
    assert not traps.is_endless("https://a.org/2020/01/01/tea/")
