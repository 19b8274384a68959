from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from llm_twin.cli import describe, show
from llm_twin.feature import FeatureReport
from llm_twin.feature.boilerplate import Removed


@pytest.fixture
def report() -> FeatureReport:
    note = Removed("*Text licensed under\nCC0.*", ("0123456789ab", "0123456789ac", "0123456789ad"))
    return FeatureReport(
        version="F0001",
        created=True,
        posts=9,
        chunks=20,
        samples=30,
        embedded=20,
        reused=0,
        private={},
        masked=True,
        seconds=1.0,
        dropped=(
            ("aaaaaaaaaaaa", "12 words, fewer than 30"),
            ("bbbbbbbbbbbb", "near-duplicate of cccccccccccc (Jaccard 0.87)"),
            ("dddddddddddd", "7 words, fewer than 30"),
        ),
        remarks=(),
        boilerplate=(note,),
        alike=(("eeeeeeeeeeee", "ffffffffffff"),),
        quoting=4,
    )


def test_reasons_are_grouped_with_number_and_examples(report: FeatureReport) -> None:
    assert describe.left_out(report) == [
        (
            "post: .. words, fewer than ..",
            2,
            "aaaaaaaaaaaa (12 words, fewer than 30), dddddddddddd (7 words, fewer than 30)",
        ),
        (
            "post: near-duplicate of another (Jaccard ..)",
            1,
            "bbbbbbbbbbbb (near-duplicate of cccccccccccc (Jaccard 0.87))",
        ),
        ("note in posts: *Text licensed under CC0.*", 3, "0123456789ab"),
        ("quotations: found and cited, never learnt", 4, ""),
        ("alike: kept, in one split", 2, "eeeeeeeeeeee, ffffffffffff"),
    ]


def test_nothing_left_out_has_no_rows(report: FeatureReport) -> None:
    assert describe.left_out(replace(report, dropped=(), boilerplate=(), alike=(), quoting=0)) == []


def test_machines_get_all_of_it(report: FeatureReport, capsys: pytest.CaptureFixture[str]) -> None:
    show.result(asdict(report), True)
    found = json.loads(capsys.readouterr().out)
    assert found["dropped"][0] == ["aaaaaaaaaaaa", "12 words, fewer than 30"]
    assert found["boilerplate"][0]["posts"] == ["0123456789ab", "0123456789ac", "0123456789ad"]
    assert (found["quoting"], found["alike"]) == (4, [["eeeeeeeeeeee", "ffffffffffff"]])
