from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest

from llm_twin.collect import Library, exports, run
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Item, Rejected
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import CollectError, NothingFound


def read(path: Path) -> list[Item]:
    with Archive(path) as archive:
        found, _ = exports.read(archive)
        return [item for export in found for item in export.items]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "2020-01-02-tea-at-noon.md").write_text("# Tea at Noon\n\nIt's *hot*.\n")
    (folder / "sub" / "b.markdown").write_text(
        "---\ntitle: Bees\ndate: 2021-03-04\ntags: [bees, honey]\nauthor: Ann\n"
        "url: https://a.org/bees/\n---\nBuzz — buzz.\n"
    )
    (folder / "toml.md").write_text('+++\ntitle = "Toml"\ndate = 2022-01-01T10:00:00Z\n+++\nA body.\n')
    (folder / "draft.md").write_text("---\ntitle: D\ndraft: true\n---\nNot yet.\n")
    (folder / "broken.md").write_text("---\ntitle: [\n---\nText.\n")
    (folder / "empty.md").write_text("# Only a title\n")
    (folder / "latin.md").write_bytes("naïve".encode("latin-1"))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_front_matter_names_dates_and_headings_are_read(notes: Path) -> None:
    posts = {p.title: p for p in read(notes) if isinstance(p, Post)}
    assert set(posts) == {"Tea at Noon", "Bees", "Toml"}
    tea, bees = posts["Tea at Noon"], posts["Bees"]
    assert (tea.markdown, tea.published_at, tea.url) == (
        "It's *hot*.",
        "2020-01-02",
        "file:notes/2020-01-02-tea-at-noon.md",
    )
    assert (bees.url, bees.published_at, bees.tags, bees.author) == (
        "https://a.org/bees/",
        "2021-03-04",
        ("bees", "honey"),
        "Ann",
    )
    assert posts["Toml"].published_at == "2022-01-01T10:00:00+00:00"


def test_what_is_not_taken_says_why(notes: Path) -> None:
    assert {r.where.split("/")[-1]: r.reason for r in read(notes) if isinstance(r, Rejected)} == {
        "draft.md": "draft",
        "broken.md": "broken front matter",
        "empty.md": "no text",
        "latin.md": "not UTF-8",
    }


def test_a_folder_is_collected_and_an_edit_is_a_revision(notes: Path, tmp_path: Path) -> None:
    with Library(tmp_path / "library.db") as library:
        first = run([str(notes)], Collect(), library, Silent())
        assert (first.posts_new, first.refused["draft"], first.requests) == (3, 1, 0)
        (notes / "toml.md").write_text("+++\ntitle = 'Toml'\n+++\nAnother body.\n")
        second = run([str(notes)], Collect(), library, Silent())
        assert (second.posts_new, second.posts_changed, second.posts_unchanged) == (0, 1, 2)
        assert len(library.posts()) == 3


def test_a_folder_that_moved_keeps_its_posts(notes: Path, tmp_path: Path) -> None:
    before = {p.id for p in read(notes) if isinstance(p, Post)}
    moved = tmp_path / "elsewhere" / "notes"
    moved.parent.mkdir()
    notes.rename(moved)
    assert {p.id for p in read(moved) if isinstance(p, Post)} == before


def test_unknown_sources_are_one_error_that_says_what_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"PNG")
    with Library(tmp_path / "library.db") as library:
        for source in (str(tmp_path / "nothing"), str(tmp_path / "x.png"), "example.org"):
            with pytest.raises(CollectError, match=r"Give the address of a site.*or one such file"):
                run([source], Collect(), library, Silent())
        with pytest.raises(CollectError, match="No source"):
            run([], Collect(), library, Silent())
        (tmp_path / "void").mkdir()
        with pytest.raises(NothingFound, match="No post was found"):
            run([str(tmp_path / "void")], Collect(), library, Silent())


