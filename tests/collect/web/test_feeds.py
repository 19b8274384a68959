from __future__ import annotations

import json
import time

import pytest

from llm_twin.collect import dates, plaintext
from llm_twin.collect.pages.markdown import from_html
from llm_twin.collect.web import feeds

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>T</title><link>https://a.org/</link>
<item><title>On &amp; off</title><link>/on/?utm_source=rss</link>
<pubDate>Sat, 18 Apr 2020 07:40:00 +0000</pubDate>
<category>tea</category><description>Short</description>
<content:encoded><![CDATA[<p>The whole post, don't cut it.</p>]]></content:encoded></item>
<item><title>No link</title></item></channel></rss>"""
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><link rel="alternate" href="https://a.org/"/>
<entry><title>B</title><link href="https://a.org/b"/><updated>2021-02-03T04:05:06Z</updated>
<author><name>Ann</name></author><content type="html">&lt;p&gt;Body b&lt;/p&gt;</content></entry></feed>"""
JSON = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "home_page_url": "https://a.org/",
        "items": [
            {
                "url": "https://a.org/c",
                "title": "C",
                "content_html": "<p>c</p>",
                "date_published": "2022-01-01",
            }
        ],
    }
).encode()
HERE = "https://a.org/feed"


def rss(inside: str, title: str = "T") -> bytes:
    return f"<rss version='2.0'><channel><title>{title}</title>{inside}</channel></rss>".encode()


def atom(inside: str) -> bytes:
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{inside}</feed>'.encode()


def json_feed(*items: object, **more: object) -> bytes:
    return json.dumps({"version": "https://jsonfeed.org/version/1", "items": items, **more}).encode()


def only(body: bytes) -> feeds.Entry:
    feed = feeds.parse(body, HERE)
    (entry,) = (*feed.entries, *feed.loose)
    return entry


def test_rss_atom_and_json_feeds_give_their_entries() -> None:
    (entry,) = feeds.parse(RSS, HERE).entries
    assert (entry.url, entry.title, entry.published_at, entry.tags) == (
        "https://a.org/on/",
        "On & off",
        "2020-04-18T07:40:00+00:00",
        ("tea",),
    )
    assert entry.html == "<p>The whole post, don't cut it.</p>"
    (entry,) = feeds.parse(ATOM, HERE).entries
    assert (entry.url, entry.author, entry.html) == ("https://a.org/b", "Ann", "<p>Body b</p>")
    found = feeds.parse(JSON, "https://a.org/feed.json")
    assert (found.site, found.entries[0].url, found.entries[0].published_at) == (
        "https://a.org/",
        "https://a.org/c",
        "2022-01-01",
    )


def test_feeds_are_known_by_their_content() -> None:
    assert all(feeds.is_feed(f) for f in (RSS, ATOM, JSON, b"\xef\xbb\xbf  " + RSS))
    assert feeds.is_feed(b"<!-- " + b"x" * 20_000 + b" -->" + RSS)
    assert feeds.is_feed(b"\r\nWarning: something in feed.php on line 3\r\n" + RSS)
    assert feeds.is_feed(RSS.decode().encode("utf-16"))
    assert feeds.is_feed(JSON.replace(b"/", b"\\/"))  # as PHP writes it
    assert not any(feeds.is_feed(f) for f in (b"<html><body>feed", b"", b'{"a": 1}'))


def test_a_page_that_holds_a_feed_is_no_feed() -> None:
    trackback = b"<!DOCTYPE html><html><head><!-- <rdf:RDF><item/></rdf:RDF> --></head><body>x</body></html>"
    assert not feeds.is_feed(trackback)
    assert not feeds.is_feed(b"<html><body><pre><?xml version='1.0'?><rss></rss></pre></body></html>")


