"""Saved pages and built sites on disk are read as the same pages of a crawl would be."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import pytest

from llm_twin.collect import Library, exports, run
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Rejected
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Post
from llm_twin.errors import NothingFound
from llm_twin.sample.serve import serving
from llm_twin.sample.site import render

TIME = "<time datetime='2020-02-02'>2 February 2020</time>"


def read(path: Path) -> list[Post | Rejected]:
    with Archive(path) as archive:
        found, _ = exports.read(archive)
        return [item for export in found for item in export.items]


def page(name: str, head: str = "") -> str:
    body = f"<p>It's about {name} — and I'd say so.</p><p>There's more of {name} in a second paragraph.</p>"
    return (
        f"<html><head><title>On {name}</title>{head}</head><body><nav>Home</nav>"
        f"<article><h1>On {name}</h1>{TIME}<div class='b'>{body}</div></article></body></html>"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "saved"
    for name in ("tea", "bees", "oars", "rain"):
        (top / name).mkdir(parents=True)
        (top / name / "index.html").write_text(page(name))
    (top / "index.html").write_text("<a href='tea/'>tea</a>")
    (top / "about.html").write_text(page("me"))
    return top


def test_a_folder_of_pages_gives_its_posts_and_says_what_is_none(folder: Path) -> None:
    found = read(folder)
    posts = [i for i in found if isinstance(i, Post)]
    assert [(p.url, p.title, p.published_at) for p in posts] == [
        (f"file:saved/{name}/index.html", f"On {name}", "2020-02-02")
        for name in ("bees", "oars", "rain", "tea")
    ]
    assert posts[0].markdown == (
        "It's about bees — and I'd say so.\n\nThere's more of bees in a second paragraph."
    )
    assert sorted((r.where, r.reason) for r in found if isinstance(r, Rejected)) == [
        ("file:saved/about.html", "standing page"),
        ("file:saved/index.html", "front page"),
    ]


def test_a_page_alone_is_a_post_because_it_was_given(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "about.html"
    alone.write_text(page("me").replace(TIME, ""))
    (post,) = read(alone)
    assert isinstance(post, Post)
    assert (post.title, post.published_at) == ("On me", None)


def test_a_folder_without_posts_says_what_helps(folder: Path, tmp_path: Path) -> None:
    written, notes = tmp_path / "written", tmp_path / "notes"
    written.mkdir()
    notes.mkdir()
    for name in ("tea", "bees", "oars"):
        (written / f"{name}.html").write_text(page(name).replace(TIME, ""))
    (notes / "rain.md").write_text("---\ndraft: true\n---\nOn rain.")
    (folder / "undated.html").write_text(page("ink").replace(TIME, ""))
    with Library(tmp_path / "library.db") as library:
        with pytest.raises(NothingFound, match=r"\(refused: no date 3\)\. Name the pages one by one, or "):
            run([str(written)], Collect(), library, Silent())
        assert run([str(p) for p in written.iterdir()], Collect(), library, Silent()).posts_new == 3
        with pytest.raises(NothingFound, match=r"notes \(refused: draft 1\)\. Give a folder"):
            run([str(folder), str(notes)], Collect(), library, Silent())


def test_pages_that_name_their_site_get_the_identity_of_a_crawl(folder: Path) -> None:
    for name in ("tea", "bees"):
        head = f"<link rel='canonical' href='https://ann.example/{name}/'>"
        (folder / name / "index.html").write_text(page(name, head))
    assert {p.url for p in read(folder) if isinstance(p, Post)} == {
        f"https://ann.example/{name}/" for name in ("tea", "bees", "oars", "rain")
    }


def test_a_site_on_disk_and_its_crawl_are_the_same_posts(tmp_path: Path) -> None:
    site = tmp_path / "site"
    with serving(site) as base, Library(tmp_path / "library.db") as library:
        render(site, base)
        crawled = run([base], Collect(allow_private=True), library, Silent())
        shutil.make_archive(str(tmp_path / "site"), "zip", site)
        for source in (site, tmp_path / "site.zip"):
            again = run([str(source)], Collect(), library, Silent())
            assert (again.posts_new, again.posts_changed, again.posts_removed) == (0, 0, 0)
            assert again.posts_unchanged == crawled.posts_new >= 48


def test_a_file_whose_name_is_no_utf8_is_read(folder: Path, tmp_path: Path) -> None:
    (folder / "bees").rename(folder / os.fsdecode(b"caf\xe9"))
    with Library(tmp_path / "library.db") as library:
        report = run([str(folder)], Collect(), library, Silent())
    assert report.posts_new == 4
    assert "file:saved/caf%E9/index.html" in report.taken


def test_what_cannot_be_read_is_counted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "binary.html").write_bytes(b"\x00\x01" * 100)
    (folder / "long.html").write_bytes(b"<p>" + b"x" * 11_000_000)
    reasons = {r.where.split("/")[-1]: r.reason for r in read(folder) if isinstance(r, Rejected)}
    assert reasons["binary.html"] == "empty page"
    assert reasons["long.html"] == "too large"
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as target:
        target.writestr("picture.png", b"\x89PNG")
    assert read(tmp_path / "x.zip") == []
