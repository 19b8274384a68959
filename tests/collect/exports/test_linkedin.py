from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import pytest

from llm_twin.collect.exports import linkedin
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

HEADER = "Date,ShareLink,ShareCommentary,SharedUrl,MediaUrl,Visibility"
ARTICLE = (
    "<html><head><title>On tea</title><style>p {{ color: red }}</style></head><body>"
    '<img src="https://media.example/cover">'
    '<h1><a href="https://www.linkedin.com/pulse/on-tea-ann">On tea</a></h1>'
    '<p class="created">Created on 2024-02-01 10:00</p>{published}'
    "<div><p>It’s <strong>hot</strong> — mostly.</p><h3>Why</h3><ul><li>Water</li></ul>"
    '<p class="published">Published on paper.</p></div></body></html>'
)
PUBLISHED = '<p class="published">Published on 2024-02-03 11:30</p>'


def link(number: int) -> str:
    return f"https://www.linkedin.com/feed/update/urn%3Ali%3Ashare%3A{number}"


def shares(*rows: tuple[str, str]) -> str:
    """A file of shares from (commentary, visibility) pairs."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER.split(","))
    for number, (text, seen_by) in enumerate(rows):
        writer.writerow(["2024-01-02 03:04:05", link(number), text, "", "", seen_by])
    return out.getvalue()


def public(*texts: str) -> str:
    return shares(*((text, "MEMBER_NETWORK") for text in texts))


def opened(path: Path) -> tuple[Export | None, list[Item]]:
    with Archive(path) as archive:
        export = linkedin.read(archive)
        return export, list(export.items) if export else []


def read(tmp_path: Path, body: str) -> list[Item]:
    path = tmp_path / "Shares.csv"
    path.write_text(body, encoding="utf-8", newline="")
    return opened(path)[1]


def texts(items: list[Item]) -> list[str]:
    return [p.markdown for p in items if isinstance(p, Post)]


def reasons(items: list[Item]) -> list[str]:
    return [r.reason for r in items if isinstance(r, Rejected)]


def test_every_public_share_and_no_other_is_given_with_its_paragraphs(test_data: Path) -> None:
    path = test_data / "export-social-synthetic" / "linkedin" / "Shares.csv"
    # Read here by the file's own lines: a share begins with a date, and each of its paragraphs is a line.
    raw = re.split(r"^(?=\d{4}-\d\d-\d\d )", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    wanted = {}
    for share in raw:
        found = re.search(r",(https://\S+?),\"(.*?)\",([^,]*),,(\w+)\s*\Z", share, re.DOTALL)
        assert found
        first, blank, last = found[2].split("\n")
        assert blank == '""""'
        if found[4] == "MEMBER_NETWORK":
            wanted[found[1]] = first.removesuffix('""') + "\n\n" + last.removeprefix('""')
    export, items = opened(path.parent)
    assert export is not None
    assert (export.source, export.complete) == ("linkedin", False)
    assert {p.url: p.markdown for p in items if isinstance(p, Post)} == wanted
    assert (len(raw), len(wanted)) == (40, 32)
    assert reasons(items) == ["connections only"] * 8
    first_post = next(p for p in items if isinstance(p, Post))
    assert (first_post.title, first_post.kind, first_post.published_at) == ("", "note", "2022-05-06T00:00:00")


def test_a_zip_a_folder_and_the_file_alone_give_the_same_posts(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "export-social-synthetic" / "linkedin"
    packed = tmp_path / "Complete_LinkedInDataExport.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.write(folder / "Shares.csv", "Complete/Shares_12345.csv")
        file.writestr("Complete/messages.csv", f"{HEADER}\n2024-01-01,{link(1)},Secret,,,MEMBER_NETWORK\n")
        file.writestr("Complete/Comments.csv", "Date,Link,Message\n2024-01-01,https://a.example,A comment\n")
    renamed = tmp_path / "export"
    renamed.write_bytes((folder / "Shares.csv").read_bytes())
    found = [[i for i in opened(p)[1] if isinstance(i, Post)] for p in (folder, packed, renamed)]
    assert found[0] == found[1] == found[2] != []


def test_messages_and_comments_are_never_taken_even_alone(tmp_path: Path) -> None:
    (tmp_path / "messages.csv").write_text(f"{HEADER}\n2024-01-01,{link(1)},Secret,,,MEMBER_NETWORK\n")
    assert opened(tmp_path)[0] is None
    assert opened(tmp_path / "messages.csv")[0] is None
    comments = tmp_path / "Comments.csv"
    comments.write_text("Date,Link,Message\n2024-01-01,https://a.example,A comment\n")
    assert opened(comments)[0] is None


@pytest.mark.parametrize(
    ("visibility", "reason"),
    [
        ("MEMBER_NETWORK", None),
        ("PUBLIC", None),
        ("CONNECTIONS", "connections only"),
        ("CONTAINER", "not public"),
        ("LOGGED_IN", "not public"),
        ("", "not public"),
        ("NOT_MEMBER_NETWORK", "not public"),
    ],
)
def test_only_what_anyone_may_read_is_taken(tmp_path: Path, visibility: str, reason: str | None) -> None:
    assert reasons(read(tmp_path, shares(("Hello.", visibility)))) == ([reason] if reason else [])


def test_shares_without_a_column_of_visibility_are_refused(tmp_path: Path) -> None:
    body = f"Date,ShareLink,ShareCommentary\n2024-01-01,{link(1)},Hello.\n"
    assert reasons(read(tmp_path, body)) == ["not public"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('One."\n""\n"Two.', "One.\n\nTwo."),
        ('One"\n"two"\n""\n"Three', "One  \ntwo\n\nThree"),
        ('He said "hi""\n""\n""Yes," she said', 'He said "hi"\n\n"Yes," she said'),
        ('He said "hi"\nand left', 'He said "hi"  \nand left'),
        ("One.\n\nTwo.", "One.\n\nTwo."),
        ('"Tea?"\n"No."\nThey left.', '"Tea?"  \n"No."  \nThey left.'),
        ('"All of it is a quotation."', '"All of it is a quotation."'),
        ("A list:\n- one\n- two", "A list:\n- one\n- two"),
        ("Read https://lnkd.in/x #tea", "Read https://lnkd.in/x #tea"),
    ],
)
def test_paragraphs_are_restored_and_quotations_stay(tmp_path: Path, written: str, text: str) -> None:
    assert texts(read(tmp_path, public(written))) == [text]


