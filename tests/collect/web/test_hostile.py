"""What a bad server can do to a crawl: each ends in a counted refusal, in bounded time and memory, and the
posts beside it are collected."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_twin.collect import Library, run
from llm_twin.collect.report import CollectReport
from llm_twin.collect.web.fetch import Client, Refused
from llm_twin.collect.web.httpcache import HttpCache
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import SourceUnreachable

GOOD = ("tea", "bees", "rain")
LIMIT = 200_000  # bytes of an answer in these tests
HTML = {"Content-Type": "text/html; charset=utf-8"}

Collected = tuple[CollectReport, dict[str, Post]]


def text(name: str) -> str:
    return (
        f"<p>It's about {name}, and I'd say so — twice. There is {name} here and {name} there.</p>"
        f"<p>The second paragraph of {name} isn’t long. It has words enough to be told from template.</p>"
    )


def article(name: str, inside: str = "") -> str:
    time = "<time datetime='2020-01-01'></time>"
    return f"<article><h1>On {name}</h1>{time}<div class=b>{inside or text(name)}</div></article>"


def build(site, *bad: str, name: str = "") -> None:
    """Three good posts, and links to bad addresses before and after them."""
    links = [*bad, *(f"/posts/{n}/" for n in GOOD)]
    site.html("/", "<h1>Blog</h1>" + "".join(f"<li><a href='{link}'>{link}</a></li>" for link in links))
    for post in GOOD:
        site.html(f"/posts/{post}/", article(post))


@pytest.fixture
def collect(site, tmp_path: Path) -> Callable[..., Collected]:
    """Collects the site: the report, and the posts by title. The good posts must be there."""

    def over(base: str = "", lines: Silent | None = None, **changed: object) -> Collected:
        config = Collect(allow_private=True, timeout_s=5, max_bytes=LIMIT).model_copy(update=changed)
        with Library(tmp_path / "library.db") as library:
            report = run([base or site.base], config, library, lines or Silent())
            posts = {p.title: p for p in library.posts()}
        assert {f"On {n}" for n in GOOD} <= set(posts)
        assert sum(report.refused.values()) == len(report.refusals)
        return report, posts

    return over


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# Server-side request forgery. `outside` counts as the internet, `site` is a service inside.


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "http://0177.0.0.1:{port}/secret",
        "http://0:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://[::ffff:7f00:1]:{port}/secret",
        "http://[64:ff9b::7f00:1]:{port}/secret",
        "http://[2002:7f00:1::]:{port}/secret",
        "http://[fe80::1%25lo]:{port}/secret",
        "http://127.0.0.2@127.0.0.1:{port}/secret",
        "http://127.0.0.2:80@127.0.0.1:{port}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "//127.0.0.1:{port}/secret",
        "http:\\\\127.0.0.1:{port}\\secret",
    ],
)
def test_no_redirect_leads_inside(site, outside, answer, collect, target: str) -> None:
    site.html("/secret", article("secrets"))
    location = target.format(port=site.base.rsplit(":", 1)[1])
    build(outside, "/posts/inside/")
    outside.pages["/posts/inside/"] = answer("", 302, {"Location": location})
    report, _ = collect(outside.base, allow_private=False)
    assert site.log == []
    reasons = {r.reason for r in report.refusals if r.where.endswith("/posts/inside/")}
    assert reasons <= {"private address", "redirect to no http address", "not found (404)", "unreachable"}
    assert reasons


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/", "data:text/html,<p>x", "gopher://x/"]
)
def test_no_redirect_leaves_the_web(site, answer, collect, target: str) -> None:
    build(site, "/posts/elsewhere/")
    site.pages["/posts/elsewhere/"] = answer("", 301, {"Location": target})
    report, _ = collect()
    assert report.refused["redirect to no http address"] == 1


def test_a_robots_txt_that_redirects_inside_forbids_all(site, outside, answer, tmp_path: Path) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nAllow: /\n"
    build(outside)
    outside.pages["/robots.txt"] = answer("", 302, {"Location": f"{site.base}/robots.txt"})
    with (
        Library(tmp_path / "library.db") as library,
        pytest.raises(SourceUnreachable, match="private address"),
    ):
        run([outside.base], Collect(), library, Silent())
    assert site.log == []


def test_a_link_to_another_port_of_the_machine_is_not_followed(site, outside, collect) -> None:
    build(outside, site.base + "/secret", f"{outside.base.replace('127.0.0.2', '127.0.0.1')}/secret")
    site.html("/secret", article("secrets"))
    _, posts = collect(outside.base, allow_private=False)
    assert len(posts) == len(GOOD)
    assert site.log == []


def test_a_name_that_changes_its_address_is_asked_where_it_was(site, outside, tmp_path: Path) -> None:
    """DNS rebinding: the name is of the internet when it is checked, and inside from then on."""
    port = int(outside.base.rsplit(":", 1)[1])
    answers = iter([["127.0.0.2"], ["127.0.0.1"], ["127.0.0.1"]])
    outside.html("/a", "a")
    outside.html("/b", "b")
    with (
        HttpCache(tmp_path) as cache,
        Client(Collect(), cache, resolve=lambda host, port: next(answers)) as client,
    ):
        assert b"a" in client.get(f"http://blog.example:{port}/a").body
        assert b"b" in client.get(f"http://blog.example:{port}/b").body
        with pytest.raises(Refused, match="private address"):
            client.get(site.base.replace("127.0.0.1", "blog.example") + "/secret")
    assert site.log == []
    assert len(outside.log) == 3


# Without end.


def test_redirects_without_end_are_counted(site, answer, collect) -> None:
    build(site, "/posts/maze/")
    site.pages["/posts/maze/"] = answer("", 302, {"Location": "/maze/0"})
    site.pages.update({f"/maze/{n}": answer("", 302, {"Location": f"/maze/{n + 1}"}) for n in range(200)})
    report, _ = collect()
    assert report.refused["too many redirects"] == 1
    assert sum(path.startswith("/maze") for path, _ in site.log) == 8


class Lines(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.mark.parametrize(
    "address", ["/?page={n}", "/events/{n}/", "/calendar/2024-{n}", "/list?sort=up&session={n}"]
)
def test_pages_without_end_are_left_and_said(site, answer, collect, address: str) -> None:
    first = address.format(n=1)
    build(site, first)
    for n in range(1, 500):
        further = "".join(f"<a href='{address.format(n=n + i)}'>later</a>" for i in (1, 2, 50))
        site.html(address.format(n=n), f"<p>No event in month {n}.</p>{further}")
    lines = Lines()
    report, posts = collect(lines=lines, max_pages=2000, max_depth=400)
    assert len(posts) == len(GOOD)
    assert report.requests < 70
    assert "gave nothing new; no more were asked" in lines.said[0]
    assert report.refused["nothing new at addresses like it"] >= 1


def test_new_words_without_end_stop_at_the_bound_of_pages(site, answer, collect) -> None:
    build(site, "/maze/a/")
    letters = "abcdefghij"

    def page(name: str) -> object:
        further = "".join(f"<a href='/maze/{name}{c}/'>on</a>" for c in letters)
        return answer(f"<p>The room of {name} is new.</p>{further}", headers=HTML)

    class Maze(dict):  # type: ignore[type-arg]
        def get(self, path: str, default: object) -> object:
            made = page(path.split("/")[2]) if path.startswith("/maze/") else default
            return dict.get(self, path, made)

    site.pages = Maze(site.pages)
    lines = Lines()
    report, posts = collect(lines=lines, max_pages=50, max_depth=400)
    assert len(posts) == len(GOOD)
    assert report.requests < 70
    assert "collect.max_pages" in lines.said[-1]


def test_a_server_that_drips_is_left(site, answer, collect) -> None:
    def drip() -> Iterator[bytes]:
        yield b"<article>" + text("slowness").encode()
        while True:
            time.sleep(0.02)
            yield b"a "

    build(site, "/posts/slow/")
    site.pages["/posts/slow/"] = answer(headers=HTML, stream=drip)
    started = time.monotonic()
    report, _ = collect(timeout_s=0.25)
    assert report.refused["too slow"] == 1
    assert time.monotonic() - started < 30


def test_a_server_that_says_nothing_is_left(site, answer, collect) -> None:
    def silent(before: int) -> object:
        time.sleep(1.5)
        return answer("late")

    build(site, "/posts/silent/")
    site.pages["/posts/silent/"] = silent
    report, _ = collect(timeout_s=0.3)
    assert report.refused["timed out"] == 1


HEAD = b"HTTP/1.1 200 OK\r\n"


def endless_header(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"X-Y: " + b"z" * 1000 + b"\r\n")


def one_long_header(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"X: ")
    while True:
        connection.sendall(b"z" * 10_000)


def dripping_header(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"X: ")
    while True:
        connection.sendall(b"z")
        time.sleep(0.02)


def endless_promises(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 10)
        time.sleep(0.001)


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n" * 3)


def endless_chunks(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"400\r\n" + b"<p>x" * 256 + b"\r\n")


def endless_chunk_size(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"0" * 1000)


def endless_number(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n<p>x")


def two_lengths(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 5\r\nContent-Length: 500\r\n\r\n<p>xx")


def odd_status(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 999 \xff\xfe\r\nContent-Length: 0\r\nX\xff: \xff\r\n\r\n")


def cut_off(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 500\r\n\r\n<p>half of")


@pytest.mark.parametrize(
    ("speak", "reasons"),
    [
        (endless_header, {"connection broken"}),
        (one_long_header, {"connection broken"}),
        (dripping_header, {"too slow"}),
        (endless_promises, {"too slow"}),
        (no_http, {"connection broken"}),
        (endless_chunks, {"too large"}),
        (endless_chunk_size, {"connection broken"}),
        (cut_off, {"connection broken"}),
        (endless_number, {"too large", "connection broken"}),
        (two_lengths, {"connection broken"}),
        (odd_status, {"http status 999", "connection broken"}),
    ],
)
def test_what_is_hardly_http_is_a_refusal(
    raw_server, tmp_path: Path, speak: Callable[[socket.socket], None], reasons: set[str]
) -> None:
    def robots_first(connection: socket.socket) -> None:
        if asked:
            speak(connection)
        asked.append(1)
        connection.sendall(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    asked: list[int] = []
    base = raw_server(robots_first)
    config = Collect(allow_private=True, timeout_s=0.3, max_bytes=LIMIT)
    with HttpCache(tmp_path) as cache, Client(config, cache) as client:

        def ask() -> None:
            with pytest.raises(Refused) as caught:
                client.get(f"{base}/")
            assert caught.value.reason in reasons

        assert peak_bytes(ask) < 20 * LIMIT


# Too much.


def test_bodies_without_end_are_cut_in_little_memory(site, answer, collect) -> None:
    """Ten gigabytes as they are, and packed."""

    def plain() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"<p>more</p>" * 100_000

    packed = gzip.compress(b"\0" * 10_000_000)

    def bomb() -> Iterator[bytes]:
        for _ in range(1_000):
            yield packed

    build(site, "/posts/plain/", "/posts/bomb/", "/posts/large/")
    site.pages["/posts/plain/"] = answer(headers=HTML, stream=plain)
    site.pages["/posts/bomb/"] = answer(headers={**HTML, "Content-Encoding": "gzip"}, stream=bomb)
    site.pages["/posts/large/"] = answer(headers={**HTML, "Content-Length": "50000000"}, stream=plain)
    reports: list[CollectReport] = []
    assert peak_bytes(lambda: reports.append(collect()[0])) < 100 * LIMIT
    assert reports[0].refused["too large"] == 3


def test_a_page_of_fifty_megabytes_is_refused(site, answer, collect) -> None:
    build(site, "/posts/large/")
    site.pages["/posts/large/"] = answer(article("size", text("size") * 300_000), headers=HTML)
    report, _ = collect(max_bytes=10_000_000)
    assert len(site.pages["/posts/large/"].body) > 50_000_000
    assert report.refused["too large"] == 1


LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(10)
)


@pytest.mark.parametrize(
    "document",
    [
        LAUGHS + "]><urlset><url><loc>{base}/&k;</loc></url></urlset>",
        LAUGHS + "]><rss version='2.0'><channel><item><title>&k;</title><link>{base}/posts/x/</link></item>"
        "</channel></rss>",
        "<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>{base}/&f;</loc></url></urlset>",
        "<!DOCTYPE x [<!ENTITY f SYSTEM '{base}/asked-by-xml'>]><rss><channel><item><title>&f;</title>"
        "<link>{base}/posts/x/</link></item></channel></rss>",
    ],
)  # fmt: skip
def test_a_billion_laughs_are_none(site, answer, collect, document: str) -> None:
    build(site)
    bad = answer(document.replace("{base}", site.base), headers={"Content-Type": "application/xml"})
    site.pages["/sitemap.xml"] = site.pages["/feed/"] = bad
    assert peak_bytes(collect) < 100 * LIMIT
    assert site.asked("/sitemap.xml") == site.asked("/feed/") == 1
    assert site.asked("/asked-by-xml") == 0


@pytest.mark.parametrize("tag", ["div", "b", "ul><li", "table><tr><td", "blockquote", "font"])
def test_tags_nested_without_end_are_a_refusal(site, answer, collect, tag: str) -> None:
    build(site, "/posts/deep/")
    deep = article("depth", f"<{tag}>" * 100_000 + text("depth"))
    site.pages["/posts/deep/"] = answer(deep, headers=HTML)
    report, _ = collect(max_bytes=10_000_000)
    assert {r.reason for r in report.refusals if r.where.endswith("/deep/")} <= {
        "nested too deeply",
        "too many elements",
    }
    assert len(report.refusals) == 2, "the front page is the other"


@pytest.mark.parametrize("tag", ["div", "span", "blockquote", "font", "ul><li", "em"])
def test_deep_nesting_is_read(site, answer, collect, tag: str) -> None:
    build(site, "/posts/deep/")
    deep = article("depth", text("depth") + f"<{tag}>" * 900 + "The end is here." + text("the end"))
    site.pages["/posts/deep/"] = answer(deep, headers=HTML)
    _, posts = collect()
    assert "The end is here." in posts["On depth"].markdown
    assert "It's about depth, and I'd say so — twice." in posts["On depth"].markdown


def test_elements_without_number_are_a_refusal(site, answer, collect) -> None:
    build(site, "/posts/many/")
    site.pages["/posts/many/"] = answer(article("many", "<a>" * 300_000), headers=HTML)
    report, _ = collect(max_bytes=10_000_000)
    assert report.refused["too many elements"] == 1


def test_memory_does_not_grow_with_the_pages(site, answer, collect) -> None:
    """Forty megabytes of pages through a crawl that may hold a few of them."""
    names = [f"{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst"]
    filler = "<!-- " + "x" * 100_000 + " -->"
    build(site, *(f"/posts/{n}/" for n in names))
    site.pages.update({f"/posts/{n}/": lambda before, n=n: answer(article(n) + filler) for n in names})
    assert peak_bytes(collect) < 12_000_000


# Not what it says.


def test_zeros_and_control_characters_do_not_reach_a_post(site, answer, collect) -> None:
    build(site, "/posts/zeros/")
    body = article("zeros", text("zeros").replace("second", "sec\0ond\x08")).replace("<h1>", "<h1>\0")
    site.pages["/posts/zeros/"] = answer(f"{'<!-- long -->' * 200}{body}", headers=HTML)
    _, posts = collect()
    assert "The second paragraph of zeros isn’t long." in posts["On zeros"].markdown


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20,
        b"PK\x03\x04" + bytes(range(256)) * 20,
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj <</Type /Catalog>>",
        bytes(range(256)) * 100,
        gzip.compress(b"<p>twice packed" * 100, mtime=0),  # a case's name must not depend on the clock
    ],
)
def test_binary_that_says_it_is_a_page_is_none(site, answer, collect, body: bytes) -> None:
    build(site, "/posts/binary/")
    site.pages["/posts/binary/"] = answer(body, headers=HTML)
    report, _ = collect()
    assert report.refused["not a page"] == 1


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        ("cp1252", "utf-8"),
        ("utf-8", "no-such-charset"),
        ("utf-8", "utf-7"),
        ("utf-16", "utf-8"),
        ("utf-8", "idna"),
    ],
)
def test_a_wrong_charset_loses_no_page(site, answer, collect, codec: str, said: str) -> None:
    build(site, "/posts/said/")
    body = article("charsets").encode(codec)
    site.pages["/posts/said/"] = answer(body, headers={"Content-Type": f"text/html; charset={said}"})
    _, posts = collect()
    assert "and I'd say so" in posts["On charsets"].markdown


def test_headers_that_say_nothing_do_no_harm(site, answer, collect) -> None:
    build(site, "/posts/odd/", "/posts/odder/")
    odd = {"Content-Type": "", "ETag": "é\xff", "Last-Modified": "yesterday", "Content-Encoding": ", ,"}
    site.pages["/posts/odd/"] = answer(article("oddity"), headers=odd)
    site.pages["/posts/odder/"] = answer(article("more"), headers={"Content-Encoding": "x" * 5000})
    for _ in range(2):
        report, posts = collect()
    assert "On oddity" in posts
    assert report.refused["unknown compression"] == 1
