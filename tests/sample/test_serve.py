"""The loopback server: addresses, content types, ETags, and nothing outside its folder."""

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llm_twin.sample.serve import sample_site, serving


@pytest.fixture
def base(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "site"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "index.html").write_text("<p>ä</p>", encoding="utf-8")
    (folder / "feed.xml").write_text("<rss/>", encoding="utf-8")
    (folder / "404.html").write_text("lost", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    with serving(folder) as address:
        yield address


def _ask(
    base: str, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(urlsplit(base).netloc, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_a_page_comes_with_its_type_and_length(base: str) -> None:
    response, body = _ask(base, "/a/?utm_source=x")
    assert (response.status, body.decode()) == (200, "<p>ä</p>")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(body))
    assert _ask(base, "/feed.xml")[0].headers["Content-Type"] == "application/rss+xml; charset=utf-8"


def test_a_client_that_has_the_page_gets_304(base: str) -> None:
    tag = _ask(base, "/a/")[0].headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        response, body = _ask(base, "/a/", headers={"If-None-Match": known})
        assert (response.status, body, response.headers["ETag"]) == (304, b"", tag)
    assert _ask(base, "/a/", headers={"If-None-Match": '"x"'})[0].status == 200


def test_head_sends_the_headers_alone(base: str) -> None:
    response, body = _ask(base, "/a/", "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == "9"


def test_a_folder_without_its_slash_redirects(base: str) -> None:
    response, _ = _ask(base, "/a")
    assert (response.status, response.headers["Location"]) == (301, "/a/")


@pytest.mark.parametrize(
    "path", ["/nothing/", "/nothing.html", "/../secret.txt", "/%2e%2e/secret.txt", "/nothing%00"]
)
def test_what_is_not_in_the_folder_is_missing(base: str, path: str) -> None:
    response, body = _ask(base, path)
    assert (response.status, body) == (404, b"lost")


def test_the_sample_site_names_the_address_it_is_served_at(tmp_path: Path) -> None:
    with sample_site(tmp_path) as base:
        response, body = _ask(base, "/robots.txt")
        first = _ask(base, "/")[0].headers["ETag"]
    assert response.status == 200
    assert f"Sitemap: {base}/sitemap.xml" in body.decode()
    with sample_site(tmp_path, port=int(base.rpartition(":")[2])) as again:
        assert again == base
        assert _ask(again, "/", headers={"If-None-Match": first})[0].status == 304
