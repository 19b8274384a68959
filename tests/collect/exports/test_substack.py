from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from llm_twin.collect import Library, run
from llm_twin.collect.exports import substack
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post

HEAD = "post_id,post_date,is_published,email_sent_at,type,audience,title,subtitle,podcast_url\n"


def row(post_id: str, published: str = "true", kind: str = "newsletter", audience: str = "everyone") -> str:
    return f'{post_id},2022-01-02T03:04:05.000Z,{published},,{kind},{audience},"It&#x2019;s, {post_id}",,\n'


def read(path: Path) -> tuple[Export, list[Item]]:
    with Archive(path) as archive:
        export = substack.read(archive)
        assert export
        return export, list(export.items)


def reasons(items: list[Item]) -> list[str]:
    return [i.reason if isinstance(i, Rejected) else i.markdown for i in items]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "export" / "posts").mkdir(parents=True)
    return tmp_path / "export"


def test_the_sample_is_read_with_drafts_and_pages_apart(test_data: Path) -> None:
    export, items = read(test_data / "exports" / "substack")
    assert (export.source, export.complete) == ("substack:https://example.substack.com", True)
    posts = [i for i in items if isinstance(i, Post)]
    assert [(p.title, p.url) for p in posts] == [
        ("Plain Text", "https://example.substack.com/p/plain-text"),
        ("Comment Buttons", "https://example.substack.com/p/podcast"),
        ("Talk to Us", "https://example.substack.com/p/thread"),
    ]
    assert posts[0].published_at == "2019-07-26T20:48:19.814000+00:00"
    assert posts[1].markdown == "## Podcast Episode\n\nDolore magna aliqua.\n\nDolor sit amet."
    assert all(word not in p.markdown for p in posts for word in ("Sign up", "Leave a comment", "---"))
    assert [i for i in items if isinstance(i, Rejected)] == [
        Rejected("https://example.substack.com/p/draft-text", "draft"),
        Rejected("123405.about-us", "page"),
    ]


def test_a_broken_row_removes_no_post(top: Path, tmp_path: Path) -> None:
    names = ("1.tea", "2.bees", "3.rain")
    rows = HEAD + "".join(map(row, names))
    button = "<a href='https://ann.substack.com/subscribe'>Subscribe</a>"
    for name in names:
        (top / "posts" / f"{name}.html").write_text(f"<p>Text of {name}.</p>{button}")
    with Library(tmp_path / "library.db") as library:
        (top / "posts.csv").write_text(rows)
        assert run([str(top)], Collect(), library, Silent()).posts_new == 3
        for broken in (rows.replace('1.tea"', "1.tea", 1), rows.replace("2.bees,", "Two,", 1)):
            (top / "posts.csv").write_text(broken)
            report = run([str(top)], Collect(), library, Silent())
            assert report.refused["no row in posts.csv"] == 1
            assert report.posts_removed == 0


def test_a_zip_is_the_same_as_its_folder(test_data: Path, tmp_path: Path) -> None:
    top = test_data / "exports" / "substack"
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(f for f in top.rglob("*") if f.is_file()):
            packed.write(file, f"inner/{file.relative_to(top)}")
    assert read(tmp_path / "x.zip")[1] == read(top)[1]


def test_posts_for_paying_readers_are_their_authors_published_writing(top: Path) -> None:
    audiences = ("everyone", "only_paid", "only_free", "founding", "one_friend")
    (top / "posts.csv").write_text(HEAD + "".join(row(f"{n}.a", audience=a) for n, a in enumerate(audiences)))
    for number in range(len(audiences)):
        (top / "posts" / f"{number}.a.html").write_text(f"<p>Text {number}.</p>")
    assert reasons(read(top)[1]) == ["Text 0.", "Text 1.", "Text 2.", "Text 3.", "private"]


def test_a_publication_without_a_button_has_stable_addresses(top: Path) -> None:
    (top / "posts.csv").write_text(HEAD + row("7.tea"))
    (top / "posts" / "7.tea.html").write_text("<p>See https://other.example/p/coffee.</p>")
    export, (post,) = read(top)
    assert isinstance(post, Post)
    assert (export.source, post.url, post.title) == ("substack:export", "substack:7.tea", "It’s, 7.tea")