@pytest.mark.parametrize(
    "broken", [b"", b"<rss", RSS[:150], b"{", b'{"version": "x", "items": 3}', b"\x00\xff" * 50]
)
def test_broken_feeds_give_nothing_and_do_not_crash(broken: bytes) -> None:
    assert feeds.parse(broken, "https://a.org/").entries == ()


def test_a_feed_that_breaks_off_gives_what_stands_before_the_break() -> None:
    feed = feeds.parse(RSS[: RSS.index(b"<item><title>No link")] + b"<item><title>Cut", HERE)
    assert [e.title for e in feed.entries] == ["On & off"]


def test_an_entry_without_a_page_keeps_its_body_under_a_name_that_stays_the_same() -> None:
    note = (
        "<item><guid isPermaLink='false'>id-7</guid>"
        "<description>Only &lt;em&gt;here&lt;/em&gt;.</description></item>"
    )
    feed = feeds.parse(rss(note + "<item><link>/page</link></item>"), HERE)
    assert [e.url for e in feed.entries] == ["https://a.org/page"]
    (loose,) = feed.loose
    assert loose.html == "Only <em>here</em>."
    assert loose.url.startswith("feed:a.org/")
    changed = rss(note.replace("Only", "Just"))
    assert feeds.parse(changed, "https://a.org/other.xml").loose[0].url == loose.url
    other = feeds.parse(rss(note.replace("id-7", "id-8")), HERE).loose[0]
    assert other.url != loose.url


def test_an_entry_without_page_and_id_is_named_by_its_date_and_title() -> None:
    item = "<item><title>A</title><pubDate>Sat, 18 Apr 2020</pubDate><description>{}</description></item>"
    first, changed = only(rss(item.format("One"))), only(rss(item.format("Two")))
    assert first.url == changed.url
    assert first.url != only(rss(item.format("One").replace("18 Apr", "19 Apr"))).url


def test_an_id_is_an_address_only_where_it_is_a_whole_one() -> None:
    assert only(atom("<entry><id>https://a.org/p/1</id></entry>")).url == "https://a.org/p/1"
    assert only(rss("<item><guid>https://a.org/p/2</guid></item>")).url == "https://a.org/p/2"
    for key in ("post-3", "tag:a.org,2020:3", "urn:uuid:60a76c80"):
        assert only(rss(f"<item><guid>{key}</guid></item>")).url.startswith("feed:"), key
        assert only(atom(f"<entry><id>{key}</id></entry>")).url.startswith("feed:"), key


def test_relative_links_stand_on_the_base_that_the_feed_names() -> None:
    based = atom('<entry xml:base="https://b.org/x/"><link href="y"/></entry>')
    assert only(based).url == "https://b.org/x/y"
    assert only(atom('<entry xml:base="/x/"><link href="y"/></entry>')).url == "https://a.org/x/y"


@pytest.mark.parametrize(
    ("inside", "title"),
    [
        ("<title type='html'>Tea &amp;amp; &lt;em&gt;cake&lt;/em&gt;</title>", "Tea & cake"),
        ("<title type='html'>a &amp;lt; b, isn&amp;#8217;t it</title>", "a < b, isn’t it"),
        ("<title>The &lt;p&gt; element</title>", "The <p> element"),
        ("<title type='html'>One&lt;br/&gt;two</title>", "One two"),
        ("<title type='html'>x&lt;script&gt;y()&lt;/script&gt;</title>", "x"),
        (
            "<title type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>Q <b>&amp;</b> A</div></title>",
            "Q & A",
        ),
        ("<title>\n  Two\n  lines </title>", "Two lines"),
    ],
)
def test_titles_are_plain_text_decoded_once(inside: str, title: str) -> None:
    assert only(atom(f"<entry>{inside}</entry>")).title == title


def test_an_rss_title_may_hold_html_or_not() -> None:
    assert only(rss("<item><title>It&amp;#8217;s &amp;amp; was</title></item>")).title == "It’s & was"
    assert only(rss("<item><title>Tom &amp; Ann &lt;3</title></item>")).title == "Tom & Ann <3"


