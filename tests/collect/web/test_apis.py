from __future__ import annotations

import json
from typing import Any

import pytest

from llm_twin.collect.pages import page
from llm_twin.collect.web import apis
from llm_twin.collect.web.apis import Answer, Api

HERE = "https://a.org/2020/a-post/"


def find(head: str, url: str = HERE) -> Api | None:
    root = page.parse(f"<!DOCTYPE html><html><head>{head}</head><body><p>x</p></body></html>")
    assert root is not None
    return apis.find(root, url)


def parse(api: Api | None, body: Any, url: str | None = None) -> Answer:
    assert api is not None
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return apis.parse(api, raw, url or api.first)


WORDPRESS = '<link rel="https://api.w.org/" href="https://a.org/wp-json/">'
GHOST = (
    '<script defer src="https://cdn.example/portal.min.js" data-ghost="https://a.org/" '
    'data-key="0123456789abcdef0123456789" data-api="https://a.org/ghost/api/content/"></script>'
)
SUBSTACK = '<link rel="preload" as="style" href="https://substackcdn.com/bundle/static/css/x.css">'


def wordpress_post(number: int, **more: Any) -> dict[str, Any]:
    """A post as WordPress 6 gives it, with the fields that nobody reads."""
    return {
        "id": number,
        "date": "2020-04-18T09:40:00",
        "date_gmt": "2020-04-18T07:40:00",
        "guid": {"rendered": f"https://a.org/?p={number}"},
        "modified": "2020-05-01T09:40:00",
        "slug": f"post-{number}",
        "status": "publish",
        "type": "post",
        "link": f"https://a.org/2020/post-{number}/",
        "title": {"rendered": "It&#8217;s <em>tea</em> &amp; cake"},
        "content": {"rendered": "<p>Don&#8217;t <em>wait</em>.</p>\n", "protected": False},
        "excerpt": {"rendered": "<p>Don&#8217;t</p>\n", "protected": False},
        "author": 1,
        "_embedded": {"author": [{"id": 1, "name": "Ann Day", "url": ""}]},
        **more,
    }


def test_wordpress_names_its_api_and_gives_whole_posts() -> None:
    api = find(WORDPRESS)
    assert api == Api(
        "wordpress", HERE, "https://a.org/wp-json/wp/v2/posts?per_page=100&page=1&_embed=author"
    )
    answer = parse(api, [wordpress_post(1)])
    (entry,) = answer.entries
    assert (entry.url, entry.title, entry.author) == (
        "https://a.org/2020/post-1/",
        "It’s tea & cake",
        "Ann Day",
    )
    assert entry.published_at == "2020-04-18T07:40:00+00:00"
    assert entry.html == "<p>Don&#8217;t <em>wait</em>.</p>\n"
    assert (answer.rejected, answer.next) == ((), None)


def test_a_wordpress_without_pretty_addresses_is_asked_by_parameter() -> None:
    api = find('<link rel="https://api.w.org/" href="https://a.org/index.php?rest_route=/">')
    assert api is not None
    assert api.first.startswith("https://a.org/index.php?rest_route=%2Fwp%2Fv2%2Fposts&per_page=100&page=1")


def test_wordpress_is_asked_until_a_page_is_not_full() -> None:
    api = find(WORDPRESS)
    full = parse(api, [wordpress_post(n) for n in range(100)])
    assert full.next == "https://a.org/wp-json/wp/v2/posts?per_page=100&page=2&_embed=author"
    assert parse(api, [wordpress_post(n) for n in range(99)], full.next).next is None
    error = {"code": "rest_post_invalid_page_number", "message": "no", "data": {"status": 400}}
    assert parse(api, error, full.next) == Answer()


def test_a_wordpress_post_behind_a_password_is_counted_and_not_taken() -> None:
    locked = wordpress_post(1, content={"rendered": "", "protected": True})
    answer = parse(find(WORDPRESS), [locked, wordpress_post(2)])
    assert [e.url for e in answer.entries] == ["https://a.org/2020/post-2/"]
    assert [(r.where, r.reason) for r in answer.rejected] == [
        ("https://a.org/2020/post-1/", "protected by a password")
    ]


