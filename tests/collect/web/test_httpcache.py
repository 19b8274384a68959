from __future__ import annotations

import threading
from pathlib import Path

import pytest

from llm_twin.collect.web.httpcache import FILE, MISSING_S, MOVED_S, HttpCache, Kept
from llm_twin.errors import WorkspaceError

URL = "https://blog.example/a"


def test_an_answer_is_kept_with_its_validators(tmp_path: Path) -> None:
    kept = Kept(URL, '"tag"', None, "text/html", b"<p>" * 1000)
    with HttpCache(tmp_path) as cache:
        assert cache.get(URL) is None
        cache.put(kept)
    with HttpCache(tmp_path) as cache:
        assert cache.get(URL) == kept
        cache.drop(URL)
        assert cache.get(URL) is None


def test_what_was_noted_is_remembered_for_its_time(tmp_path: Path) -> None:
    moment = 5e8
    with HttpCache(tmp_path, now=lambda: moment) as cache:
        cache.note(URL, 301, "https://blog.example/b")
        cache.note(f"{URL}/feed", 404)
        assert cache.moved_to(URL) == "https://blog.example/b"
        assert cache.missing(URL) is None
        assert (cache.missing(f"{URL}/feed"), cache.moved_to(f"{URL}/feed")) == (404, None)
        moment += MISSING_S
        assert cache.missing(f"{URL}/feed") is None
        moment += MOVED_S
        assert cache.moved_to(URL) is None
        cache.note(URL, 308, "https://blog.example/c")
        cache.forget(URL)
        assert cache.moved_to(URL) is None


def test_all_that_an_address_moved_to_is_forgotten_with_it(tmp_path: Path) -> None:
    with HttpCache(tmp_path) as cache:
        steps = [f"{URL}/{n}" for n in range(3)]
        for here, there in zip(steps, [*steps[1:], steps[0]], strict=True):
            cache.note(here, 301, there)
        cache.note(f"{URL}/other", 301, URL)
        cache.forget(steps[0])
        assert [cache.moved_to(step) for step in steps] == [None] * 3
        assert cache.moved_to(f"{URL}/other") == URL


def test_a_damaged_file_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 1000)
    with HttpCache(tmp_path) as cache:
        cache.put(Kept(URL, None, None, "", b"x"))
        assert cache.get(URL) is not None


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with HttpCache(tmp_path) as cache:
        cache._db.execute("PRAGMA query_only=ON")
        with pytest.raises(WorkspaceError, match=r"http\.db cannot be used \(.*\)\. Free disk space"):
            cache.put(Kept(URL, None, None, "", b"x"))


def test_threads_may_share_it(tmp_path: Path) -> None:
    with HttpCache(tmp_path) as cache:

        def write(number: int) -> None:
            for n in range(50):
                cache.put(Kept(f"{URL}/{number}/{n}", None, None, "", b"%d" % n))

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(cache.get(f"{URL}/{t}/{n}").body == b"%d" % n for t in range(4) for n in range(50))
