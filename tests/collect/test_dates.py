"""Dates as people write them, in their languages."""

from __future__ import annotations

import pytest

from llm_twin.collect import dates


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Posted on April 18th, 2020 by Maud", "2020-04-18"),
        ("Sept. 3, 2019", "2019-09-03"),
        ("3 Sep 2019", "2019-09-03"),
        ("Publié le 1er août 2022 · par Maud", "2022-08-01"),
        ("am 5. März 2021", "2021-03-05"),
        ("18 de abril de 2020", "2020-04-18"),
        ("3 maja 2020", "2020-05-03"),
        ("7 января 2021", "2021-01-07"),
        ("05.06.2022", "2022-06-05"),
        ("2022年6月5日", "2022-06-05"),
        ("2022/06/05", "2022-06-05"),
    ],
)
def test_a_date_is_read_in_the_words_of_many_languages(text: str, day: str) -> None:
    assert dates.written(text) == day


@pytest.mark.parametrize(
    "text",
    [
        "Marigold 5, 2020",
        "5 marigolds 2020",
        "31 June 2020",
        "05/06/2022",  # of May or of June
        "version 1.2.20220",
        "18 April",
        "April 18, 3020",
    ],
)
def test_what_is_no_date_or_no_certain_one_is_none(text: str) -> None:
    assert dates.written(text) is None
