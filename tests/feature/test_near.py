from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin.contracts.records import Post
from llm_twin.feature.near import (
    BLOCK_WORDS,
    CONTAINED,
    NEAR,
    PART,
    RELATED,
    alike,
    inside,
    related,
    words,
)

Make = Callable[..., Post]


def text(number: int, length: int = 300) -> list[str]:
    """Words drawn from a vocabulary of 2,000; two numbers share none of their shingles but by chance."""
    chance = random.Random(number)
    return [f"w{chance.randrange(2000)}" for _ in range(length)]


def changed(found: list[str], share: float) -> list[str]:
    """The words with some of them replaced, evenly spread."""
    every = round(1 / share)
    return [f"x{i}" if i % every == 0 else word for i, word in enumerate(found)]


def exact(one: list[str], other: list[str]) -> float:
    a, b = ({tuple(t[i : i + 5]) for i in range(len(t) - 4)} for t in (one, other))
    return len(a & b) / len(a | b)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.01, 0.02, 0.05, 0.1]))
def test_every_pair_above_the_bound_is_found_with_its_exact_index(seed: int, share: float) -> None:
    one = text(seed)
    other = changed(one, share)
    expected = exact(one, other)
    found = alike(
        [" ".join(text(seed + 1)), " ".join(one), " ".join(text(seed + 2)), " ".join(other)], RELATED
    )
    assert expected > RELATED
    assert [(a, b) for a, b, _ in found] == [(1, 3)]
    assert found[0].share == pytest.approx(expected)
    assert bool(alike([" ".join(one), " ".join(other)], NEAR)) == (expected >= NEAR)


def test_case_and_punctuation_are_no_difference() -> None:
    assert alike(["It’s here, now; we said so.", "IT'S HERE now -- we said: so!"], 1.0) == [(0, 1, 1.0)]


def test_texts_without_words_pair_with_none() -> None:
    assert alike(["", "...", " \n"], 0.1) == []
    assert related(["", "...", " \n"]) == []


def test_scripts_without_spaces_have_words_too() -> None:
    assert words("水位は1.8 mです。") == ["水", "位", "は", "1", "8", "m", "で", "す"]
    old = "水位は朝から下がり続けて、夕方には板の目盛りが見えた。私は鉛筆で書いた。"
    assert alike([old, old.replace("夕方", "夕刻")], 0.5)


def test_a_post_inside_a_longer_one(post: Make) -> None:
    short, long = post(1).markdown, f"{post(2).markdown}\n\n{post(1).markdown}\n\n{post(3).markdown}"
    ((shorter, longer, share),) = inside([long, post(4).markdown, short], 0.9)
    assert (shorter, longer) == (2, 0)
    assert share > 0.99  # all but the heading, which is too short to tell
    assert related([long, post(4).markdown, short]) == [(0, 2)]


@settings(max_examples=100, deadline=None)
@given(
    drawn=st.lists(st.lists(st.integers(0, 9), max_size=5), min_size=2, max_size=6),
    least=st.sampled_from([0.1, PART, CONTAINED, 1.0]),
    widest=st.sampled_from([None, 2, 3]),
)
def test_no_text_inside_another_is_missed(drawn: list[list[int]], least: float, widest: int | None) -> None:
    """As where every text is compared with every other."""
    blocks = [" ".join(text(n, n + 4)) for n in range(10)]
    held = [{blocks[n] for n in numbers} for numbers in drawn]
    number = Counter(block for own in held for block in own)
    told = {b for b in number if len(b.split()) >= BLOCK_WORDS and number[b] <= (widest or len(drawn))}
    expected = []
    for (a, one), (b, other) in permutations(enumerate(held), 2):
        size, longer = (sum(len(block.split()) for block in own) for own in (one, other))
        common = sum(len(block.split()) for block in one & other & told)
        if (size, a) < (longer, b) and common and common / size >= least:
            expected.append((a, b, common / size))
    assert inside(["\n\n".join(blocks[n] for n in numbers) for numbers in drawn], least, widest) == expected


def test_a_sign_off_of_very_many_posts_takes_no_time() -> None:
    sign = "That is all from the lock today, good night to you all."
    texts = [f"Day {n} has {7 * n} boats, and this I wrote down.\n\n{sign}" for n in range(4000)]
    started = time.perf_counter()
    assert inside(texts, CONTAINED) == []
    assert time.perf_counter() - started < 4, "each with each takes 15 s, and gigabytes of memory"


def test_short_blocks_in_common_are_chance(post: Make) -> None:
    tail = "## Conclusion\n\nAnd the result:"
    assert inside([f"{post(n).markdown}\n\n{tail}" for n in range(2)], 0.01) == []


def test_a_sign_off_chains_no_posts(post: Make) -> None:
    sign = "That is all from the lock today, good night to you all."
    texts = [f"{post(n).markdown}\n\n{sign}" for n in range(20)]
    short = f"Lock closed tomorrow for repairs; bring your own tea, and mind the geese please.\n\n{sign}"
    assert related([*texts, short]) == []
    assert related([*texts[:2], short]) == [(0, 1, 2)], "of so few it cannot be told"
    long = f"{texts[0]}\n\n{post(30).markdown}\n\n{post(31).markdown}"
    assert related([long, *texts[1:], post(30).markdown]) == [(0, 20)]


def test_chains_are_one_group() -> None:
    first = text(1)
    second = changed(first, 0.05)
    third = changed(second[::-1], 0.05)[::-1]
    assert related([" ".join(t) for t in (first, text(9), second, third)]) == [(0, 2, 3)]


def test_no_two_posts_of_the_sample_author_are_alike(author: list[Post]) -> None:
    texts = [post.markdown for post in author]
    assert related(texts) == []
    assert max((share for *_, share in alike(texts, 0.0001)), default=0) < 0.05


SCRIPT = """
import runpy, sys
from llm_twin.feature.near import alike, inside, related
posts = [runpy.run_path(sys.argv[1])["make_post"](n).markdown for n in range(12)]
print(alike(posts, 0.01), related(posts), inside(posts, 0.01))
"""


def test_the_same_in_any_process(root: Path) -> None:
    doubles = str(Path(__file__).with_name("conftest.py"))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, doubles],
            check=True,
            capture_output=True,
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "RAYON_NUM_THREADS": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert b"Pair" in next(iter(outputs))
