from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llm_twin.collect import Library
from llm_twin.collect.exports.short import Short, threads
from llm_twin.contracts.records import Post
from llm_twin.errors import CollectError, WorkspaceError
from tests.collect.test_library import post

WORDS = "Nobody else ever called the sluice a stubborn old aunt."


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "library.db"


def thread(*numbers: int) -> Post:
    """A thread of notes that go on from each other, in which the first was left."""
    (joined,) = threads(
        Short(str(n), str(n - 1), str(n), f"https://x.com/i/status/{n}", None, "note", f"Text {n}.".strip)
        for n in numbers
    )
    assert isinstance(joined, Post)
    return joined


def files(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.glob("library.db*"))


def test_a_forgotten_post_is_refused_and_not_listed(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a", text=WORDS), "site:example.org")
        library.upsert(post("b", text="b"))
        assert library.forget(post("a").id) == (post("a").id,)
        assert library.posts() == [post("b", text="b")]
        assert library.ids("site:example.org") == set()
        assert library.compare(post("a", text="Other words.")) == "forgotten"
        assert library.upsert(post("a", text="Other words.")) == "forgotten"
        assert library.forgotten() == {post("a").id}
        assert library.get("https://example.org/a").markdown == WORDS, "its words stay until they are erased"


def test_its_text_is_refused_under_another_address_unless_it_is_a_note(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a", text="As it was at first."))
        library.upsert(post("a", text=WORDS))
        library.upsert(post("note", text="Rain.").model_copy(update={"kind": "note"}))
        library.forget(post("a").id)
        library.forget(post("note").id)
        for text in (WORDS, "As it was at first."):
            assert library.upsert(post("elsewhere", text=text)) == "forgotten"
        assert library.upsert(post("other", text="Rain.").model_copy(update={"kind": "note"})) == "new"
        assert [p.markdown for p in library.posts()] == ["Rain."]


def test_every_address_that_it_ever_had_is_refused(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("old", text=WORDS))
        library.move(post("old").id, post("new").id)
        library.upsert(post("new", text=WORDS))
        library.forget(post("old").id)
        library.erase()
        for name in ("old", "new"):
            assert library.upsert(post(name, text="Something else.")) == "forgotten"
            assert library.forgotten_id(f"https://example.org/{name}") == post("old").id


def test_a_removed_copy_of_its_text_goes_too(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("old", text=WORDS))
        library.upsert(post("new", text="Was stored before."))
        library.move(post("old").id, post("new").id)
        library.upsert(post("new", text=WORDS))  # now both rows hold it
        both = tuple(sorted((post("old").id, post("new").id)))
        assert library.same(post("new").id) == both
        assert library.forget(post("new").id) == both
        library.erase()
        assert library.posts(include_removed=True) == []


def test_no_byte_of_it_is_left_in_the_file(path: Path) -> None:
    with Library(path) as library:
        library._open().execute("PRAGMA secure_delete = OFF")  # as some builds of SQLite come
        for n in range(40):  # rows that are rewritten leave their old words in free space
            library.upsert(post("stubborn-aunt", text=f"{n}", title=f"The stubborn aunt, {n * 'x'}"))
        library.upsert(post("stubborn-aunt", text=WORDS, title="The stubborn aunt"))
        library.upsert(post("b", text="Of other things."))
        library.mark_removed(post("b").id)
        library.forget(post("stubborn-aunt").id)
        assert b"sluice" in files(path)
        library.erase()
        assert b"sluice" not in files(path)
        assert b"stubborn" not in files(path), "neither title nor address"
        assert library.history(post("stubborn-aunt").id) == []
        assert library.posts(include_removed=True) == [post("b", text="Of other things.")]
    assert b"Of other things." in files(path)


def test_a_reader_that_keeps_old_pages_is_noticed_and_erasing_again_ends_it(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a", text=WORDS))
        library.forget(post("a").id)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM posts").fetchall()
            library._open().execute("PRAGMA busy_timeout = 50")  # instead of half a minute
            with pytest.raises(WorkspaceError, match=r"library\.db (is being read|cannot be written)"):
                library.erase()
        library.erase()
    assert b"sluice" not in files(path)


def test_a_forgotten_post_is_known_by_id_start_and_address(path: Path) -> None:
    with Library(path) as library:
        assert library.forgotten() == frozenset()
        assert library.forgotten_id("a") is None
        library.erase()
        assert not path.exists()
        local = post("a", text=WORDS).model_copy(update={"id": Post.id_of("file:a.md"), "url": "file:a.md"})
        library.upsert(local)
        library.forget(local.id)
        library.erase()
        for key in (local.id, local.id[:5], "file:a.md"):
            assert library.forgotten_id(key) == local.id
        for key in ("", "nothing", "https://example.org/z"):
            assert library.forgotten_id(key) is None
        with pytest.raises(CollectError):
            library.get(local.id)


def test_a_library_of_before_forgetting_is_brought_up(path: Path) -> None:
    with Library(path) as library:
        library.upsert(post("a"))
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE forgotten; PRAGMA user_version = 2;")
    with Library(path) as library:
        assert library.posts() == [post("a")]
        library.forget(post("a").id)
        assert library.posts() == []


def test_a_forgotten_thread_stays_out_where_its_first_texts_are_deleted(path: Path) -> None:
    with Library(path) as library:
        library.upsert(thread(1, 2, 3))
        library.upsert(thread(7))
        library.forget(thread(1).id)
        library.erase()
        for rest in (thread(2, 3), thread(3), thread(3, 4)):
            assert library.upsert(rest) == "forgotten"
        assert library.forgotten_id("https://x.com/i/status/3") == thread(1).id
        assert library.posts() == [thread(7)]


@pytest.mark.parametrize("upgraded_first", [True, False])
def test_a_thread_that_an_older_version_stored_stays_out_once_it_was_met(
    path: Path, upgraded_first: bool
) -> None:
    """It was forgotten before or after the file was brought up."""
    back = "DROP TABLE parts; PRAGMA user_version = 3;"
    with Library(path) as library:
        library.upsert(thread(1, 2, 3))
        library.upsert(thread(9))
    with closing(sqlite3.connect(path)) as db:
        db.executescript(back * upgraded_first)
    with Library(path) as library:
        library.forget(thread(1).id)
        library.erase()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"DELETE FROM forgotten WHERE mark != post_id; {back}" * (not upgraded_first))
    with Library(path) as library:
        assert library.upsert(thread(1, 2, 3)) == "forgotten"
        for rest in (thread(2, 3), thread(3), thread(3, 4)):
            assert library.upsert(rest) == "forgotten"
        assert library.forgotten() == {thread(1).id}
        assert library.posts() == [thread(9)]


def test_what_stands_by_itself_is_not_forgotten_with_a_thread_that_has_it(path: Path) -> None:
    with Library(path) as library:
        for n in (1, 2):
            library.upsert(thread(n))
        library.forget(thread(1).id)
        assert library.upsert(thread(1, 2, 3)) == "forgotten"
        assert library.upsert(thread(2)) == "unchanged"
        assert library.upsert(thread(3)) == "forgotten"
        assert library.upsert(thread(0, 1, 2, 3, 4)) == "forgotten"
        assert library.upsert(thread(4)) == "new", "a thread that begins before is another one"


def test_what_was_left_of_a_thread_is_forgotten_with_all_of_it(path: Path) -> None:
    with Library(path) as library:
        library.upsert(thread(1, 2, 3))
        library.mark_removed(thread(1).id)
        library.upsert(thread(2, 3))
        assert library.forget(thread(2).id) == tuple(sorted((thread(1).id, thread(2).id)))
        library.erase()
        assert library.upsert(thread(1, 2, 3)) == "forgotten"
    assert b"Text" not in files(path)


def test_what_stands_alone_of_a_forgotten_thread_goes_with_it(path: Path) -> None:
    with Library(path) as library:
        library.upsert(thread(2, 3))  # of a part of an archive
        library.upsert(thread(1, 2, 3))
        assert library.forget(thread(1).id) == tuple(sorted((thread(1).id, thread(2).id)))
        library.erase()
    assert b"Text" not in files(path)


def test_a_text_that_left_its_thread_is_forgotten_alone(path: Path) -> None:
    with Library(path) as library:
        library.upsert(thread(1, 2))
        library.upsert(thread(1))
        library.upsert(thread(2))
        assert library.forget(thread(2).id) == (thread(2).id,)
        assert library.posts() == [thread(1)]
        assert library.upsert(thread(1, 2)) == "forgotten", "an older archive brings it back no more"
