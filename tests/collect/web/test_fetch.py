from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from pathlib import Path

import pytest

from llm_twin.collect.web.fetch import Client, Refused
from llm_twin.collect.web.httpcache import HttpCache
from llm_twin.collect.web.pace import Stopped
from llm_twin.config import Collect


@pytest.fixture
def crawl(tmp_path: Path, local: Collect, clock) -> Iterator[Callable[..., Client]]:
    """Makes clients over one cache: each is a crawl of its own. Keywords change the configuration."""
    with ExitStack() as stack:
        cache = stack.enter_context(HttpCache(tmp_path / "cache"))
        yield lambda **changed: stack.enter_context(
            Client(local.model_copy(update=changed), cache, clock=clock)
        )


@pytest.fixture
def client(crawl: Callable[..., Client]) -> Client:
    return crawl()


def refusal(client: Client, url: str) -> Refused:
    with pytest.raises(Refused) as caught:
        client.get(url)
    return caught.value


def test_a_page_is_fetched_under_the_configured_name(site, client: Client, local: Collect) -> None:
    site.html("/", "<p>hello")
    found = client.get(f"{site.base}/")
    assert b"hello" in found.body
    assert not found.unchanged
    assert site.agents == {local.user_agent}
    assert client.requests == len(site.log) == 2  # robots.txt and the page


def test_robots_txt_is_obeyed_and_asked_for_once(site, client: Client) -> None:
    site.pages["/robots.txt"] = "User-agent: llm-twin\nDisallow: /private/\n"
    site.html("/a", "a")
    client.get(f"{site.base}/a")
    assert refusal(client, f"{site.base}/private/x").reason == "robots.txt forbids it"
    assert site.asked("/robots.txt") == 1
    assert site.asked("/private/x") == 0


def test_robots_txt_that_cannot_be_read_forbids_all_and_is_asked_for_once(
    site, answer, client: Client
) -> None:
    site.pages["/robots.txt"] = answer("broken", 500)
    site.html("/", "x")
    assert refusal(client, f"{site.base}/").reason == "http status 500"
    assert refusal(client, f"{site.base}/a").reason == "http status 500"
    assert [path for path, _ in site.log] == ["/robots.txt"]


def test_crawl_delay_is_kept_and_leaves_one_request_at_a_time(site, client: Client, clock) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nCrawl-delay: 7\n"
    site.html("/a", "a")
    site.html("/b", "b")
    assert client.at_once(f"{site.base}/a") == 4
    client.get(f"{site.base}/a")
    client.get(f"{site.base}/b")
    assert clock.waits == [7.0]
    assert client.at_once(f"{site.base}/a") == 1


def test_a_configured_pause_is_kept(site, crawl, clock) -> None:
    client = crawl(delay_s=2.0)
    site.html("/a", "a")
    site.html("/b", "b")
    client.get(f"{site.base}/a")
    client.get(f"{site.base}/b")
    assert clock.waits == [2.0, 2.0], "after robots.txt and after the first page"
    assert client.at_once(f"{site.base}/a") == 1


def test_a_redirect_obeys_the_robots_txt_of_where_it_leads(site, answer, client: Client) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nDisallow: /secret\n"
    site.pages["/a"] = answer("", 302, {"Location": "/secret"})
    assert refusal(client, f"{site.base}/a").reason == "robots.txt forbids it"
    assert site.asked("/secret") == 0


def test_redirects_are_followed_and_bounded(site, answer, client: Client) -> None:
    site.html("/new", "here")
    site.pages["/old"] = answer("", 301, {"Location": "/new"})
    site.pages["/loop"] = answer("", 302, {"Location": "/loop"})
    assert client.get(f"{site.base}/old").url == f"{site.base}/new"
    assert refusal(client, f"{site.base}/loop").reason == "too many redirects"
    assert site.asked("/loop") == 9


def test_what_moved_for_good_is_asked_where_it_is(site, answer, crawl) -> None:
    site.html("/new", "here")
    site.pages["/old"] = answer("", 301, {"Location": "/new"})
    site.pages["/now"] = answer("", 302, {"Location": "/new"})
    for _ in range(2):
        client = crawl()
        assert client.get(f"{site.base}/old").url == f"{site.base}/new"
        assert client.get(f"{site.base}/now").asked == f"{site.base}/now"
    assert site.asked("/old") == 1
    assert site.asked("/now") == 2
    assert [s for p, s in site.log if p == "/new"] == [200, 304], "once in each crawl"


