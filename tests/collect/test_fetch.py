from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_twin.collect.fetch import Client, Refused
from llm_twin.collect.httpcache import HttpCache
from llm_twin.config import Collect


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(tmp_path: Path, local: Collect, waits: list[float]) -> Iterator[Client]:
    with HttpCache(tmp_path / "cache") as cache, Client(local, cache, sleep=waits.append) as found:
        yield found


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


def test_robots_txt_that_cannot_be_read_forbids_all(site, answer, client: Client) -> None:
    site.pages["/robots.txt"] = answer("broken", 500)
    site.html("/", "x")
    assert refusal(client, f"{site.base}/").reason == "http status 500"
    assert site.asked("/") == 0


def test_crawl_delay_is_kept(site, client: Client, waits: list[float]) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nCrawl-delay: 7\n"
    site.html("/a", "a")
    site.html("/b", "b")
    client.get(f"{site.base}/a")
    client.get(f"{site.base}/b")
    assert len(waits) == 2  # before the first page too: robots.txt was a request
    assert all(6 < w <= 7 for w in waits)


def test_a_redirect_obeys_the_robots_txt_of_where_it_leads(site, answer, client: Client) -> None:
    site.pages["/robots.txt"] = "User-agent: *\nDisallow: /secret\n"
    site.pages["/a"] = answer("", 302, {"Location": "/secret"})
    assert refusal(client, f"{site.base}/a").reason == "robots.txt forbids it"
    assert site.asked("/secret") == 0


def test_redirects_are_followed_and_bounded(site, answer, client: Client) -> None:
    site.html("/new", "here")
    site.pages["/old"] = answer("", 301, {"Location": "/new"})
    site.pages["/loop"] = answer("", 301, {"Location": "/loop"})
    assert client.get(f"{site.base}/old").url == f"{site.base}/new"
    assert refusal(client, f"{site.base}/loop").reason == "too many redirects"
    assert site.asked("/loop") == 9


def test_a_redirect_to_another_scheme_is_refused(site, answer, client: Client) -> None:
    site.pages["/"] = answer("", 302, {"Location": "file:///etc/passwd"})
    assert refusal(client, f"{site.base}/").reason == "redirect to no http address"


def test_a_redirect_to_a_private_address_is_refused(site, answer, tmp_path: Path) -> None:
    """The first name counts as checked and leads to the test's server, which redirects to its own address."""
    port = int(site.base.rsplit(":", 1)[1])
    site.html("/inside", "a secret")
    site.pages["/"] = answer("", 302, {"Location": f"{site.base}/inside"})
    with HttpCache(tmp_path) as cache, Client(Collect(), cache) as client:
        client._http._transport._pinned["blog.example", port] = ["127.0.0.1"]
        found = refusal(client, f"http://blog.example:{port}/")
    assert (found.reason, found.detail) == ("private address", "loopback address 127.0.0.1")
    assert site.asked("/") == 1
    assert site.asked("/inside") == 0


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_compressed_answers_are_read(site, answer, client: Client, coding: str) -> None:
    page = b"<p>" + b"word " * 50_000
    packed = {
        "gzip": gzip.compress(page),
        "deflate": zlib.compress(page),
        "raw deflate": zlib.compress(page)[2:-4],
    }
    site.pages["/"] = answer(packed[coding], headers={"Content-Encoding": coding.split()[-1]})
    assert client.get(f"{site.base}/").body == page


def test_a_bomb_stops_at_the_bound(site, answer, tmp_path: Path) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000))
    site.pages["/"] = answer(gzip.compress(b"\0" * 200_000_000, 1), headers={"Content-Encoding": "gzip"})
    site.pages["/twice"] = answer(bomb, headers={"Content-Encoding": "gzip, gzip"})
    bounded = Collect(allow_private=True, max_bytes=100_000)
    with HttpCache(tmp_path) as cache, Client(bounded, cache) as client:
        assert refusal(client, f"{site.base}/").reason == "too large"
        assert refusal(client, f"{site.base}/twice").reason == "unknown compression"


def test_broken_compression_is_a_refusal(site, answer, client: Client) -> None:
    site.pages["/"] = answer(b"this is not gzip", headers={"Content-Encoding": "gzip"})
    assert refusal(client, f"{site.base}/").reason == "broken compression"


def test_the_second_request_is_conditional_and_gives_the_kept_body(site, client: Client) -> None:
    site.html("/", "<p>once")
    first = client.get(f"{site.base}/")
    second = client.get(f"{site.base}/")
    assert second.unchanged
    assert second.body == first.body
    assert site.log[-1] == ("/", 304)
    site.html("/", "<p>twice")
    assert b"twice" in client.get(f"{site.base}/").body


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    site, answer, client: Client, waits: list[float]
) -> None:
    busy = answer("", 503, {"Retry-After": "3"})
    site.pages["/"] = lambda before: busy if before < 2 else answer("<p>at last")
    assert b"at last" in client.get(f"{site.base}/").body
    assert waits == [3.0, 3.0]


def test_a_server_that_stays_busy_is_given_up(site, answer, client: Client, waits: list[float]) -> None:
    site.pages["/"] = answer("", 429, {"Retry-After": "86400"})
    assert refusal(client, f"{site.base}/").reason == "server busy"
    assert waits == [60.0, 60.0, 60.0]


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