def test_of_documents_that_are_not_read_is_said_what_to_make_of_them(tmp_path: Path) -> None:
    essays = tmp_path / "essays"
    essays.mkdir()
    (essays / "Tea.TXT").write_text("On tea.")
    with zipfile.ZipFile(essays / "bees.docx", "w") as document:
        document.writestr("word/document.xml", "<w/>")
    with Library(tmp_path / "library.db") as library:
        for source, kinds in ((essays, ".docx, .txt"), (essays / "bees.docx", ".docx")):
            with pytest.raises(CollectError, match=rf"{kinds} files are not read\. Save them as Markdown"):
                run([str(source)], Collect(), library, Silent())
        (essays / "Tea.TXT").rename(essays / "Tea.md")
        assert run([str(essays)], Collect(), library, Silent()).posts_new == 1


def collected(top: Path, files: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Titles by address and reasons by address of a folder with these files."""
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    found = read(top)
    posts = {p.url.split("/", 1)[1]: p.title for p in found if isinstance(p, Post)}
    return posts, {r.where.split("/", 1)[1]: r.reason for r in found if isinstance(r, Rejected)}


def test_the_samples_of_jekyll_are_read_and_drafts_stay_out(test_data: Path) -> None:
    posts = [i for i in read(test_data / "exports" / "jekyll") if isinstance(i, Post)]
    refused = [(r.where, r.reason) for r in read(test_data / "exports" / "jekyll") if isinstance(r, Rejected)]
    assert refused == [("file:jekyll/2022-06-05-published-false.md", "draft")]
    assert len(posts) == 12
    by_title = {p.title: p for p in posts}
    assert by_title["This has no zero before month and day"].published_at == "2021-09-01"
    assert by_title["Basic HTML Post"].markdown == "First Paragraph\n\n- First\n- Second"
    assert by_title["This has front matter"].tags == ("dolor", "Simet-Amet")
    assert by_title["Unquoted Date"].author == "Mark Stosberg"
    assert "[luctus neque]" not in by_title["This is a Basic Post"].markdown


def test_a_jekyll_folder_gives_its_posts_and_no_parts_of_the_site(tmp_path: Path) -> None:
    posts, refused = collected(
        tmp_path / "blog",
        {
            "_posts/2020-01-02-tea.md": "---\ntitle: Tea\n---\nText {{ site.x }}of tea.\n",
            "_drafts/later.md": "Not yet.",
            "_includes/note.md": "A part.",
            "README.md": "# My blog",
            "index.html": "<html>{{ content }}</html>",
        },
    )
    assert posts == {"_posts/2020-01-02-tea.md": "Tea"}
    assert refused == {
        "_drafts/later.md": "draft",
        "_includes/note.md": "part of a site",
        "README.md": "project document",
    }


def test_a_hugo_folder_gives_its_bundles(tmp_path: Path) -> None:
    posts, refused = collected(
        tmp_path / "hugo",
        {
            "content/posts/_index.md": "---\ntitle: Posts\n---\n",
            "content/posts/bees/index.md": "+++\ndate = 2021-01-01\n+++\nBees.\n",
            "content/posts/rain.md": "+++\ntitle = 'Rain'\ndraft = true\n+++\nNot yet.\n",
            "content/posts/snow.md": '{"title": "Snow", "draft": true}\nNot yet, either.\n',
            "content/posts/hail.md": '{\n  "title": "Hail"\n}\n\nHail it is.\n',
            "content/posts/fog.md": '{ "a" or not } begins a text about braces.\n',
            "content/posts/mist.md": '{"title": "x"} begins another.\n',
            "archetypes/default.md": "---\ntitle: x\n---\ny\n",
        },
    )
    assert posts == {
        "content/posts/bees/index.md": "bees",
        "content/posts/fog.md": "fog",
        "content/posts/hail.md": "Hail",
        "content/posts/mist.md": "mist",
    }
    assert refused == {
        "content/posts/_index.md": "listing",
        "content/posts/rain.md": "draft",
        "content/posts/snow.md": "draft",
        "archetypes/default.md": "part of a site",
    }


def test_an_obsidian_vault_gives_its_notes_without_what_they_keep_to_themselves(tmp_path: Path) -> None:
    posts, refused = collected(
        tmp_path / "vault",
        {
            ".obsidian/app.md": "settings",
            "Tea.md": "About [[Bees|the bees]]. %%not for others%%",
            "diary/secret.md": "---\nprivate: true\n---\nMine alone.\n",
            "templates/note.md": "A form.",
        },
    )
    assert posts == {"Tea.md": "Tea"}
    assert refused == {"diary/secret.md": "private", "templates/note.md": "part of a site"}


def test_a_site_s_markdown_is_read_whatever_its_templates_and_its_build_are(tmp_path: Path) -> None:
    built = {f"public/{n}/index.html": f"<article><h1>{n}</h1><p>Text of {n}.</p></article>" for n in "abcd"}
    posts, _ = collected(
        tmp_path / "front", {"posts/tea.md": "---\ntitle: Tea\n---\nText of tea.\n", **built}
    )
    assert posts == {"posts/tea.md": "Tea"}
    theme = {f"themes/x/layouts/{n}.html": "{{ .Title }}" for n in "abcd"}
    posts, _ = collected(tmp_path / "theme", {"tea.md": "# Tea\n\nText of tea.\n", **theme})
    assert posts == {"tea.md": "Tea"}
    posts, _ = collected(
        tmp_path / "configured", {"mkdocs.yml": "", "docs/tea.md": "# Tea\n\nText of tea.\n", **built}
    )
    assert posts == {"docs/tea.md": "Tea"}


def test_a_saved_site_with_a_readme_is_one_of_html(tmp_path: Path) -> None:
    time = "<time datetime='2020-02-02'></time>"
    pages = {
        f"{n}.html": f"<article><h1>On {n}</h1>{time}<p>{n} it is, and so on.</p></article>" for n in "abc"
    }
    posts, _ = collected(tmp_path / "saved", {"README.md": "---\ntitle: x\n---\nSaved in 2020.", **pages})
    assert posts == {f"{n}.html": f"On {n}" for n in "abc"}


def test_posts_of_markdown_and_of_html_do_not_remove_each_other(tmp_path: Path) -> None:
    top = tmp_path / "blog"
    collected(top, {"tea.md": "# Tea\n\nText of tea.\n"})
    with Library(tmp_path / "library.db") as library:
        run([str(top)], Collect(), library, Silent())
        time = "<time datetime='2020-02-02'></time>"
        for n in "abc":
            (top / f"{n}.html").write_text(
                f"<article><h1>{n}</h1>{time}<p>Text of {n}, and so on.</p></article>"
            )
        saved = run([str(top)], Collect(), library, Silent())
        assert (saved.posts_new, saved.posts_removed) == (3, 0)
        (top / "tea.md").write_text("---\ntitle: Tea\n---\nText of tea.\n")
        again = run([str(top)], Collect(), library, Silent())
        assert (again.posts_unchanged, again.posts_removed) == (1, 0)


def test_an_address_that_two_files_name_is_that_of_the_first(tmp_path: Path) -> None:
    named = "---\ntitle: {0}\nurl: https://forge.example/tool{1}\n---\nText of {0}.\n"
    files = {"a.md": named.format("A", ""), "b.md": named.format("B", "/")}
    collected(tmp_path / "notes", files)
    with Library(tmp_path / "library.db") as library:
        first, second = (run([str(tmp_path / "notes")], Collect(), library, Silent()) for _ in range(2))
        assert (first.posts_new, second.posts_unchanged) == (2, 2)
        assert {p.url for p in library.posts()} == {"https://forge.example/tool", "file:notes/b.md"}


def test_texts_that_were_the_same_once_are_posts_of_their_own_when_they_differ(tmp_path: Path) -> None:
    top = tmp_path / "notes"
    collected(top, {f"{n}.md": "# Review\n\nTo be written.\n" for n in "abc"})
    with Library(tmp_path / "library.db") as library:
        assert run([str(top)], Collect(), library, Silent()).posts_new == 1
        collected(top, {f"{n}.md": f"# Review\n\nI did {n}.\n" for n in "abc"})
        dry = run([str(top)], Collect(), library, Silent(), dry_run=True)
        report = run([str(top)], Collect(), library, Silent())
        assert (dry.posts_new, dry.posts_changed) == (report.posts_new, report.posts_changed) == (2, 1)
        assert run([str(top)], Collect(), library, Silent()).posts_unchanged == 3
        assert [p.markdown for p in library.posts()] == ["I did a.", "I did b.", "I did c."]


def test_a_post_that_moved_keeps_its_history_beside_a_new_one_at_its_old_address(tmp_path: Path) -> None:
    top = tmp_path / "notes"
    collected(top, {"b.md": "# Tea\n\nFirst.\n"})
    with Library(tmp_path / "library.db") as library:
        run([str(top)], Collect(), library, Silent())
        (top / "b.md").rename(top / "a.md")
        collected(top, {"b.md": "# Bees\n\nOther.\n"})
        report = run([str(top)], Collect(), library, Silent())
        assert (report.posts_new, report.posts_unchanged, report.posts_removed) == (1, 1, 0)
        collected(top, {"a.md": "# Tea\n\nSecond.\n"})
        assert run([str(top)], Collect(), library, Silent()).posts_changed == 1
        texts = {p.title: [r.markdown for r in library.history(p.id)] for p in library.posts()}
        assert texts == {"Tea": ["First.", "Second."], "Bees": ["Other."]}


class Hearing(Silent):
    """Keeps what a person was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_a_typo_in_front_matter_removes_no_post_and_says_so(tmp_path: Path) -> None:
    top = tmp_path / "notes"
    collected(top, {f"{n}.md": f"---\ntitle: {n}\n---\nText of {n}.\n" for n in "ab"})
    with Library(tmp_path / "library.db") as library:
        run([str(top)], Collect(), library, Silent())
        (top / "a.md").write_text("---\ntitle: a: b\n---\nText of a.\n")
        report = run([str(top)], Collect(), library, heard := Hearing())
        assert (report.refused, report.posts_removed) == ({"broken front matter": 1}, 0)
        assert heard.lines == ["1 post not found here any more, and kept: a part of it could not be read."]
        assert len(library.posts()) == 2


def test_a_text_between_two_rules_is_no_front_matter(tmp_path: Path) -> None:
    top = tmp_path / "notes"
    ruled = "---\n\nOne, and\n\n---\n\nmore."
    collected(top, {"a.md": ruled, "b.md": "---\n---\nNothing said."})
    with Library(tmp_path / "library.db") as library:
        run([str(top)], Collect(), library, Silent())
        assert [p.markdown for p in library.posts()] == [ruled, "Nothing said."]


def test_halves_of_characters_and_names_that_are_no_utf8_do_no_harm(tmp_path: Path) -> None:
    top = tmp_path / "notes"
    collected(top, {"a.md": '---\ntitle: "\\ud83d\\ude80 Cut \\ud83d"\n---\nText.\n'})
    names = {b"caf\xe9.md": "Tea.", b"caf\xe8.md": "Rain.", b"caf\xea.md": "---\ndraft: true\n---\nNot yet."}
    for name, text in names.items():
        Path(os.fsdecode(os.fsencode(top) + b"/" + name)).write_text(text)
    with Library(tmp_path / "library.db") as library:
        report = run([str(top)], Collect(), library, Silent())
        assert {p.title for p in library.posts()} == {"\U0001f680 Cut \ufffd", "caf\ufffd"}
        assert {p.markdown for p in library.posts()} == {"Text.", "Tea.", "Rain."}
    assert report.taken == ("file:notes/a.md", "file:notes/caf\\udce8.md", "file:notes/caf\\udce9.md")
    assert [r.where for r in report.refusals] == ["file:notes/caf\\udcea.md"]


def test_what_front_matter_holds_beyond_words_does_no_harm(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\ntags: [*c, tea]\n"
    posts, refused = collected(
        tmp_path / "odd",
        {
            "bomb.md": f"---\n{bomb}---\nText.\n",
            "deep.md": "---\ntitle: " + "[" * 5000 + "\n---\nText.\n",
            "list.md": "---\ntitle: [a, b]\ndate: yesterday\n---\nText.\n",
        },
    )
    assert posts == {"bomb.md": "bomb", "list.md": "list"}
    assert refused == {"deep.md": "broken front matter"}


def test_the_modules_of_mdx_do_not_hide_its_title(tmp_path: Path) -> None:
    posts, _ = collected(
        tmp_path / "mdx", {"a.mdx": "---\ntags: x\n---\nimport A from 'a'\n\n# Tea\n\nText.\n"}
    )
    assert posts == {"a.mdx": "Tea"}


def test_a_repository_as_a_zip_file_is_the_same_as_its_clone(tmp_path: Path) -> None:
    top = tmp_path / "essays-main"
    posts, refused = collected(top, {"2020/tea.md": "# Tea\n\nText.", "LICENSE.md": "Free."})
    assert (posts, refused) == ({"2020/tea.md": "Tea"}, {"LICENSE.md": "project document"})
    with zipfile.ZipFile(tmp_path / "essays-main.zip", "w") as target:
        for file in top.rglob("*.md"):
            target.write(file, f"essays-main/{file.relative_to(top)}")
    assert read(tmp_path / "essays-main.zip") == read(top)


def test_front_matter_that_writes_out_to_gigabytes_does_no_harm(tmp_path: Path) -> None:
    """Aliases of aliases, as lists and as merged mappings, where words are expected."""
    kinds = {"list": ("[{}]", "{}"), "merge": ("{{{}}}", "<<: [{}]")}
    for kind, (whole, parts) in kinds.items():
        lines = ["a0: &a0 " + whole.format("x: 1" if kind == "merge" else "x")]
        for n in range(1, 9):
            lines.append(f"a{n}: &a{n} " + whole.format(parts.format(", ".join([f"*a{n - 1}"] * 9))))
        for key in ("title", "url", "date", "status", "author"):
            text = "\n".join([*lines, f"{key}: *a8", "tags: [tea, *a8, 1.5]"])
            (tmp_path / f"{kind}-{key}.md").write_text(f"---\n{text}\n---\nText.\n")
    started = time.perf_counter()
    posts = [p for p in read(tmp_path) if isinstance(p, Post)]
    assert time.perf_counter() - started < 5
    assert len(posts) == 10
    assert {p.tags for p in posts} == {("tea", "1.5")}


@pytest.mark.parametrize("key", ["title", "url", "date", "status", "author", "tags"])
@pytest.mark.parametrize("value", ["0x" + "f" * 6000, "[0x" + "f" * 6000 + "]", "true", ".nan"])
def test_an_odd_number_in_front_matter_ends_no_collection(tmp_path: Path, key: str, value: str) -> None:
    (tmp_path / "odd.md").write_text(f"---\n{key}: {value}\n---\nText.\n")
    (tmp_path / "tea.md").write_text("Tea.\n")
    assert [p.markdown for p in read(tmp_path) if isinstance(p, Post)] == ["Text.", "Tea."]


def test_front_matter_longer_than_a_post_is_broken(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("---\nrows:\n" + "- 1\n" * 30_000 + "---\nText.\n")
    (rejected,) = read(tmp_path)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "broken front matter"


@pytest.mark.parametrize(
    ("body", "title"), [("# C # \n\nText.", "C"), ("# " + "a" + " " * 20_000 + "b\nText.", None)]
)
def test_a_heading_is_a_title_without_its_closing_marks(tmp_path: Path, body: str, title: str | None) -> None:
    (tmp_path / "tea.md").write_text(body)
    (post,) = read(tmp_path)
    assert isinstance(post, Post)
    assert post.markdown == "Text."
    assert post.title == (title or body.split("\n")[0][2:])


@pytest.mark.parametrize(
    "date", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-05:00", "0001-01-01"]
)
def test_a_date_that_no_post_can_have_is_none(tmp_path: Path, date: str) -> None:
    (tmp_path / "tea.md").write_text(f"---\ndate: {date}\n---\nTea.\n")
    (tmp_path / "2020-01-02-rain.md").write_text(f"+++\ndate = {date}\n+++\nRain.\n")
    posts = {p.markdown: p.published_at for p in read(tmp_path) if isinstance(p, Post)}
    assert posts == {"Tea.": None, "Rain.": "2020-01-02"}


def test_a_date_before_the_web_is_one_that_its_author_set(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text("---\ndate: 1975-05-01\n---\nTea.\n")
    (tmp_path / "rain.md").write_text("+++\ndate = 1905-01-02T10:00:00Z\n+++\nRain.\n")
    posts = {p.markdown: p.published_at for p in read(tmp_path) if isinstance(p, Post)}
    assert posts == {"Tea.": "1975-05-01", "Rain.": "1905-01-02T10:00:00+00:00"}


PELICAN = (
    "Title: My super: title\nDate: 2010-12-03 10:20\nTags: machine learning,\n    pelican\nAuthors: Ann, Bo\n"
)
HEXO = 'title: "Hello: World"\ndate: 2013-01-02 10:00:00\ntags:\n- tea\n- bees\n---\nText.\n'


def test_headers_without_a_rule_before_them_are_front_matter(tmp_path: Path) -> None:
    files = {
        "a.md": f"{PELICAN}\nText.\n",
        "b.md": HEXO,
        "c.md": "---\nTitle: Three\nDate: 2020-01-02\n---\nText.",
    }
    collected(tmp_path / "pelican", files)
    posts = [p for p in read(tmp_path / "pelican") if isinstance(p, Post)]
    assert [(p.title, p.published_at, p.tags, p.author, p.markdown) for p in posts] == [
        ("My super: title", "2010-12-03T10:20:00", ("machine learning", "pelican"), "Ann, Bo", "Text."),
        ("Hello: World", "2013-01-02T10:00:00", ("tea", "bees"), None, "Text."),
        ("Three", "2020-01-02", (), None, "Text."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Note: this is a text.\n\nSo it is.",
        "Title: of a text\nthat goes on.",
        "date:2020\n\nText.",
        "Date: the fruit, not the day.\n\nText.",
        "Title: what a word\nDate: what another\n\nText.",
        "Title: The Hobbit\nAuthor: J. R. R. Tolkien\nRating: 5/5\n\nI liked it.",
        "Title: The Hobbit\nAuthor: J. R. R. Tolkien\nPublished: 1937\n\nI liked it.",
        "From: Bram\nSubject: the hat\nDate: Mon, 4 May 2020 10:00:00 +0000\n\nKeeper.",
        "From: Bram\nDate: Mon, 4 May 2020 10:00:00 +0000\nStatus: RO\n\nKeeper.",
        "Private: keep out.\n\nText.",
        "Status: all is well.\n\nText.",
    ],
)
def test_a_text_that_begins_as_a_header_stays_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / "tea.md").write_text(text)
    (post,) = read(tmp_path)
    assert isinstance(post, Post)
    head, *rest = text.split("\n\n")
    assert (post.title, post.author, post.markdown) == (
        "tea",
        None,
        "\n\n".join([head.replace("\n", " "), *rest]),
    )


def test_a_header_may_have_names_of_its_author_s_own(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text("Title: Tea\nCover: tea.png\nStatus: draft\n\nText.")
    (tmp_path / "rain.md").write_text(
        "Title: Rain\nDate: 12/03/2010\nCover: x.png\nCategory: weather\n\nText."
    )
    post, draft = sorted(read(tmp_path), key=lambda found: isinstance(found, Rejected))
    assert isinstance(post, Post)
    assert isinstance(draft, Rejected)
    assert (post.title, post.markdown, draft.reason) == ("Rain", "Text.", "draft")


@pytest.mark.parametrize(
    "header",
    [
        "Title: My tea\nAuthor: Ann\nSummary: Of tea.\n",  # Pelican takes the date from the name of the file
        "Title: My tea\nTag: tea\n",
        "Title: My tea\nDate: 12/03/2010\n",
        "Title: My tea\nDate: 3.5.20\n",
        "Title: My tea\nDate: 1975-05-01\n",
        "Title: My tea\nDraft: false\n",
        "Title: My tea\nCover: tea.png\n---\n",
    ],
)
def test_a_header_of_a_title_and_little_else_is_one(tmp_path: Path, header: str) -> None:
    (tmp_path / "2010-12-03_tea.md").write_text(f"{header}\nText.")
    (post,) = read(tmp_path)
    assert isinstance(post, Post)
    assert (post.title, post.markdown) == ("My tea", "Text.")


@pytest.mark.parametrize("header", ["Date: 2020-01-01\n", "Date: one day\n", "From: Ann\nSubject: Tea\n", ""])
@pytest.mark.parametrize("said", ["Draft: true", "Status: draft", "Private: true", "Publishdate: 2099-01-01"])
@pytest.mark.parametrize("end", ["\n", "---\n"])
def test_what_is_withheld_needs_no_title(tmp_path: Path, header: str, said: str, end: str) -> None:
    (tmp_path / "tea.md").write_text(f"{header}{said}\n{end}Text.")
    (found,) = read(tmp_path)
    assert isinstance(found, Rejected)


def test_the_head_of_a_mail_is_no_header_though_a_rule_ends_it(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text("From: Bram\nDate: Mon, 4 May 2020 10:00:00 +0000\n---\nKeeper.")
    (post,) = read(tmp_path)
    assert isinstance(post, Post)
    assert "Bram" in post.markdown


def test_a_header_of_any_length_is_read_in_good_time(tmp_path: Path) -> None:
    for n, line in enumerate(("a: b\n", "a: b\n c\n", "a:\n- b\n", "a: \r")):
        (tmp_path / f"{n}.md").write_text("title: x\ntags: y\n" + line * 100_000)
        (tmp_path / f"{n}-ruled.md").write_text("title: x\ntags: y\n" + line * 100_000 + "---\nText.")
    started = time.perf_counter()
    assert len(read(tmp_path)) == 8
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("draft: 'true'", "draft"),
        ("published: 'False'", "draft"),
        ("status: Draft", "draft"),
        ("status: pending", "draft"),
        ("private: true", "private"),
        ("status: private", "private"),
        ("Status: hidden", "private"),
        ("visibility: Private", "private"),
        ("publish: 'false'", "private"),
        ("status: scheduled", "scheduled"),
        ("date: 2099-01-01", "scheduled"),
        ("publishDate: 2099-01-01T10:00:00Z", "scheduled"),
        ("pubdate: 2099-01-01", "scheduled"),
        ("date: 2020-01-01\nstatus: published", None),
        ("visibility: public\npublish: true\ndraft: false", None),
    ],
)
@pytest.mark.parametrize(
    "form", ["---\ntitle: Tea\n{}\n---\nText.", "Title: Tea\n{}\n\nText.", "Title: Tea\n{}\n---\nText."]
)
def test_what_is_withheld_or_scheduled_stays_out(
    tmp_path: Path, form: str, said: str, reason: str | None
) -> None:
    (tmp_path / "tea.md").write_text(form.format(said if form[0] == "-" else said.replace("'", "")))
    (found,) = read(tmp_path)
    assert (found.reason if isinstance(found, Rejected) else None) == reason


def test_all_authors_of_a_post_are_named(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text("---\nauthors: [Ann, {name: Bo}, Ann, 5]\n---\nText.")
    (post,) = read(tmp_path)
    assert isinstance(post, Post)
    assert post.author == "Ann, Bo"
