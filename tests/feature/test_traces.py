from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.contracts.records import Post
from llm_twin.feature.traces import Traces

SAID = "Captain Yarrow never paid for the walnuts, naïve as Jürgen was."


@pytest.fixture
def said(post: Callable[..., Post]) -> Post:
    return post(1, markdown=f"One morning in the fog.\n\n{SAID} So it goes on and on.")


@pytest.fixture
def traces(said: Post, post: Callable[..., Post]) -> Traces:
    return Traces([said], [said.markdown], [post(2, markdown="Why not? So it goes on and on, always.")])


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        json.dumps({"text": SAID}),
        json.dumps({"text": 'He wrote:\n"Yarrow never paid for the"'}),
        "... paid FOR the\nwalnuts, naïve ...",
        "> *never paid for the walnuts*",
        "See https://lock.example/1/ for more",
        json.dumps({"url": "https://lock.example/1/"}),
    ],
)
def test_words_and_addresses_are_found(traces: Traces, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    assert traces.within(tmp_path / "a.md")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Captain Yarrow never paid.",
        "So it goes on and on.",
        "https://lock.example/1/2",
        "xhttps://lock.example/1/",
    ],
)
def test_four_words_what_others_say_too_and_longer_addresses_are_none(
    traces: Traces, tmp_path: Path, text: str
) -> None:
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    assert not traces.within(tmp_path / "a.md")


def test_an_id_gives_a_post_away(traces: Traces, said: Post, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"post_id": said.id}), encoding="utf-8")
    assert traces.within(tmp_path / "a.json")


def test_what_is_no_text_or_not_there_holds_nothing(traces: Traces, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\0\0" + SAID.encode())
    assert not traces.within(tmp_path / "a.png")
    assert not traces.within(tmp_path / "none")
    assert not traces.within(tmp_path)


def packed(path: Path, content: bytes, kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("weights.bin", b"\0" * 8 + SAID.encode())
        archive.writestr("folder/", "")
        archive.writestr("folder/text", content)
    return path


def test_a_zip_file_is_looked_into(traces: Traces, said: Post, tmp_path: Path) -> None:
    assert traces.within(packed(tmp_path / "a.zip", json.dumps({"posts": [said.id]}).encode()))
    assert traces.within(packed(tmp_path / "b.zip", SAID.encode(), zipfile.ZIP_STORED))
    assert traces.within(packed(tmp_path / "c.zip", b"So it goes on and on.")) is False


def test_of_a_zip_file_that_cannot_be_read_whole_nothing_is_known(traces: Traces, tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", SAID.encode())
    (tmp_path / "cut.zip").write_bytes(whole.read_bytes()[:-30])
    bad = bytearray(packed(tmp_path / "stored.zip", SAID.encode(), zipfile.ZIP_STORED).read_bytes())
    bad[bad.rindex(b"Yarrow")] ^= 1
    (tmp_path / "bad.zip").write_bytes(bad)
    packed(tmp_path / "nested.zip", whole.read_bytes())
    packed(tmp_path / "other.zip", SAID.encode(), zipfile.ZIP_LZMA)
    packed(tmp_path / "bomb.zip", b" " * 1_000_000)
    for name in ("cut", "bad", "nested", "other", "bomb"):
        assert traces.within(tmp_path / f"{name}.zip") is None, name


def test_no_post_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(SAID, encoding="utf-8")
    assert not Traces([], [], []).within(tmp_path / "a.md")


def test_posts_that_say_nearly_the_same_are_named(post: Callable[..., Post]) -> None:
    whole, other = post(1), post(2)
    parts = whole.markdown.split("\n\n")
    copy, excerpt = post(3, markdown=f"{whole.markdown}\n\nOnce more."), post(4, markdown=parts[0])
    assert Traces([whole], [whole.markdown], [other, copy, excerpt]).alike == (copy, excerpt)