def test_a_plain_text_body_is_escaped_and_keeps_its_paragraphs() -> None:
    text = "If a &lt; b &amp;&amp; c:\nit's *so*\n\nEnd"
    entry = only(atom(f"<entry><content type='text'>{text}</content></entry>"))
    assert from_html(entry.html) == "If a < b && c:  \nit's *so*\n\nEnd"
    entry = only(json_feed({"id": 1, "content_text": "1 < 2 & <b>3</b>\n\nEnd"}))
    assert from_html(entry.html) == "1 < 2 & <b>3</b>\n\nEnd"


def test_a_body_that_says_it_is_text_and_is_html_is_read_as_html() -> None:
    entry = only(atom("<entry><summary>&lt;p&gt;One&lt;/p&gt;&lt;p&gt;two&lt;/p&gt;</summary></entry>"))
    assert from_html(entry.html) == "One\n\ntwo"


def test_entities_of_the_body_are_kept_as_they_are_written() -> None:
    entry = only(rss("<item><description>don&amp;rsquo;t &amp;check; &amp;lbrace;</description></item>"))
    assert from_html(entry.html) == "don’t ✓ {"


def test_an_entry_has_its_own_author_or_the_feeds_and_never_a_mailbox() -> None:
    feed = feeds.parse(
        atom(
            "<author><name>Ann</name><email>ann@a.org</email></author><entry><id>x</id></entry>"
            "<entry><author><name>Bo</name><email>bo@a.org</email></author></entry>"
        ),
        HERE,
    )
    assert [e.author for e in feed.loose] == ["Ann", "Bo"]
    assert only(rss("<item><author>cy@a.org (Cy Day)</author></item>")).author == "Cy Day"
    assert only(rss("<item><author>cy@a.org</author></item>")).author is None
    assert only(json_feed({"id": "x"}, authors=[{"name": "Di"}])).author == "Di"


def test_all_authors_of_an_entry_are_named() -> None:
    creators = "".join(f"<dc:creator>{name}</dc:creator>" for name in ("Ann", "Bo", "Ann"))
    assert (
        only(rss(f"<item xmlns:dc='http://purl.org/dc/elements/1.1/'>{creators}</item>")).author == "Ann, Bo"
    )
    assert only(json_feed({"id": "x", "authors": [{"name": "Ann"}, {"name": "Bo"}]})).author == "Ann, Bo"


@pytest.mark.parametrize(
    "comments",
    [
        rss("<item><link>https://a.org/p/#comment-12</link><description>Nice!</description></item>"),
        rss("<item><link>https://a.org/p</link></item>", title="Comments on: A post"),
        rss("<item><link>https://a.org/p</link></item>", title="Comments for A blog"),
        atom(
            '<entry><link href="https://a.org/p"/>'
            '<thr:in-reply-to xmlns:thr="http://purl.org/syndication/thread/1.0" ref="x"/></entry>'
        ),
        atom('<entry><link href="https://a.org/p?showComment=12#c1234567"/></entry>'),
    ],
)
def test_readers_comments_are_counted_and_never_taken(comments: bytes) -> None:
    feed = feeds.parse(comments, HERE)
    assert (feed.entries, feed.loose, len(feed.comments)) == ((), (), 1)
    assert "Nice" not in str(feed)


def test_a_feed_at_an_address_for_comments_holds_comments() -> None:
    assert len(feeds.parse(RSS, "https://a.org/comments/feed/").comments) == 2
    assert feeds.parse(rss("<item><link>/p</link></item>", title="Comments on Tea"), HERE).comments == ()


