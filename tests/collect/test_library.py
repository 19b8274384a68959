from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llm_twin.collect import Library
from llm_twin.collect.urls import canonical
from llm_twin.contracts.records import Post
from llm_twin.errors import CollectError, WorkspaceError


def post(
    path: str = "a", text: str = "Some words.", date: str | None = "2020-01-01", title: str = "A"
) -> Post:
    url = f"https://example.org/{path}"
    return Post(
        id=Post.id_of(canonical(url)),
        url=url,
        title=title,
        published_at=date,
        markdown=text,
        revision=Post.revision_of(title, text),
        author="Ann",
        tags=("tea", "größe"),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twin" / "library.db"


def test_opening_and_reading_make_no_file(path: Path) -> None:
    with Library(path) as library:
        assert library.posts() == []
        assert library.history("x") == []
        assert library.counts().posts == 0
        assert not library.mark_removed("x")
        assert library.compare(post()) == "new"
    assert not path.parent.exists()


def test_a_post_comes_back_as_it_was_stored_after_reopening(path: Path) -> None:
    with Library(path) as library:
        assert library.upsert(post()) == "new"
    with Library(path) as library:
        assert library.posts() == [post()]


def test_the_same_text_is_unchanged_and_another_is_a_revision(path: Path) -> None:
    days = iter(["2024-01-01", "2024-01-01", "2024-02-02", "2024-02-02"])
    with Library(path, now=lambda: next(days)) as library:
        library.upsert(post())
        assert library.upsert(post()) == "unchanged"
        assert library.upsert(post(text="Other words.")) == "changed"
        assert library.posts()[0].markdown == "Other words."
        history = library.history(post().id)
    assert [(r.markdown, r.seen_at) for r in history] == [
        ("Some words.", "2024-01-01"),
        ("Other words.", "2024-02-02"),
    ]


def test_posts_come_oldest_first_whatever_their_offset(path: Path) -> None:
    late = "2020-01-01T23:00:00-05:00"  # the second of January in UTC
    with Library(path) as library:
        for name, date in {"c": late, "b": "2020-01-02T03:00:00+00:00", "a": "2020-01-01", "z": None}.items():
            library.upsert(post(name, date=date, text=name))
        assert [p.markdown for p in library.posts()] == ["z", "a", "b", "c"]


def test_a_post_is_found_by_url_id_and_start_of_id(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a"))
        library.upsert(post("b", text="b"))
        wanted = post("a")
        for key in (wanted.id, wanted.id[:6], wanted.url, "http://www.example.org/a/?utm_source=x"):
            assert library.get(key) == wanted
        with pytest.raises(CollectError, match=r"No post in library\.db for 'nothing'"):
            library.get("nothing")
        many = [post(str(n)).id for n in range(17)]
        for n in range(17):
            library.upsert(post(str(n), text=str(n)))
        shared = next(i[0] for i in many if sum(other[0] == i[0] for other in many) > 1)
        with pytest.raises(CollectError, match=r"\d+ posts in library.db for"):
            library.get(shared)


def test_a_removed_post_leaves_the_list_and_keeps_its_history(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post())
        assert library.mark_removed(post().id)
        assert not library.mark_removed(post().id)
        assert library.posts() == []
        assert library.urls() == []
        assert library.posts(include_removed=True) == [post()]
        assert len(library.history(post().id)) == 1
        assert (library.counts().posts, library.counts().removed) == (0, 1)
        assert library.upsert(post()) == "changed", "it is back"
        assert library.posts() == [post()]
        assert len(library.history(post().id)) == 1


def test_a_second_connection_reads_while_the_first_is_open(path: Path) -> None:
    with Library(path) as writer, Library(path) as reader:
        writer.upsert(post("a"))
        assert len(reader.posts()) == 1
        writer.upsert(post("b", text="b"))
        assert len(reader.posts()) == 2


def test_a_killed_writer_leaves_every_post_that_it_had_stored(path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from llm_twin.collect import Library
from llm_twin.contracts.records import Post
library = Library(Path({str(path)!r}))
for n in range(5):
    text = f"words {{n}}"
    library.upsert(Post(id=f"{{n:012d}}", url=f"https://a.org/{{n}}", title="t", published_at=None,
                        markdown=text, revision=Post.revision_of("t", text)))
db = library._open()
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE posts SET title = 'half-made'")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    with Library(path) as library:
        assert [p.title for p in library.posts()] == ["t"] * 5
        assert library.upsert(post()) == "new"


def test_what_is_no_library_is_one_clear_error(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is no database, and long enough to be read as one" * 20)
    with Library(path) as library, pytest.raises(WorkspaceError, match="cannot be read as a library"):
        library.posts()


def test_a_newer_library_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with Library(path) as library, pytest.raises(WorkspaceError, match="newer llm-twin"):
        library.posts()


def test_a_text_at_a_new_address_is_the_post_it_was_and_keeps_its_history(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("old", text="First words."))
        library.upsert(post("old"))
        assert library.compare(post("new")) == "unchanged"
        assert library.upsert(post("new")) == "unchanged"
        (kept,) = library.posts()
        assert (kept.id, kept.url) == (post("old").id, "https://example.org/new")
        assert library.upsert(post("new", text="Third words.")) == "changed"
        assert [r.markdown for r in library.history(kept.id)] == [
            "First words.",
            "Some words.",
            "Third words.",
        ]
        assert (
            library.get("https://example.org/new").id == library.get("https://example.org/old").id == kept.id
        )


def test_two_notes_may_say_the_same(path: Path) -> None:
    with Library(path) as library:
        for name in ("a", "b"):
            library.upsert(post(name).model_copy(update={"kind": "note"}))
        assert len(library.posts()) == 2


def test_a_moved_post_is_found_under_both_addresses(path: Path) -> None:
    old, new = post("old"), post("new", text="Edited while it moved.")
    with Library(path) as library:
        library.upsert(old)
        library.move(old.id, new.id)
        assert library.upsert(new) == "changed"
        (kept,) = library.posts()
        assert (kept.id, kept.url, kept.markdown) == (old.id, new.url, new.markdown)
        assert len(library.history(library.identity(new.id))) == 2


def test_a_post_that_moves_again_and_back_is_still_the_same(path: Path) -> None:
    a, b, c = (post(name, text=f"At {name}.") for name in ("a", "b", "c"))
    with Library(path) as library:
        library.upsert(a)
        for old, new in ((a, b), (b, c), (c, a)):
            library.move(old.id, new.id)
            assert library.upsert(new) == "changed"
        assert library.posts() == [a]
        assert len(library.history(a.id)) == 4


def test_addresses_that_part_leave_what_is_stored_to_one_of_them(path: Path) -> None:
    with Library(path) as library:
        for name in ("a", "b", "c"):
            library.upsert(post(name))
        library.part(post("b").id, post("a").id)
        assert library.identity(post("c").id) == post("b").id
        assert library.upsert(post("a", text="Its own.")) == "new"
        library.part(post("b").id, post("c").id)
        assert library.upsert(post("c", text="Own, too.")) == "new"
        assert {p.id: p.markdown for p in library.posts()} == {
            post("a").id: "Its own.",
            post("b").id: "Some words.",
            post("c").id: "Own, too.",
        }


def test_a_post_that_stands_is_found_by_an_alias_too(path: Path) -> None:
    with Library(path) as library:
        assert library.standing(post().id) is None
        library.upsert(post("a"))
        library.upsert(post("b"))
        assert library.standing(post("a").id) == library.standing(post("b").id) == library.posts()[0]
        library.mark_removed(post("a").id)
        assert library.standing(post("b").id) is None


def test_a_post_that_moved_to_a_known_one_is_removed(path: Path) -> None:
    old, new = post("old"), post("new", text="Was stored before.")
    with Library(path) as library:
        library.upsert(old)
        library.upsert(new)
        library.move(old.id, new.id)
        assert library.posts() == [new]


def test_a_post_is_removed_when_it_is_missed_twice_in_a_row(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post())
        assert not library.miss(post().id)
        library.upsert(post())
        assert not library.miss(post().id), "it was found in between"
        assert library.posts()
        assert library.miss(post().id)
        assert library.posts() == []
        assert not library.miss(post().id), "it is removed already"


def test_posts_are_known_by_their_source(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a"), "mastodon:ann")
        library.upsert(post("b", text="b"), "site:example.org")
        assert library.ids("mastodon:ann") == {post("a").id}
        library.mark_removed(post("a").id)
        assert library.ids("mastodon:ann") == set()


def test_a_library_of_the_first_schema_is_brought_up(path: Path) -> None:
    path.parent.mkdir()
    db = sqlite3.connect(path)
    db.executescript(
        """
        CREATE TABLE posts (id TEXT PRIMARY KEY, url TEXT NOT NULL, title TEXT NOT NULL, published_at TEXT,
            revision TEXT NOT NULL, kind TEXT NOT NULL, author TEXT, tags TEXT NOT NULL,
            first_seen TEXT NOT NULL, removed_at TEXT);
        CREATE TABLE revisions (post_id TEXT NOT NULL REFERENCES posts(id), number INTEGER NOT NULL,
            revision TEXT NOT NULL, title TEXT NOT NULL, markdown TEXT NOT NULL, seen_at TEXT NOT NULL,
            PRIMARY KEY (post_id, number));
        PRAGMA user_version=1;
        """
    )
    old = post()
    fields = (old.id, old.url, old.title, old.published_at, old.revision, "post", "Ann", '["tea", "größe"]')
    db.execute("INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?, '2024-01-01', NULL)", fields)
    db.execute(
        "INSERT INTO revisions VALUES (?, 1, ?, 'A', ?, '2024-01-01')", (old.id, old.revision, old.markdown)
    )
    db.commit()
    db.close()
    with Library(path) as library:
        assert library.posts() == [old]
        assert library.upsert(old, "site:example.org") == "unchanged"
        assert library.ids("site:example.org") == {old.id}


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_library_that_may_not_be_written_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    with Library(path) as library:
        library.upsert(post("a"))
        library.upsert(post("b", text="b"))
        library.forget(post("b").id)
    with closing(sqlite3.connect(path)) as db:
        for table in ("parts",) * (version < 4) + ("forgotten",) * (version < 3):
            db.execute(f"DROP TABLE {table}")
        db.execute(f"PRAGMA user_version={version}")
    connect = sqlite3.connect
    source = f"{path.as_uri()}?mode=ro"
    monkeypatch.setattr(sqlite3, "connect", lambda _, **how: connect(source, uri=True, **how))
    with Library(path) as library:
        if version < 3:
            with pytest.raises(WorkspaceError, match=r"readonly database\). Make it and its folder writable"):
                library.posts()
            return
        assert library.posts() == [post("a")]
        assert library.get(post("a").id) == post("a")
        assert library.same(post("a").id) == (post("a").id,)
        assert library.compare(post("b", text="b")) == "forgotten"
        with pytest.raises(WorkspaceError, match="attempt to write a readonly database"):
            library.upsert(post("c"))


def test_the_first_and_last_day_of_all_years_are_no_reason_to_fail(path: Path) -> None:
    """Older versions have stored such dates."""
    dates = ["0001-01-01T00:00:00+02:00", "2020-01-01", "9999-12-31T23:59:59-05:00"]
    with Library(path) as library:
        for n, date in enumerate(dates):
            library.upsert(post(str(n), text=str(n), date=date))
        assert [p.published_at for p in library.posts()] == dates
