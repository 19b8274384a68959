from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from llm_twin.collect.exports import wordpress
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

HEAD = """<?xml version="1.0" encoding="UTF-8" ?>
<!-- generator="WordPress/6.4" -->
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:wp="http://wordpress.org/export/1.2/"><channel><title>Blog</title><link>https://blog.example</link>
<wp:author><wp:author_login><![CDATA[ann]]></wp:author_login><wp:author_email>ann@blog.example</wp:author_email>
<wp:author_display_name><![CDATA[Ann Author]]></wp:author_display_name></wp:author>
"""
END = "</channel></rss>"


def entry(content: str = "Text.", number: int = 1, more: str = "", **changes: str) -> str:
    fields = {
        "title": f"Post {number}",
        "link": f"https://blog.example/{number}/",
        "dc:creator": "ann",
        "wp:post_id": str(number),
        "wp:post_date_gmt": "2020-01-02 03:04:05",
        "wp:status": "publish",
        "wp:post_type": "post",
        "wp:post_password": "",
    } | {k.replace("__", ":"): v for k, v in changes.items()}
    inner = "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in fields.items())
    return f"<item>{inner}<content:encoded><![CDATA[{content}]]></content:encoded>{more}</item>\n"


def read(path: Path) -> tuple[Export, list[Item]]:
    with Archive(path) as archive:
        export = wordpress.read(archive)
        assert export
        return export, list(export.items)


def of(tmp_path: Path, *entries: str, end: str = END) -> list[Item]:
    path = tmp_path / "blog.xml"
    path.write_text(HEAD + "".join(entries) + end)
    return read(path)[1]


def reasons(items: list[Item]) -> list[str]:
    return [i.reason if isinstance(i, Rejected) else i.markdown for i in items]


def test_the_sample_is_read_with_drafts_apart(test_data: Path) -> None:
    export, items = read(test_data / "exports" / "wordpress" / "sample.xml")
    assert (export.source, export.complete) == ("wordpress:https://example.com/", False)
    assert [i.reason for i in items if isinstance(i, Rejected)] == [
        "draft",
        "not a post",
        "attachment",
        "page",
    ]
    basic, other = (i for i in items if isinstance(i, Post))
    assert (basic.url, basic.title, basic.author) == (
        "https://example.com/blog/basic-post.html",
        "Basic Post",
        "Hermione Granger",
    )
    assert basic.published_at == "2013-06-07T03:00:44+00:00"
    assert basic.tags == ("Has Images", "Programming", "Company News")
    assert basic.markdown.startswith("## My excerpt in content\n\nWe're not testing HTML output here.")
    assert other.url.endswith("/another-post.html")


def test_every_sample_file_is_read(test_data: Path) -> None:
    folder = test_data / "exports" / "wordpress"
    found = {f.name: [i for i in read(f)[1] if isinstance(i, Post)] for f in folder.glob("*.xml")}
    assert {name: len(posts) for name, posts in found.items()} == {
        "sample.xml": 2,
        "sample-no-slug.xml": 2,
        "sample-with-alt.xml": 1,
        "co-authors-plus.xml": 4,
        "feature-image-captions.xml": 3,
        "has-audio-enclosure.xml": 1,
        "has-audio-enclosure-with-libsyn-embed.xml": 1,
        "has-meta.xml": 0,
        "has-yoast-meta.xml": 2,
    }
    assert [p.url for p in found["sample-no-slug.xml"]] == [
        "https://example.com/?p=4",
        "https://example.com/?p=14",
    ]
    assert [p.author for p in found["co-authors-plus.xml"]][::3] == ["Alice Smith, Bob Jones"] * 2
    assert found["feature-image-captions.xml"][0].author is None  # an e-mail address is all that is known


def test_several_files_are_one_export_and_a_zip_is_the_same_as_its_folder(
    test_data: Path, tmp_path: Path
) -> None:
    folder = test_data / "exports" / "wordpress" / "multiple"
    _, items = read(folder)
    assert [i.title for i in items if isinstance(i, Post)] == ["Basic Post", "Another Post"]
    assert sorted(i.reason for i in items if isinstance(i, Rejected)) == [
        "attachment",
        "draft",
        "not a post",
        "page",
    ]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, f"site/{file.name}")
    assert read(tmp_path / "all.zip")[1] == items


def test_only_published_posts_that_anyone_may_read_are_taken(tmp_path: Path) -> None:
    statuses = ("publish", "draft", "pending", "auto-draft", "future", "private", "trash", "")
    entries = [entry(number=n, wp__status=s) for n, s in enumerate(statuses)]
    entries.append(entry(wp__post_password="secret"))
    entries += [entry(wp__post_type=kind) for kind in ("page", "attachment", "nav_menu_item", "revision")]
    assert reasons(of(tmp_path, *entries)) == [
        *("Text.", "draft", "draft", "draft", "scheduled", "private", "trash", "draft", "private"),
        *("page", "attachment", "not a post", "not a post"),
    ]


def test_comments_by_readers_never_enter(tmp_path: Path) -> None:
    comment = "<wp:comment><wp:comment_content><![CDATA[Nice post!]]></wp:comment_content></wp:comment>"
    (post,) = of(tmp_path, entry("Mine.", more=comment))
    assert isinstance(post, Post)
    assert post.markdown == "Mine."