def test_a_feed_names_its_next_part_within_its_site() -> None:
    linked = '<link rel="next" href="{}"/><entry><id>x</id></entry>'
    assert feeds.parse(atom(linked.format("/feed?page=2")), HERE).next == "https://a.org/feed?page=2"
    assert feeds.parse(json_feed(next_url="https://a.org/feed?p=2"), HERE).next == "https://a.org/feed?p=2"
    for other in ("https://b.org/feed", HERE, "javascript:x"):
        assert feeds.parse(atom(linked.format(other)), HERE).next is None, other


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<published>2020-04-18T07:40:00-05:00</published>", "2020-04-18T07:40:00-05:00"),
        ("<updated>2021-01-01</updated><published>2020-04-18</published>", "2020-04-18"),
        ("<published>nonsense</published><updated>2020-04-18</updated>", "2020-04-18"),
        ("<published>Sat Apr 18 07:40:00 2020</published>", "2020-04-18T07:40:00+00:00"),
        ("<published>0001-01-01T00:00:00Z</published>", None),
    ],
)
def test_a_date_is_the_first_that_can_be_read(written: str, read: str | None) -> None:
    assert only(atom(f"<entry>{written}</entry>")).published_at == read


@pytest.mark.parametrize(
    ("encoding", "declared", "content_type"),
    [
        ("utf-8", "", ""),
        ("utf-8", "encoding='ascii'", ""),
        ("utf-16", "encoding='utf-16'", ""),
        ("utf-16-be", "", ""),
        ("utf-32", "", ""),
        ("windows-1252", "", ""),
        ("windows-1252", "encoding='utf-8'", ""),
        ("windows-1252", "encoding='windows-1252'", "application/xml"),
        ("koi8-r", "", "text/xml; charset=koi8-r"),
        ("shift_jis", "encoding='Shift_JIS'", ""),
        ("utf-8", "encoding='no-such-charset'", "text/xml; charset=nor-this"),
        ("utf-8", "encoding='punycode'", ""),
    ],
)
def test_the_charset_is_found(encoding: str, declared: str, content_type: str) -> None:
    title = {"koi8-r": "Чай", "shift_jis": "お茶"}.get(encoding, "Thé") if encoding != "utf-8" else "Thé — ‘’"
    body = (
        f"<?xml version='1.0' {declared}?><rss><channel><item><title>{title}</title></item></channel></rss>"
    )
    feed = feeds.parse(body.encode(encoding), HERE, content_type)
    assert [e.title for e in feed.loose] == [title]


def test_one_broken_character_does_not_turn_the_others_into_noise() -> None:
    body = rss("<item><title>Thé — café</title><description>cut her\xe2</description></item>")
    cut = body.replace("\xe2".encode(), b"\xe2\x80")
    assert feeds.parse(cut, HERE).loose[0].title == "Thé — café"


def test_null_bytes_and_impossible_characters_are_left_out() -> None:
    assert (
        only(rss("<item><title>a\x00b\x08c&#0;&#x1F;&#xD800;&#99999999999;d</title></item>")).title[:3]
        == "abc"
    )
    assert only(json_feed({"title": "a\x00b\ud800c"})).title == "abc"


LAUGHS = "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefghi", "bcdefghij", strict=True))


@pytest.mark.parametrize("before", ["", "<!-- <a> -->", "<?x <a> ?>", "<!DOCTYPE x>"])
@pytest.mark.parametrize("inside", ["", '<!ENTITY z "<y">', "<!-- ]> -->", '<!ENTITY z "]>">'])
def test_a_feed_that_multiplies_itself_stays_small(before: str, inside: str) -> None:
    body = f'{before}<!DOCTYPE rss [{inside}<!ENTITY a "ha">{LAUGHS}]>'.encode()
    body += b"<rss><channel><item><title>x &j;</title></item></channel></rss>"
    assert len(str(feeds.parse(body, HERE))) < 1000
    assert len(str(feeds.parse(body.decode().encode("utf-16"), HERE))) < 1000


def test_a_feed_reads_no_other_file() -> None:
    body = (
        b'<!DOCTYPE rss [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY % p SYSTEM "http://a.org/x"> %p;]>'
    )
    feed = feeds.parse(body + rss("<item><title>x &f;</title></item>"), HERE)
    assert "root:" not in str(feed)
    assert feed.loose[0].title.startswith("x")