def ghost_post(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"5e9a{number}",
        "uuid": "x",
        "title": "Tea & cake <3",
        "slug": f"post-{number}",
        "html": "<p>Don’t wait.</p>",
        "visibility": "public",
        "access": True,
        "published_at": "2020-04-18T07:40:00.000+02:00",
        "updated_at": "2020-05-18T07:40:00.000+02:00",
        "url": f"https://a.org/post-{number}/",
        "authors": [{"name": "Ann Day"}, {"name": "Bo"}],
        "tags": [{"name": "tea", "visibility": "public"}, {"name": "cake"}],
        "primary_author": {"name": "Ann Day"},
        **more,
    }


def ghost(posts: Any, following: Any = None) -> dict[str, Any]:
    pages = {"page": 1, "limit": 100, "pages": 2, "total": 150, "next": following, "prev": None}
    return {"posts": posts, "meta": {"pagination": pages}}


def test_ghost_puts_its_public_key_on_every_page() -> None:
    api = find(GHOST)
    assert api is not None
    assert api.engine == "ghost"
    assert api.first == (
        "https://a.org/ghost/api/content/posts/"
        "?key=0123456789abcdef0123456789&limit=100&page=1&include=authors%2Ctags"
    )
    answer = parse(api, ghost([ghost_post(1)], 2))
    (entry,) = answer.entries
    assert (entry.url, entry.title, entry.author) == ("https://a.org/post-1/", "Tea & cake <3", "Ann Day, Bo")
    assert (entry.tags, entry.published_at) == (("tea", "cake"), "2020-04-18T07:40:00+02:00")
    assert answer.next == api.first.replace("page=1", "page=2")
    assert parse(api, ghost([ghost_post(2)]), answer.next).next is None


@pytest.mark.parametrize("following", [1, 0, -3, 7, 10**30, "2", "https://a.org/x", [2], True, 2.5, None])
def test_ghost_is_never_led_anywhere_but_to_the_next_page(following: Any) -> None:
    assert parse(find(GHOST), ghost([ghost_post(1)], following)).next is None


def test_what_ghost_keeps_for_members_is_counted_and_not_taken() -> None:
    posts = [ghost_post(n, visibility=v) for n, v in enumerate(["public", "members", "paid", "tiers"])]
    answer = parse(find(GHOST), ghost(posts))
    assert [e.url for e in answer.entries] == ["https://a.org/post-0/"]
    assert [r.reason for r in answer.rejected] == ["for subscribers only"] * 3


def test_ghosts_api_may_lie_on_its_own_hosting_and_nowhere_else() -> None:
    hosted = find(GHOST.replace("https://a.org/ghost", "https://a-blog.ghost.io/ghost"))
    assert hosted is not None
    assert hosted.first.startswith("https://a-blog.ghost.io/ghost/api/content/posts/?key=")
    assert parse(hosted, ghost([ghost_post(1)])).entries
    for other in ("https://evil.example/ghost", "https://ghost.io.evil.example/ghost", "file:///ghost"):
        assert find(GHOST.replace("https://a.org/ghost", other)) is None, other
    assert find(GHOST.replace("0123456789abcdef0123456789", "../../x?")) is None


def substack_post(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "title": "Tea",
        "slug": f"tea-{number}",
        "post_date": "2020-04-18T07:40:00.000Z",
        "audience": "everyone",
        "type": "newsletter",
        "canonical_url": f"https://a.org/p/tea-{number}",
        "publishedBylines": [{"id": 1, "name": "Ann Day", "handle": "ann"}],
        "postTags": [{"id": "x", "name": "tea"}],
        "truncated_body_text": "Don’t",
        **more,
    }


