from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from llm_twin.contracts.records import Post
from llm_twin.feature.chunk import chunk
from llm_twin.feature.quoted import overlaps, quoted, within

Make = Callable[..., Post]
OWN = "I read it twice, standing up, and then I put the kettle on."
LETTER = "Keeper. What I do is I stop there and take off my hat; it was nobody's fault."


def found(markdown: str) -> list[str]:
    return [markdown[start:end] for start, end in quoted(markdown)]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        (f"{OWN}\n\n> {LETTER}\n\n{OWN}", [f"> {LETTER}"]),
        (f'A reader sent this:\n\n"{LETTER}"\n\n{OWN}', [f'"{LETTER}"']),
        (f"Ein Leser meint:\n\n„{LETTER}“\n\n{OWN}", [f"„{LETTER}“"]),
        (f"Ein Leser meint:\n\n»{LETTER}«\n\n{OWN}", [f"»{LETTER}«"]),
        (f"Un lecteur :\n\n« {LETTER} »\n\n{OWN}", [f"« {LETTER} »"]),
        (f"読者から：\n\n「{LETTER}」\n\n{OWN}", [f"「{LETTER}」"]),
        (f"This came:\n\n“{LETTER}\n\n“{LETTER}”\n\n{OWN}", [f"“{LETTER}", f"“{LETTER}”"]),
        (f"1. As Bram put it:\n\n   > {LETTER}\n\n   {OWN}\n\n2. {OWN}", [f"   > {LETTER}"]),
        (f"Bram Tolley of Corrow writes:\n\n{LETTER}\n\n{OWN}", [LETTER]),
        (
            f"From: Bram\nSubject: the hat\n\n{LETTER}\n\n{OWN}",
            ["From: Bram\nSubject: the hat", LETTER],
        ),
        (
            f"From: Bram\nTo: Maud\n\n{LETTER}\n\nB. Tolley\n\n---\n\n{OWN}",
            ["From: Bram\nTo: Maud", LETTER, "B. Tolley"],
        ),
        (f"Von: Bram\nBetreff: der Hut\n\n{LETTER}\n\n{OWN}", ["Von: Bram\nBetreff: der Hut", LETTER]),
        (f"De : Bram\nÀ : Maud\n\n{LETTER}\n\n{OWN}", ["De : Bram\nÀ : Maud", LETTER]),
    ],
)
def test_words_of_others(markdown: str, expected: list[str]) -> None:
    assert found(markdown) == expected


@pytest.mark.parametrize(
    "markdown",
    [
        f'"{LETTER}"\n\n"{OWN}"\n\nHe nodded.',  # dialogue in a story is the author's
        f'He said:\n\n"I will not," I said, "go down there again."\n\n{OWN}',
        f"I wrote:\n\n{LETTER}",
        f"Je l'ai écrit ainsi :\n\n{OWN}",
        f"Voici le programme, écrit en C :\n\n{OWN}",
        f"Man schreibt:\n\n{OWN}",
        f"So schrieb man früher:\n\n{OWN}",
        f"Si scrive così:\n\n{OWN}",
        f"See also:\n\n» {OWN}",
        f"それから：\n\n「いや」と言った。「もう行かない」\n\n{OWN}",
        f"好きな本：\n\n『猫』と『坊っちゃん』\n\n{OWN}",
        f"The form asks for this:\n\n{OWN}",
        "From: here to there it is 3 km, and I walked.",
        f"## Bram writes: no more\n\n{OWN}",
    ],
)
def test_the_authors_own(markdown: str) -> None:
    assert found(markdown) == []


def test_what_never_closes_costs_no_time() -> None:
    started = time.perf_counter()
    for text in ("»", "»a ", "writes,", "writes,.", "schreibt ", "「", "De :", "“a\n\n"):
        quoted(f"{text * (200_000 // len(text))}:\n\n{text * (200_000 // len(text))}")
    assert time.perf_counter() - started < 10


def test_chunks_know_what_in_them_is_quoted(post: Make, embedder: Any) -> None:
    text = f"{OWN}\n\n> {LETTER}\n\n{OWN}"
    whole = chunk(post(1, text), embedder, 100)
    assert [c.quoted for c in whole] == [quoted(text)]
    parts = chunk(post(1, text), embedder, 15)
    assert len(parts) > len([c for c in parts if c.quoted]) > 1
    assert all(c.start <= a < b <= c.end for c in parts for a, b in c.quoted)
    assert "".join(text[a:b] for c in parts for a, b in c.quoted).replace(" ", "") == f">{LETTER}".replace(
        " ", ""
    )


def test_within_and_overlaps() -> None:
    assert within([(0, 4), (6, 9)], 3, 7) == ((3, 4), (6, 7))
    assert not overlaps([(0, 4)], [(4, 6)])
    assert overlaps([(0, 4)], [(3, 6)])
