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
        ("3 NİSAN 2020", "2020-04-03"),
        ("19 MAYIS 2020", "2020-05-19"),
        ("19 Mayıs 2020", "2020-05-19"),
        ("5 Μαΐου 2020", "2020-05-05"),
        ("05.06.2022", "2022-06-05"),
        ("2022年6月5日", "2022-06-05"),
        ("2022/06/05", "2022-06-05"),
        ("2021. 3. 4. 오후 2:10", "2021-03-04"),
        ("2021. március 3.", "2021-03-03"),
        ("2021 március 3", "2021-03-03"),
        ("2020. május 3., vasárnap", "2020-05-03"),
        ("2020. május 3. 14:05", "2020-05-03"),
        ("Közzétéve: 2020. máj. 3.", "2020-05-03"),
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
        "version v2021.3.4",
        "since 2020. 10.5 million",
        "How we in 2019 set 12 records",
        "In 2020 mai 3 Leute",
        "In 2020. mai 3.5 Liter",
        "18 April",
        "April 18, 3020",
    ],
)
def test_what_is_no_date_or_no_certain_one_is_none(text: str) -> None:
    assert dates.written(text) is None


def test_every_name_that_is_found_is_known_in_any_case() -> None:
    """A pattern that ignores case takes more for one letter than `lower` does: the Turkish i, the long s."""
    months, _ = dates._written()
    for name, number in months.items():
        for form in (name, name.upper(), name.title(), name.replace("i", "İ"), name.replace("s", "ſ")):
            assert dates.written(f"5 {form} 2020") in (None, f"2020-{number:02}-05")
