from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from llm_twin.collect.exports import medium
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

FOOTER = """
<footer><p>By <a href="https://medium.com/@ann" class="p-author h-card">Ann</a> on
<a href="https://medium.com/p/abc"><time class="dt-published" datetime="2018-08-11T11:23:34Z">x</time></a></p>
<p><a href="https://medium.com/@ann/{slug}" class="p-canonical">Canonical link</a></p></footer>"""
PAGE = """<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head><body>
<article class="h-entry"><header><h1 class="p-name">{title}</h1></header>
<section data-field="body" class="e-content">{body}</section>{footer}</article></body></html>"""


def story(title: str, body: str, slug: str = "tea-1a2b", footer: str = FOOTER) -> str:
    return PAGE.format(title=title, body=body, footer=footer.format(slug=slug))


def read(path: Path) -> tuple[Export, list[Item]]:
    with Archive(path) as archive:
        export = medium.read(archive)
        assert export
        return export, list(export.items)


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    folder = tmp_path / "export" / "posts"
    folder.mkdir(parents=True)
    return folder


def only(posts: Path) -> Post:
    _, (found,) = read(posts)
    assert isinstance(found, Post)
    return found


def test_the_sample_is_read_with_drafts_apart(test_data: Path) -> None:
    export, items = read(test_data / "exports" / "medium")
    taken = {i.title: i for i in items if isinstance(i, Post)}
    assert (export.source, export.complete) == ("medium:https://medium.com/@JoeBloggs", True)
    assert [i for i in items if isinstance(i, Rejected)] == [
        Rejected("export/posts/draft-post.html", "draft")
    ]
    assert len({i.id for i in items if isinstance(i, Post)}) == 8
    advanced = taken["Advanced Post Title"]
    assert advanced.url == "https://medium.com/@JoeBloggs/testpost-efefef12121212"
    assert (advanced.author, advanced.tags) == ("Joe Bloggs", ("Things", "Stuff"))
    assert advanced.published_at == "2018-08-11T11:23:34.123000+00:00"
    assert advanced.markdown.startswith("#### This is a subtitle of some sort\n\n*This is a subtitle")
    assert "caption" not in advanced.markdown
    assert (
        "- And a second list item with a link to Ghost\n\n---\n\n#### One last section" in advanced.markdown
    )
    assert "> “Lorem Ipsum” Example\n\nDolor Simet\n\n> Lorem Ipsum" in taken["Quote Post Title"].markdown
    assert (
        "```\nsudo apt-get update\nsudo apt-get install \\\n    apt-transport-https"
        in taken["Code Post Title"].markdown
    )
    assert taken["No Date Post"].published_at is None


def test_a_response_is_a_reply(test_data: Path) -> None:
    _, items = read(test_data / "exports" / "medium")
    (reply,) = [i for i in items if isinstance(i, Post) and i.kind == "reply"]
    assert (reply.title, reply.markdown) == ("", "This is a comment")
    assert reply.url.endswith("/and-this-is-what-a-comment-looks-like-a1b2c3d4e5f6")


def test_a_zip_is_the_same_as_its_folder(test_data: Path, tmp_path: Path) -> None:
    top = test_data / "exports" / "medium"
    with zipfile.ZipFile(tmp_path / "medium.zip", "w") as packed:
        for file in sorted(top.rglob("*.html")):
            packed.write(file, file.relative_to(top))
    assert read(tmp_path / "medium.zip")[1] == read(top)[1]


def test_the_top_may_lie_anywhere(test_data: Path) -> None:
    top = test_data / "exports" / "medium" / "export"
    whole = [i.id for i in read(top)[1] if isinstance(i, Post)]
    assert [i.id for i in read(top / "posts")[1] if isinstance(i, Post)] == whole
    export, (post,) = read(top / "posts" / "no-date-post.html")
    assert isinstance(post, Post)
    assert post.title == "No Date Post"
    assert not export.complete