def test_short_texts_that_a_document_type_names_are_put_where_they_are_used() -> None:
    body = b"<!DOCTYPE rss [<!ENTITY me 'Ann &#38; Bo'>\n<!ENTITY you \"you\">]>"
    entry = only(body + rss("<item><title>&me; to &you;</title></item>"))
    assert entry.title == "Ann & Bo to you"


def test_a_feed_as_large_as_is_read_takes_seconds() -> None:
    item = "<item><title>A title</title><link>/{}</link><description>{}</description></item>"
    body = rss("".join(item.format(n, "&lt;p&gt;Some words of a body.&lt;/p&gt;" * 40) for n in range(5000)))
    started = time.perf_counter()
    assert len(feeds.parse(body, HERE).entries) == 5000
    assert len(feeds.parse(rss(f"<item><author>{'a' * 300_000}</author></item>"), HERE).loose) == 1
    assert time.perf_counter() - started < 30


def test_json_of_wrong_types_gives_what_can_be_read() -> None:
    items = [
        3,
        None,
        {"url": 5, "title": ["x"], "content_html": {"a": 1}, "tags": "x", "authors": {"name": 1}},
    ]
    assert only(json_feed(*items)).html == ""
    assert only(json_feed({"id": 7, "url": "/x", "tags": ["a", 1, None]})).tags == ("a",)
    assert (
        feeds.parse(b'{"version": "https://jsonfeed.org/version/1", "items": ' + b"[" * 99_999, HERE).loose
        == ()
    )
    assert len(feeds.parse(json_feed({"id": 1}).replace(b"1}", b"1" * 9999 + b"}"), HERE).loose) == 1


def test_titles_in_html_become_text() -> None:
    assert plaintext.of_html("<b>a</b> &amp;amp; <i\n>b</i> <3 &check; &#8217;") == "a &amp; b <3 ✓ ’"
    assert plaintext.of_html("&#" + "9" * 5000 + ";") == "\ufffd"
    assert plaintext.of_html("a<!-- b") == "a"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2020-04-18", "2020-04-18"),
        ("2020-04-18T07:40:00Z", "2020-04-18T07:40:00+00:00"),
        ("2020-04-18 07:40:00 -0500", "2020-04-18T07:40:00-05:00"),
        ("2020-04-18 07:40:00 UTC", "2020-04-18T07:40:00+00:00"),
        ("2020-04-18T07:40:00.123456789+02:00", "2020-04-18T07:40:00.123456+02:00"),
        ("Sat, 18 Apr 2020 07:40:00 GMT", "2020-04-18T07:40:00+00:00"),
        ("Saturday, 18 April 2020 07:40:00 EST", "2020-04-18T07:40:00-05:00"),
        ("Sat, 18-Apr-20 07:40:00 GMT", "2020-04-18T07:40:00+00:00"),
        ("18 Apr 2020 07:40:00 +99999999999999", "2020-04-18"),
        ("Posted on April 18th, 2020 by Ann", "2020-04-18"),
        ("18 April 2020", "2020-04-18"),
        ("2020/4/18", "2020-04-18"),
        ("2020-04-18T99:40:00Z", "2020-04-18"),
        ("2020-13-45", None),
        ("May I ask, 3000 times?", None),
        ("", None),
    ],
)
def test_dates_are_read_as_the_web_writes_them(text: str, iso: str | None) -> None:
    assert dates.iso(text) == iso


@pytest.mark.parametrize(
    "moment", [None, "2020", (2020,), (2020, 13, 1, 0, 0, 0), (1, 1, 1, 0, 0, 0, 0, 1, 0)]
)
def test_a_tuple_that_is_no_moment_is_no_date(moment: object) -> None:
    assert dates.of_utc(moment) is None