def test_both_editors_are_read(tmp_path: Path) -> None:
    classic = "It's one.\n\nTwo lines\nhere [sic]. [gallery ids='1']"
    blocks = (
        "<!-- wp:paragraph -->\n<p>It's one.</p>\n<!-- /wp:paragraph -->\n\n<!-- wp:separator -->\n"
        '<hr class="wp-block-separator"/>\n<!-- /wp:separator -->\n\n<!-- wp:paragraph -->\n<p>Two.</p>'
    )
    assert reasons(of(tmp_path, entry(classic), entry(blocks))) == [
        "It's one.\n\nTwo lines  \nhere [sic].",
        "It's one.\n\n---\n\nTwo.",
    ]


def test_footnotes_of_the_block_editor_lie_beside_the_content(tmp_path: Path) -> None:
    content = '<!-- wp:paragraph --><p>Yes.<sup data-fn="u-1" class="fn"><a href="#u-1">1</a></sup></p>'
    meta = (
        "<wp:postmeta><wp:meta_key>footnotes</wp:meta_key><wp:meta_value><![CDATA["
        '[{"id":"u-1","content":"Or <em>no</em>."}]]]></wp:meta_value></wp:postmeta>'
    )
    broken = meta.replace('"id"', "id")
    assert reasons(of(tmp_path, entry(content, more=meta), entry(content, more=broken))) == [
        "Yes.\n\n[^1]: Or *no*.",
        "Yes.1",
    ]


def test_titles_dates_and_addresses(tmp_path: Path) -> None:
    items = of(
        tmp_path,
        entry(title="Ann &amp; <em>Bob</em>", wp__post_date_gmt="0000-00-00 00:00:00",
              pubDate="Fri, 07 Jun 2013 03:00:44 +0000"),
        entry(title="", link="", guid="https://blog.example/?p=7"),
        entry(link="/x", dc__creator="bob@mail.example"),
    )  # fmt: skip
    first, second, third = (i for i in items if isinstance(i, Post))
    assert (first.title, first.published_at, first.author) == (
        "Ann & Bob",
        "2013-06-07T03:00:44+00:00",
        "Ann Author",
    )
    assert (second.title, second.kind, second.url) == ("", "note", "https://blog.example/?p=7")
    assert (third.url, third.author) == ("https://blog.example/x", None)


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("How <script> works", "How works"),
        ("The <style> tag &amp; you", "The tag & you"),
        ("From <b>style</b> to <script> and </script>", "From style to and"),
    ],
)
def test_a_title_may_speak_of_scripts(tmp_path: Path, typed: str, title: str) -> None:
    (post,) = of(tmp_path, entry(title=typed))
    assert isinstance(post, Post)
    assert post.title == title


def test_a_broken_item_costs_only_itself(tmp_path: Path) -> None:
    items = of(
        tmp_path,
        entry("One <item>and</item> two.", 1),
        "<item><title>x</nonsense></item>\n",
        entry("Bell\x07 and \x0b.", 2),
        "<item><title>&nbsp;&broken</title>" + entry("Three.", 3).removeprefix("<item>"),
        entry("Cut off", 4)[:-60],
        entry("Five.", 5),
        entry("Six", 6)[:-40],
        end="",
    )
    assert reasons(items) == [
        "One and two.", "broken XML", "Bell and .", "Three.", "cut off", "Five.", "cut off",
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["bombs", "files"])
def test_entities_are_refused_at_once(tmp_path: Path, form: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    if form == "files":
        entities = f'<!ENTITY a11 SYSTEM "{secret.as_uri()}">'
    bomb = entry("Text.", more="<title>&a11;</title>", number=1)
    path = tmp_path / "bomb.xml"
    path.write_text(HEAD.replace("<rss", f"<!DOCTYPE rss [{entities}]>\n<rss", 1) + bomb + END)
    started = time.perf_counter()
    assert read(path)[1] == [Rejected("bomb.xml", "XML with a document type")]
    assert time.perf_counter() - started < 2


def test_other_encodings_are_read(tmp_path: Path) -> None:
    text = HEAD + entry("naïve — “so”") + END
    wrong = tmp_path / "wrong.xml"
    wrong.write_bytes(text.encode("cp1252"))
    declared = tmp_path / "declared.xml"
    declared.write_bytes((HEAD.replace("UTF-8", "windows-1251") + entry("Привет") + END).encode("cp1251"))
    assert reasons(read(wrong)[1]) == ["naïve — “so”"]
    assert reasons(read(declared)[1]) == ["Привет"]


def test_a_feed_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "feed.xml").write_text(
        "<rss version='2.0'><channel><item><title>x</title></item></channel></rss>"
    )
    with Archive(tmp_path / "feed.xml") as archive:
        assert wordpress.read(archive) is None


def test_a_large_export_is_read_in_good_time(tmp_path: Path) -> None:
    started = time.perf_counter()
    items = of(tmp_path, *(entry("Some words here.\n\n" * 40, n) for n in range(500)))
    assert len(items) == 500
    assert time.perf_counter() - started < 60


def test_every_part_of_an_export_is_read_and_a_part_that_cannot_be_is_told_of(tmp_path: Path) -> None:
    """`wp export` writes parts of 15 MB."""
    path = tmp_path / "blog.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for n in range(25):
            packed.writestr(f"blog.{n:03}.xml", HEAD + entry(f"Part {n}.", n) + END)
    packed_bytes = path.read_bytes()
    path.write_bytes(packed_bytes.replace(b"Part 3.", b"Part X."))
    with Archive(path) as archive:
        export = wordpress.read(archive)
        assert export
        texts = reasons(list(export.items))
        assert texts == [f"Part {n}." for n in range(25) if n != 3]
        assert archive.rejected == [Rejected("blog.003.xml", "cannot be read")]