def test_the_title_in_the_body_goes_and_other_headings_stay(posts: Path) -> None:
    body = '<h3 class="graf graf--h3 graf--title">It’s  tea</h3><p>Hot.</p><h3>It’s tea</h3><p>Again.</p>'
    (posts / "2018-08-11_tea.html").write_text(story("It’s tea", body))
    assert only(posts).markdown == "Hot.\n\n### It’s tea\n\nAgain."


def test_embeds_code_and_what_the_import_added(posts: Path) -> None:
    body = """
<p class="graf">One.</p><div class="graf graf--mixtapeEmbed"><a><strong>Their title</strong></a></div>
<figure class="graf--iframe"><iframe src="https://medium.com/media/1"></iframe></figure>
<pre data-code-block-lang="python"><span class="pre--content"><span>def</span> f():<br>    pass</span></pre>
<p><em>Originally published at </em><a href="https://a.org"><em>a.org</em></a><em> on May 1, 2018.</em></p>"""
    (posts / "a.html").write_text(story("Tea", body))
    assert only(posts).markdown == "One.\n\n```python\ndef f():\n    pass\n```"


def test_drafts_are_known_by_name_or_by_having_no_address(posts: Path) -> None:
    (posts / "draft_Tea-1a.html").write_text(story("Tea", "<p>Not yet.</p>"))
    (posts / "tea.html").write_text(story("Tea", "<p>Not yet.</p>", footer=""))
    assert [i.reason for i in read(posts)[1] if isinstance(i, Rejected)] == ["draft", "draft"]


def test_a_date_in_the_name_is_used_where_the_story_has_none(posts: Path) -> None:
    footer = '<a class="p-canonical" href="https://medium.com/@ann/x">x</a>'
    (posts / "2019-02-03_x.html").write_text(story("X", "<p>Text.</p>", footer=footer))
    assert only(posts).published_at == "2019-02-03"


def test_nothing_but_posts_is_opened(posts: Path) -> None:
    (posts / "a.html").write_text(story("A", "<p>Public.</p>"))
    for private in ("claps", "bookmarks", "highlights", "profile", "ips"):
        (posts.parent / private).mkdir()
        (posts.parent / private / "x.html").write_text(story("B", "<p>Private.</p>", "b"))
    opened: list[str] = []

    class Watched(Archive):
        def read(self, name: str, limit: int = 0) -> bytes:
            opened.append(name)
            return super().read(name, limit)

    with Watched(posts.parent) as archive:
        export = medium.read(archive)
        assert export
        assert len(list(export.items)) == 1
    assert set(opened) == {"posts/a.html"}


def test_a_broken_story_costs_only_itself(posts: Path) -> None:
    (posts / "a.html").write_text("<html><body>no story</body></html>")
    (posts / "b.html").write_bytes(b"\xff\xfe\x00\x01")
    (posts / "c.html").write_text(story("C", "<p>Fine.</p>", "c"))
    (posts / "d.html").write_text(story("D", '<figure><img src="x"></figure>', "d"))
    (posts / "e.html").write_bytes(
        story("E", "<p>naïve</p>", "e").replace("utf-8", "windows-1252").encode("cp1252")
    )
    found = [i.markdown if isinstance(i, Post) else i.reason for i in read(posts)[1]]
    assert found == ["no story of Medium", "no story of Medium", "Fine.", "no text", "naïve"]


def test_a_damaged_member_of_a_zip_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "medium.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("posts/a.html", story("A", "<p>Whole.</p>", "a"))
        packed.writestr("posts/b.html", story("B", "<p>Damaged.</p>", "b"))
    path.write_bytes(path.read_bytes().replace(b"Damaged", b"Dam\0ged"))
    _, (whole, damaged) = read(path)
    assert isinstance(whole, Post)
    assert damaged == Rejected("posts/b.html", "cannot be read")