def test_what_moved_once_more_is_found(site, answer, crawl) -> None:
    site.html("/new", "here")
    site.pages["/old"] = answer("", 308, {"Location": "/new"})
    crawl().get(f"{site.base}/old")
    site.html("/newer", "there")
    site.pages["/old"] = answer("", 308, {"Location": "/newer"})
    del site.pages["/new"]
    assert crawl().get(f"{site.base}/old").url == f"{site.base}/newer"


def test_what_is_missing_where_it_was_guessed_is_not_asked_again_for_a_day(
    site, tmp_path: Path, local: Collect
) -> None:
    moment = 1_000_000.0
    with HttpCache(tmp_path, now=lambda: moment) as cache:

        def guess() -> bytes:
            with Client(local, cache) as client:
                return client.guess(f"{site.base}/feed.xml").body

        for _ in range(3):
            with pytest.raises(Refused, match="not found"):
                guess()
        assert [path for path, _ in site.log] == ["/robots.txt", "/feed.xml"]
        with Client(local, cache) as client, pytest.raises(Refused):
            client.get(f"{site.base}/feed.xml")  # now somebody named it
        assert site.asked("/feed.xml") == 2
        site.pages["/feed.xml"] = "<rss>"
        moment += 24 * 3600 + 1
        assert guess() == b"<rss>"


def test_a_redirect_to_another_scheme_is_refused(site, answer, client: Client) -> None:
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/html,x", "javascript:x", ""):
        site.pages["/"] = answer("", 302, {"Location": target})
        assert refusal(client, f"{site.base}/").reason == "redirect to no http address"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip"])
def test_the_codings_that_are_asked_for_are_read(site, answer, client: Client, coding: str) -> None:
    import brotli
    import zstandard

    page = b"<p>" + b"word " * 50_000
    packed = {"br": brotli.compress, "zstd": zstandard.compress, "gzip": gzip.compress}[coding](page)
    site.pages["/"] = answer(packed, headers={"Content-Encoding": coding.upper()})
    assert client.get(f"{site.base}/").body == page


def test_an_answer_that_says_it_is_too_large_is_not_read(site, answer, client: Client) -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"<p>" * 20_000

    site.pages["/"] = answer(headers={"Content-Length": "60000000000"}, stream=endless)
    assert refusal(client, f"{site.base}/").reason == "too large"
    assert len(sent) < 200


def test_the_second_crawl_is_conditional_and_gives_the_kept_body(site, crawl) -> None:
    site.html("/", "<p>once")
    first = crawl().get(f"{site.base}/")
    second = crawl().get(f"{site.base}/")
    assert second.unchanged
    assert second.body == first.body
    assert site.log[-1] == ("/", 304)
    site.html("/", "<p>twice")
    third = crawl().get(f"{site.base}/")
    assert b"twice" in third.body
    assert not third.unchanged


def test_a_server_without_validators_is_compared_by_its_bytes(site, answer, crawl) -> None:
    site.pages["/"] = answer("<p>the same", stream=lambda: [b"<p>the same"])
    assert [crawl().get(f"{site.base}/").unchanged for _ in range(2)] == [False, True]
    assert [s for p, s in site.log if p == "/"] == [200, 200]


def test_a_validator_of_any_bytes_is_sent_back(site, answer, crawl) -> None:
    site.pages["/"] = answer("x", headers={"ETag": 'W/"\xe9\xff"'})
    assert crawl().get(f"{site.base}/").body == b"x"
    assert crawl().get(f"{site.base}/").unchanged


def test_one_crawl_asks_for_an_address_once(site, answer, client: Client) -> None:
    site.html("/b", "b")
    site.pages["/a"] = answer("", 302, {"Location": "/b"})
    assert client.get(f"{site.base}/b").body == client.get(f"{site.base}/a").body
    assert site.asked("/b") == 1


def test_a_busy_server_is_asked_again_after_the_time_it_names(site, answer, client: Client, clock) -> None:
    busy = answer("", 503, {"Retry-After": "3"})
    site.pages["/"] = lambda before: busy if before < 2 else answer("<p>at last")
    assert b"at last" in client.get(f"{site.base}/").body
    assert clock.waits == [3.0, 3.0]
    assert client.at_once(f"{site.base}/") == 1