def test_the_publication_is_the_one_that_most_new_posts_name(top: Path) -> None:
    (top / "posts.csv").write_text(HEAD + "".join(row(f"{n}.t{n}") for n in range(4)))
    for number, host in enumerate(
        ("old.substack.com", "letters.example", "letters.example", "friend.example")
    ):
        body = f'<p>Text.</p><p class="button-wrapper"><a href="https://{host}/subscribe?x=1">Go</a></p>'
        (top / "posts" / f"{number}.t{number}.html").write_text(body)
    export, items = read(top)
    assert export.source == "substack:https://letters.example"
    assert isinstance(items[0], Post)
    assert items[0].url == "https://letters.example/p/t0"


def test_bad_rows_and_missing_bodies_are_counted(top: Path) -> None:
    lines = [
        row("1.a"),
        "not an id,x\n",
        "2.b\n",
        row("3.c"),
        row("4.d", kind="restack"),
        row("5.e"),
        ",,,,,,,,\n",
    ]
    (top / "posts.csv").write_text(HEAD + "".join(lines))
    (top / "posts" / "1.a.html").write_text("<p>Fine.</p>")
    (top / "posts" / "5.e.html").write_text("<p class='button-wrapper'>Subscribe</p>")
    export, items = read(top)
    assert reasons(items) == ["Fine.", "broken row", "draft", "no text", "text of someone else", "no text"]
    assert not export.complete


def test_a_quotation_mark_without_its_twin_hides_no_post(top: Path) -> None:
    (top / "posts.csv").write_text(
        HEAD + row("1.a") + '2.b,2022-01-02,true,,newsletter,everyone,"broken,,\n' + row("3.c")
    )
    for name in ("1.a", "2.b", "3.c"):
        (top / "posts" / f"{name}.html").write_text("<p>Text.</p>")
    found = {i.where: i.reason for i in read(top)[1] if isinstance(i, Rejected)}
    assert found == {"3.c": "no row in posts.csv"}


def test_a_field_beyond_the_bound_costs_only_its_row(top: Path) -> None:
    (top / "posts.csv").write_text(HEAD + row("1.a") + f"2.b,{'x' * 200_000}\n" + row("3.c"))
    for name in ("1.a", "3.c"):
        (top / "posts" / f"{name}.html").write_text("<p>Text.</p>")
    assert reasons(read(top)[1]) == ["Text.", "broken row", "Text."]


def test_other_encodings_and_marks_are_read(top: Path) -> None:
    (top / "posts.csv").write_bytes(b"\xef\xbb\xbf" + (HEAD + row("1.a") + row("2.b")).encode())
    (top / "posts" / "1.a.html").write_bytes("<p>naïve — “so”</p>".encode("cp1252"))
    (top / "posts" / "2.b.html").write_bytes(b'<p>a charset="latin-1" of \xc3\xa9</p>')
    assert reasons(read(top)[1]) == ["naïve — “so”", 'a charset="latin-1" of é']


def test_lists_of_subscribers_are_never_opened(top: Path) -> None:
    (top / "posts.csv").write_text(HEAD + row("1.a"))
    (top / "posts" / "1.a.html").write_text("<p>Text.</p>")
    (top / "email_list.export.csv").write_text("email\nreader@example.org\n")
    (top / "posts" / "1.a.opens.csv").write_text("email\nreader@example.org\n")
    opened: list[str] = []

    class Watched(Archive):
        def read(self, name: str, limit: int = 10**6) -> bytes:
            opened.append(name)
            return super().read(name, limit)

    with Watched(top) as archive:
        export = substack.read(archive)
        assert export
        list(export.items)
    assert set(opened) == {"posts.csv", "posts/1.a.html"}


def test_a_table_of_something_else_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "posts.csv").write_text("id,name\n1,x\n")
    with Archive(tmp_path) as archive:
        assert substack.read(archive) is None
