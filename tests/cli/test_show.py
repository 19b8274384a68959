from __future__ import annotations

import io
import json
import sys

import pytest

from llm_twin.cli import show
from llm_twin.cli.show import Lines, wrapped
from llm_twin.contracts.records import Hit


def test_in_a_file_a_long_stage_tells_now_and_then_where_it_stands() -> None:
    now = 0.0
    told = io.StringIO()
    lines = Lines(told, lambda: now)
    lines.start("train", total=1000)
    for _ in range(90):
        now += 1.0
        lines.advance(5, note="loss 2.50")
    lines.say("done")
    assert told.getvalue().splitlines() == [
        "train: 150 of 1000, 0:30 elapsed, eta 2:50  loss 2.50",
        "train: 300 of 1000, 1:00 elapsed, eta 2:20  loss 2.50",
        "train: 450 of 1000, 1:30 elapsed, eta 1:50  loss 2.50",
        "done",
    ]


def test_neither_what_was_done_before_nor_a_pause_shakes_the_time_left() -> None:
    now = 0.0
    told = io.StringIO()
    lines = Lines(told, lambda: now)
    lines.start("train", total=2000)
    lines.advance(500)  # a resumed run
    for second in range(240):
        now += 41.0 if second == 180 else 1.0  # a measure on held-out posts
        lines.advance(5)
    left = [line.rpartition("eta ")[2] for line in told.getvalue().splitlines()]
    assert left == ["4:30", "4:00", "3:30", "3:00", "2:30", "2:00", "2:25", "1:46"]


def test_a_stage_whose_first_step_is_long_has_a_time_left() -> None:
    now = 0.0
    told = io.StringIO()
    lines = Lines(told, lambda: now)
    lines.start("embed", total=10)
    now = 60.0
    lines.advance(1)
    assert told.getvalue() == "embed: 1 of 10, 1:00 elapsed, eta 9:00\n"


def test_a_short_stage_and_one_without_an_end_say_no_more_than_is_known() -> None:
    now = 0.0
    told = io.StringIO()
    lines = Lines(told, lambda: now)
    lines.start("embed", total=10)
    lines.advance(10)
    lines.start("crawl")
    now = 40.0
    lines.advance(7)
    assert told.getvalue() == "crawl: 7\n"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_stream_is_wrapped_between_words_whatever_its_pieces(size: int) -> None:
    code = "A kettle leaks.\n\n    indented code\n"
    text = f"{code}- a list of words that go on\nantidisestablishmentarianism ok"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    shown = "".join(wrapped(pieces, 20))
    assert shown.split() == text.split()
    lines = shown.split("\n")
    assert lines[:4] == ["A kettle leaks.", "", "    indented code", "- a list of words"]
    assert all(len(line) <= 20 for line in lines if line != "antidisestablishmentarianism")
    assert lines[-2:] == ["antidisestablishmentarianism", "ok"]


def test_wide_characters_take_two_columns() -> None:
    assert "".join(wrapped(["語語 語語"], 8)) == "語語\n語語"


HOSTILE = "a\x1b[31mred\x07 \x9b2J b\x7f\u202eevil\u2066 \u2069 \r over\n\ttab – é"
HARMLESS = "a�[31mred� �2J b��evil� �   over\n\ttab – é"


def test_nothing_that_a_terminal_obeys_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert show.plain(HOSTILE) == HARMLESS
    show.result({}, False, HOSTILE)
    show.stream([*HOSTILE, "\n"])
    Lines(sys.stderr).say(HOSTILE)
    show.table(("title",), [(HOSTILE.replace("\n", " "),)])
    out, err = capsys.readouterr()
    assert out.startswith(f"{HARMLESS}\n{HARMLESS}\n")
    assert err == f"{HARMLESS}\n"
    assert out == show.plain(out)


def test_in_an_excerpt_the_words_of_the_query_alone_are_bold() -> None:
    text = f"{HOSTILE} the kettle\x07 leaks"
    at = text.index("kettle")
    found = {"post_id": "p", "url": "u", "title": "t", "published_at": None, "chunk_id": "p:0", "text": text}
    where = {"start": 0, "end": len(text), "score": 1.0, "cosine": 1.0, "matches": [(at, at + 6)]}
    shown = show.excerpt(Hit.model_validate(found | where), "1. ")
    assert shown.plain == f"1. {HARMLESS} the kettle� leaks".replace("\n", " ")
    [bold] = shown.spans
    assert shown.plain[bold.start : bold.end] == "kettle"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_is_exact_whatever_the_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding, errors="replace"))
    show.result({"title": HOSTILE}, True)
    assert json.loads(written.getvalue().decode(encoding)) == {"title": HOSTILE}
