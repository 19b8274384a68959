from __future__ import annotations

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
        export = exports.read(archive)
        return list(export.items) if export else []


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
    (tmp_path / "x.docx").write_bytes(b"PK")
    with Library(tmp_path / "library.db") as library:
        for source in (str(tmp_path / "nothing"), str(tmp_path / "x.docx"), "example.org"):
            with pytest.raises(CollectError, match=r"Give the address of a site.*or one such file"):
                run([source], Collect(), library, Silent())
        with pytest.raises(CollectError, match="No source"):
            run([], Collect(), library, Silent())
        (tmp_path / "void").mkdir()
        with pytest.raises(NothingFound, match="No post was found"):
            run([str(tmp_path / "void")], Collect(), library, Silent())
