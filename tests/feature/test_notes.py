from __future__ import annotations

import re
import time

import pytest

from llm_twin.contracts.prose import blocks, join
from llm_twin.contracts.records import Post
from llm_twin.feature.notes import MAX_COPIED, copied_run, facts, notes, plain, spaced, wordy

PARAGRAPH = (
    "On 9,870 lines it found 212 leaps. I went through them by hand, over four evenings and a bowl of "
    "walnuts; 188 were mud; 20 were me, letting down *Patient Agnes* with both paddles up, since she's 38 "
    "tonnes deep in gravel and Bram Tolley hates to wait. Gauge 1.88 m, in [the `level.txt` file]"
    "(https://x.example/2021/). The Bank of England wasn't asked."
)


@pytest.fixture(scope="module")
def paragraphs(author: list[Post]) -> list[str]:
    found = [
        join(p.markdown, [(b.start, b.end)])
        for p in author
        for b in blocks(p.markdown)
        if b.kind == "paragraph"
    ]
    return [text for text in found if 30 <= len(text.split()) <= 200]


def test_names_and_numbers_stay() -> None:
    made = notes(PARAGRAPH)
    assert made is not None
    lines = dict(line.removeprefix("- ").split(": ", 1) for line in made.splitlines())
    assert set(lines["names"].split("; ")) >= {"Patient Agnes", "Bram Tolley", "level.txt", "Bank of England"}
    numbers = lines["numbers"].split("; ")
    assert numbers == ["9,870 lines", "212 leaps", "four evenings", "188", "20", "38 tonnes", "1.88 m"]
    assert "walnuts" in lines["about"]
    assert "x.example" not in made


def test_what_is_voice_goes() -> None:
    made = notes(PARAGRAPH)
    assert made is not None
    assert not re.search(r"['’*]|she's|wasn't|hates to", made)
    about = made.splitlines()[0]
    assert about == about.lower()


def test_every_number_and_inner_capital_of_the_sample_author_is_in_the_notes(paragraphs: list[str]) -> None:
    checked = 0
    for text in paragraphs:
        made = notes(text)
        if made is None:
            continue
        checked += 1
        bare = plain(text)
        for number in re.findall(r"\d+(?:[.,]\d+)*", bare):
            assert number in made, (number, text)
        # A capital inside a sentence, after a lower-case word, makes a name.
        for name in re.findall(r"(?<=[a-z] )[A-Z][a-z]+", bare):
            assert name in made, (name, text)
    assert checked > 0.9 * len(paragraphs)


def test_notes_are_no_copies_and_shorter(paragraphs: list[str]) -> None:
    made = [(notes(text), text) for text in paragraphs]
    pairs = [(n, text) for n, text in made if n]
    assert not [n for n, text in pairs if copied_run(n, text, MAX_COPIED + 1)]
    assert sum(len(n.split()) for n, _ in pairs) < 0.6 * sum(len(text.split()) for _, text in pairs)


def test_a_list_of_names_is_reordered_or_gives_no_notes() -> None:
    text = (
        "They run on Linux, Windows, Solaris, Darwin, Minix, Haiku, Hurd, Tops, and Multics with much pain."
    )
    made = notes(text)
    assert made is not None
    assert all(name in made for name in ("Linux", "Solaris", "Multics"))
    assert not copied_run(made, text)


def test_a_first_word_known_in_lower_case_is_no_name() -> None:
    text = "Smoothing takes one bad number. Tilling opened the heavy gate by night with a lamp."
    with_vocabulary = notes(text, frozenset({"smoothing"}))
    assert with_vocabulary is not None
    assert with_vocabulary.endswith("- names: Tilling")
    assert "smoothing" in with_vocabulary.splitlines()[0]


def test_a_numeral_may_be_a_name() -> None:
    made = notes("Wick at Number Ten saw two geese. Five keepers waited by the lower gate for a slow barge.")
    assert made is not None
    assert "Number Ten" in made
    assert "numbers: two geese; five keepers" in made


def test_vowel_signs_do_not_part_words() -> None:
    text = (
        "आज सुबह मैं बहुत जल्दी उठ गया क्योंकि मौसम बहुत अच्छा था और नदी के किनारे टहलने का मन हो रहा था। "
        "रास्ते में मुझे मेरे पुराने मित्र रमेश मिले जो अपने कुत्ते को घुमा रहे थे। हमने साथ बैठकर चाय पी और पुराने दिनों की बातें कीं।"
    )
    made = notes(text)
    assert made is not None
    assert not copied_run(made, text)
    assert copied_run("मैं बहुत जल्दी उठ", text, length=4)
    assert not copied_run("मैं बहुत जल्दी", text, length=4)


def test_too_little_to_note() -> None:
    assert (
        notes("And so it was, and so it will be, and there is no more to be said about it than that.") is None
    )


def test_plain_drops_marks_only() -> None:
    text = "See **bold** and _thin_ in ![alt](p.png) [a link][1], <b>x</b>, snake_case and 2 * 3 * 4."
    assert " ".join(plain(text).split()) == "See bold and thin in a link, x , snake_case and 2 * 3 * 4."


def test_spaced() -> None:
    assert spaced("It was 水位 that I read on the board, and no more.")
    assert not spaced("水位は1.8 mです。私は鉛筆で書いた。")
    assert not spaced("เช้านี้ฉันตื่นเช้ามากเพราะอากาศดี และอยากไปเดินเล่นริมแม่น้ำ")


def test_copied_run_ignores_case_and_punctuation() -> None:
    assert copied_run("- x: A, b; c d", "so a b c d then", length=4)
    assert not copied_run("- x: A, b; c d", "so a b c then d", length=4)


def test_wordy() -> None:
    assert wordy("It's only words, really: words and a 7.")
    assert wordy("आज सुबह मैं बहुत जल्दी उठ गया क्योंकि मौसम अच्छा था।"), "vowel signs belong to words"
    assert wordy("আজ সকালে আমি খুব তাড়াতাড়ি উঠেছিলাম।")
    assert not wordy('if (x[i] != "\\0") { y += 0x3f; }')


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("See [the `a``b` file](https://x.example/a_(b)) now", "See the  ;  file) now"),
        ("`` ` `` and ```x``", " ;  and ```x``"),
        ("[see [1](/n)", "[see 1"),
        ("![a picture](x.png)1 < 2 <br> 3", " 1 < 2   3"),
    ],
)
def test_marks_go_and_words_stay(text: str, bare: str) -> None:
    assert plain(text) == bare


def test_what_never_closes_costs_no_time() -> None:
    started = time.perf_counter()
    for text in ["[", "[[", "![", "[a", "[a](", "![](", "<", "`", "`` `"]:
        plain(text * (40_000 // len(text)))
    facts(" ".join("`" * n for n in range(1, 280)))
    assert time.perf_counter() - started < 5, "a single one of them took ten seconds"
