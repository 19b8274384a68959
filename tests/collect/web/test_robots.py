from __future__ import annotations

import pytest

from llm_twin.collect.web.robots import Robots

URL = "https://blog.example/posts/tea"


def rules(text: str | bytes) -> Robots:
    body = text.encode() if isinstance(text, str) else text
    return Robots("llm-twin", lambda url: body)


def test_the_group_that_names_the_crawler_counts() -> None:
    both = rules("User-agent: *\nDisallow: /\n\nUser-agent: LLM-Twin\nDisallow: /private\n")
    assert both.allows(URL)
    assert not both.allows("https://blog.example/private/x")
    assert not rules("User-agent: *\nDisallow: /\n").allows(URL)
    assert rules("").allows(URL)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [("7", 7.0), ("0.5", 0.5), ("86400", 60.0), ("1e9", 60.0), ("nan", 0.0), ("-3", 0.0), ("x", 0.0)],
)
def test_the_pause_that_is_asked_for_is_bounded(asked: str, kept: float) -> None:
    found = rules(f"User-agent: *\nCrawl-delay: {asked}\n")
    assert found.delay_s(URL) == 0.0, "not read yet"
    found.allows(URL)
    assert found.delay_s(URL) == kept
    assert found.delay_s("https://other.example/") == 0.0


def test_each_origin_has_rules_of_its_own() -> None:
    asked: list[str] = []

    def read(url: str) -> bytes:
        asked.append(url)
        return b"User-agent: *\nDisallow: /x\n" if url.startswith("http:") else b""

    found = Robots("llm-twin", read)
    assert not found.allows("http://blog.example/x")
    assert found.allows("https://blog.example/x")
    assert found.allows("https://blog.example:8443/x")
    found.allows("http://blog.example/y")
    assert asked == [
        "http://blog.example/robots.txt",
        "https://blog.example/robots.txt",
        "https://blog.example:8443/robots.txt",
    ]


def test_rules_that_cannot_be_had_are_the_same_error_each_time_and_asked_for_once() -> None:
    asked: list[str] = []

    def read(url: str) -> bytes:
        asked.append(url)
        raise LookupError("no robots.txt")

    found = Robots("llm-twin", read)
    for _ in range(2):
        with pytest.raises(LookupError):
            found.allows(URL)
    assert found.delay_s(URL) == 0.0
    assert len(asked) == 1


@pytest.mark.parametrize(
    "text",
    ["\ufeffUser-agent: *\r\nDisallow: /private\r\n", "User-agent: *\nDisallow: /private\n" + "\0" * 1000,
     b"\xff\xfe\x00 garbage\nUser-agent: *\nDisallow: /private\n",
     "User-agent: *\nDisallow: /private\n" * 20_000,
     "User-agent: *\nDisallow: /private\nAllow: /" + "*a" * 2000 + "$\n"],
)  # fmt: skip
def test_odd_files_are_read(text: str | bytes) -> None:
    found = rules(text)
    assert found.allows(f"{URL}{'a' * 500}")
    assert not found.allows("https://blog.example/private/x")
