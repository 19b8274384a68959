"""Every reader knows its own exports, and leaves those of the others alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_twin.collect import exports
from llm_twin.collect.exports import Reader, ghost, mailbox, medium, substack, wordpress
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Rejected
from llm_twin.contracts.records import Post

READERS: Mapping[str, Reader] = {
    "medium": medium.read,
    "substack": substack.read,
    "wordpress": wordpress.read,
    "ghost": ghost.read,
    "mailbox": mailbox.read,
}
FILES = {
    "medium": {
        "posts/a.html": '<article class="h-entry"><h1 class="p-name">A</h1>'
        '<section data-field="body" class="e-content"><p>Text.</p></section>'
        '<a class="p-canonical" href="https://medium.com/@ann/a-1">x</a></article>',
        "README.html": "<p>About this archive</p>",
    },
    "substack": {
        "posts.csv": "post_id,post_date,is_published,title\n1.a,2022-01-02T03:04:05Z,true,A\n",
        "posts/1.a.html": "<p>Text.</p>",
    },
    "wordpress": {
        "blog.xml": '<rss xmlns:wp="http://wordpress.org/export/1.2/" xmlns:content="x"><channel><item>'
        "<wp:post_type>post</wp:post_type><wp:status>publish</wp:status><wp:post_id>1</wp:post_id>"
        "<content:encoded>Text.</content:encoded></item></channel></rss>"
    },
    "ghost": {
        "blog.json": '{"data": {"posts": [{"slug": "a", "html": "<p>Text.</p>", "status": "published"}]}}',
    },
    "mailbox": {
        "a.eml": "From: Ann <a@letter.example>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nList-Id: <x>\n\nText.\n"
    },
    "nothing": {
        "notes.md": "# Tea\n\nText.\n",
        "data.json": "{}",
        "page.html": "<p>x</p>",
        "Inbox": "",
        "a.csv": "x\n",
    },
}


@pytest.mark.parametrize("form", ["folder", "inner folder", "zip", "zip with a folder"])
@pytest.mark.parametrize("kind", FILES)
def test_an_export_is_known_to_its_own_reader_alone(tmp_path: Path, kind: str, form: str) -> None:
    path = tmp_path / "export"
    inner = "my export/" if "a folder" in form or "inner" in form else ""
    if "zip" in form:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in FILES[kind].items():
                packed.writestr(inner + name, content)
    else:
        for name, content in FILES[kind].items():
            file = path / (inner + name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    with Archive(path) as archive:
        found = {name: export for name, read in READERS.items() if (export := read(archive))}
        assert set(found) == {kind} - {"nothing"}
        for export in found.values():
            assert [getattr(i, "markdown", i) for i in export.items] == ["Text."]


@pytest.mark.parametrize("kind", ["medium", "substack", "wordpress", "jekyll"])
def test_the_samples_are_known_to_their_own_reader_alone(test_data: Path, kind: str) -> None:
    with Archive(test_data / "exports" / kind) as archive:
        assert {name for name, read in READERS.items() if read(archive)} == {kind} - {"jekyll"}


@pytest.mark.parametrize("kind", ["mastodon", "twitter", "linkedin"])
def test_exports_of_networks_are_left_alone(test_data: Path, kind: str) -> None:
    with Archive(test_data / "export-social-synthetic" / kind) as archive:
        assert not [name for name, read in READERS.items() if read(archive)]


def found(top: Path, files: Mapping[str, str]) -> tuple[list[str], list[Rejected]]:
    """The texts that a folder's exports give, and what lies beside them."""
    for name, content in files.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    with Archive(top) as archive:
        read, beside = exports.read(archive)
        return [i.markdown for e in read for i in e.items if isinstance(i, Post)], beside


@pytest.mark.parametrize("kind", ["mailbox", "wordpress", "ghost", "medium", "substack"])
def test_notes_beside_an_export_are_read_as_well(tmp_path: Path, kind: str) -> None:
    notes = {f"notes/{n}.md": f"---\ntitle: {n}\n---\nNote {n}." for n in "ab"}
    assert found(tmp_path, notes | FILES[kind]) == (["Text.", "Note a.", "Note b."], [])


def test_all_kinds_of_exports_in_one_folder_are_read(tmp_path: Path) -> None:
    files = FILES["wordpress"] | FILES["ghost"] | FILES["mailbox"]
    assert found(tmp_path, files) == (["Text."] * 3, [])


def test_pages_beside_an_export_are_named(tmp_path: Path) -> None:
    time = "<time datetime='2020-02-02'></time>"
    page = f"<article><h1>On tea</h1>{time}<p>Tea it is, and so on.</p></article>"
    saved = {f"saved/{n}.html": page.replace("tea", n) for n in ("tea", "rain")}
    assert found(tmp_path, FILES["wordpress"] | saved | {"README.md": "# Saved\n"}) == (
        ["Text."],
        [
            Rejected(n, "another kind: collect it by itself")
            for n in ("README.md", "saved/rain.html", "saved/tea.html")
        ],
    )
    assert found(tmp_path / "alone", FILES["medium"])[1] == [], "its own pages are no other kind"