def test_substacks_archive_gives_addresses_and_is_asked_until_it_is_empty() -> None:
    api = find(SUBSTACK)
    assert api == Api("substack", HERE, "https://a.org/api/v1/archive?sort=new&offset=0&limit=50")
    answer = parse(api, [substack_post(n) for n in range(12)])
    entry = answer.entries[0]
    assert (entry.url, entry.title, entry.author, entry.html) == (
        "https://a.org/p/tea-0",
        "Tea",
        "Ann Day",
        "",
    )
    assert (entry.tags, entry.published_at) == (("tea",), "2020-04-18T07:40:00+00:00")
    assert answer.next == "https://a.org/api/v1/archive?sort=new&offset=12&limit=50"
    assert parse(api, [], answer.next) == Answer()


def test_what_substack_keeps_for_payers_or_took_from_others_is_not_taken() -> None:
    posts = [
        substack_post(1, audience="only_paid"),
        substack_post(2, canonical_url="https://b.org/p/of-another"),
        substack_post(3, canonical_url=None),
    ]
    answer = parse(find(SUBSTACK), posts)
    assert answer.entries == ()
    assert [r.reason for r in answer.rejected] == ["for subscribers only", "of another site", "no address"]


RSS = """<rss version="2.0"><channel>
<item><title>A</title><link>https://a.org/1</link><description>&lt;p&gt;One&lt;/p&gt;</description></item>
<item><title>B</title><link>https://b.org/2</link></item>
<item><title>C</title><link>https://a.org/1#comment-3</link></item></channel></rss>"""


@pytest.mark.parametrize(
    ("head", "first", "following"),
    [
        (
            "<meta content='blogger' name='generator'/>",
            "https://a.org/feeds/posts/default?alt=rss&max-results=150&start-index=1",
            "https://a.org/feeds/posts/default?alt=rss&max-results=150&start-index=3",
        ),
        (
            '<meta name="generator" content="WordPress 6.5"><link rel="alternate" '
            'type="application/rss+xml" href="/feed/"><link rel="https://api.w.org/" href="https://evil.example/">',
            "https://a.org/feed/?paged=1",
            "https://a.org/feed/?paged=2",
        ),
    ],
)
def test_paged_feeds_are_asked_until_one_is_empty(head: str, first: str, following: str) -> None:
    api = find(head)
    assert api is not None
    assert api.first == first
    answer = parse(api, RSS.encode())
    assert [(e.title, e.html) for e in answer.entries] == [("A", "<p>One</p>")]
    assert [r.reason for r in answer.rejected] == ["of another site", "a reader's comment"]
    assert answer.next == following
    assert parse(api, b"<rss><channel></channel></rss>", following) == Answer()


@pytest.mark.parametrize(
    "head", ["", '<meta name="generator" content="Hugo 0.1">', '<link rel="x" href="/y">']
)
def test_a_page_of_another_engine_names_no_api(head: str) -> None:
    assert find(head) is None


@pytest.mark.parametrize("head", [WORDPRESS, GHOST, SUBSTACK])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>not found</html>",
        b"[",
        b"[" * 100_000,
        b"null",
        b'{"posts": 3, "meta": []}',
        b'[1, null, "x", [], {}]',
        b'[{"link": 1, "url": [], "canonical_url": {}, "title": 3, "content": "x"}]',
        b'{"posts": [{"url": "https://a.org/x", "title": ["t"], "authors": 3, "tags": {"a": 1}, "html": 5}]}',
        b'[{"link": "javascript:alert(1)", "canonical_url": "/p", "id": ' + b"9" * 9999 + b"}]",
    ],
)
def test_what_is_broken_in_an_answer_is_left_out(head: str, body: bytes) -> None:
    answer = parse(find(head), body)
    assert all(e.url.startswith("https://a.org/") for e in answer.entries)
    assert all(isinstance(e.html, str) for e in answer.entries)


@pytest.mark.parametrize("counter", ["page=1000", "page=", "page=x", "page=-1", "page=" + "9" * 5000, "p=1"])
def test_counting_ends_and_starts_from_a_number(counter: str) -> None:
    full = [wordpress_post(n) for n in range(100)]
    asked = f"https://a.org/wp-json/wp/v2/posts?per_page=100&{counter}"
    assert parse(find(WORDPRESS), full, asked).next is None