def test_a_busy_server_that_names_no_time_is_left_alone_twice_as_long_each_time(
    site, answer, client: Client, clock
) -> None:
    site.pages["/a"] = site.pages["/b"] = answer("", 429)
    assert refusal(client, f"{site.base}/a").reason == "server busy"
    assert clock.waits == [1.0, 2.0, 4.0]
    assert refusal(client, f"{site.base}/b").reason == "server busy"
    assert clock.waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], "the host is busy, not one address"
    assert site.asked("/b") == 3


def test_a_server_that_wants_to_be_left_alone_for_long_is(site, answer, client: Client, clock) -> None:
    site.html("/b", "b")
    site.pages["/a"] = answer("", 429, {"Retry-After": "86400"})
    assert refusal(client, f"{site.base}/a").reason == "server busy"
    refused = refusal(client, f"{site.base}/b")
    assert (refused.reason, refused.detail) == ("server busy", "asks to be left alone for 86400 s")
    assert site.asked("/a") == 1
    assert site.asked("/b") == 0
    assert clock.waits == []


@pytest.mark.parametrize("value", ["soon", "²", "-5", "9" * 30, "Thu, 01 Jan 1970 00:00:00 GMT", "1.5"])
def test_a_retry_after_that_says_nothing_is_passed_over(
    site, answer, client: Client, clock, value: str
) -> None:
    busy = answer("", 503, {"Retry-After": value})
    site.pages["/"] = lambda before: busy if before < 1 else answer("<p>at last")
    client.get(f"{site.base}/")
    assert clock.waits == [1.0]


def test_what_is_gone_says_so(site, answer, client: Client) -> None:
    site.pages["/gone"] = answer("", 410)
    assert refusal(client, f"{site.base}/nothing").reason == "not found (404)"
    assert refusal(client, f"{site.base}/gone").status == 410


def test_a_closed_port_and_an_unknown_name_are_unreachable(client: Client) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert refusal(client, f"http://127.0.0.1:{port}/").reason == "unreachable"
    assert refusal(client, "http://no-such-host.invalid/").reason == "unreachable"


def test_no_more_requests_are_in_flight_than_are_configured(site, answer, crawl) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def slowly(before: int) -> object:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return answer("<p>x")

    site.pages.update({f"/{n}": slowly for n in range(9)})
    client = crawl(concurrency=3)
    found = [client.begin(f"{site.base}/{n}") for n in range(9)]
    assert [f.result().asked for f in found] == [f"{site.base}/{n}" for n in range(9)]
    assert most == 3
    assert client.requests == len(site.log)


def test_two_threads_that_want_one_address_ask_once(site, answer, crawl) -> None:
    def slowly(before: int) -> object:
        time.sleep(0.1)
        return answer("<p>x")

    site.pages["/b"] = slowly
    site.pages["/a"] = answer("", 302, {"Location": "/b"})
    client = crawl()
    first, second = client.begin(f"{site.base}/b"), client.begin(f"{site.base}/a")
    assert first.result().body == second.result().body == b"<p>x"
    assert site.asked("/b") == 1


def test_the_end_of_a_client_cuts_what_is_in_flight(raw_server, tmp_path: Path) -> None:
    """As Ctrl-C does: two requests wait for an answer that never comes, and one for its turn."""
    asked = threading.Semaphore(0)
    silence = threading.Event()

    def silent(connection: socket.socket) -> None:
        asked.release()
        silence.wait(30)

    def robots_then_silence(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    answers = iter([robots_then_silence])
    base = raw_server(lambda c: next(answers, silent)(c))
    config = Collect(allow_private=True, timeout_s=60, concurrency=2)
    with HttpCache(tmp_path) as cache, Client(config, cache) as client:
        futures = [client.begin(f"{base}/{n}") for n in range(3)]
        assert asked.acquire(timeout=10)
        assert asked.acquire(timeout=10)
        started = time.monotonic()
    assert time.monotonic() - started < 10, "the timeout is 60 s"
    silence.set()
    assert not [t for t in threading.enumerate() if t.name.startswith("collect")]
    for future in futures:
        with pytest.raises((Refused, Stopped, CancelledError)):
            future.result(0)