def test_line_ends_of_windows_are_read_alike(tmp_path: Path) -> None:
    body = public('One."\n""\n"Two.', "Three.").replace("\n", "\r\n")
    assert texts(read(tmp_path, "\ufeff" + body)) == ["One.\n\nTwo.", "Three."]


def test_a_reshare_without_words_is_no_post(tmp_path: Path) -> None:
    items = read(tmp_path, public("", "  \n", "https://a.example/b", "#tea", "Mine."))
    assert (texts(items), reasons(items)) == (["Mine."], ["no text"] * 4)


def test_broken_rows_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    huge = "x" * 200_000  # beyond what the csv module reads as one field
    body = (
        public("One.", huge, "Two.")
        + "only,three,fields\n\n"
        + f"soon,,Three.,,,PUBLIC\n1,{link(9)},Four.,,,PUBLIC\n"
    )
    items = read(tmp_path, body)
    assert texts(items) == ["One.", "Two.", "Four."]
    assert reasons(items) == ["broken record"] * 3


def test_a_file_that_is_cut_off_within_a_share_gives_no_private_share(tmp_path: Path) -> None:
    body = (
        public("One.")
        + f'2024-01-03,{link(7)},"Cut off\n'
        + shares(("Private.", "CONNECTIONS")).split("\n", 1)[1]
    )
    items = read(tmp_path, body)
    assert texts(items) == ["One."]
    assert reasons(items) == ["broken record"]


def test_of_a_folder_no_other_table_than_one_that_is_named_for_shares_is_opened(tmp_path: Path) -> None:
    (tmp_path / "Drafts.csv").write_text(public("Not yet."))
    (tmp_path / "tea.md").write_text("Tea.")
    with Archive(tmp_path) as archive:
        assert linkedin.read(archive) is None
        assert archive._read == 0
    (tmp_path / "Shares_12345.csv").write_text(public("Hello."))
    assert texts(opened(tmp_path)[1]) == ["Hello."]


def test_published_articles_are_posts_and_drafts_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "Articles" / "Articles"
    folder.mkdir(parents=True)
    (folder / "on-tea.html").write_text(ARTICLE.format(published=PUBLISHED))
    (folder / "unfinished.html").write_text(ARTICLE.format(published="").replace("on-tea", "unfinished"))
    (folder / "undated.html").write_text(
        ARTICLE.format(published='<p class="published">Published on </p>').replace("on-tea", "undated")
    )
    (folder / "broken.html").write_text('<p class="published">Published on 2024-01-01</p>')
    (folder / "bare.html").write_text("<h1>Bare</h1>" + PUBLISHED)
    (folder / "latin.html").write_bytes(
        "<h1>Naïve</h1>".encode("latin-1") + PUBLISHED.encode() + b"<p>Text</p>"
    )
    (tmp_path / "Profile.csv").write_text("First Name,Last Name,Address\nAnn,Example,Home\n")
    (tmp_path / "Shares.csv").write_text(public("Hello."))
    export, items = opened(tmp_path)
    assert export is not None
    assert export.source == "linkedin:Ann Example"
    article = next(p for p in items if isinstance(p, Post) and p.title == "On tea")
    assert article.markdown == "It’s **hot** — mostly.\n\n### Why\n\n- Water\n\nPublished on paper."
    assert (article.url, article.kind, article.published_at) == (
        "https://www.linkedin.com/pulse/on-tea-ann",
        "post",
        "2024-02-03T11:30:00",
    )
    assert [(p.title, p.kind) for p in items if isinstance(p, Post)] == [
        ("", "note"),
        ("Naïve", "post"),
        ("On tea", "post"),
    ]
    assert sorted(reasons(items)) == ["broken record", "draft", "draft", "no text"]


def test_an_article_given_alone_is_recognised_and_other_pages_are_not(tmp_path: Path) -> None:
    path = tmp_path / "saved.html"
    path.write_text(ARTICLE.format(published=PUBLISHED))
    assert [p.title for p in opened(path)[1] if isinstance(p, Post)] == ["On tea"]
    path.write_text("<html><body><h1>Mine</h1><p>Text</p></body></html>")
    assert opened(path)[0] is None


@pytest.mark.parametrize("body", ["", "\n", "Date,ShareLink\n", '"' * 10, "\x00\x00", "Title,Date\na,b\n"])
def test_other_tables_are_not_taken_for_shares(tmp_path: Path, body: str) -> None:
    path = tmp_path / "Shares.csv"
    path.write_text(body)
    assert opened(path)[0] is None


def test_other_archives_are_not_recognised(test_data: Path, tmp_path: Path) -> None:
    for other in ("exports/medium", "exports/substack", "export-social-synthetic/mastodon"):
        assert opened(test_data / other)[0] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert opened(empty)[0] is None
