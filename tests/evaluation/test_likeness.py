from __future__ import annotations

import random
from statistics import mean

import pytest

from llm_twin.evaluation import likeness

WORDS = [
    "the",
    "river",
    "gauge",
    "reads",
    "low",
    "but",
    "nobody",
    "here",
    "will",
    "say",
    "why",
    "so",
    "we",
    "wait",
    "and",
    "count",
    "the",
    "boats",
    "again",
]


def said(chance: random.Random, comma: str = ",", words: int = 40) -> str:
    return " ".join(chance.choice(WORDS) + (comma if chance.random() < 0.2 else "") for _ in range(words))


def test_a_text_is_like_itself() -> None:
    chance = random.Random(1)
    texts = [(f"post {n % 10}", text, text) for n, text in enumerate(said(chance) for _ in range(40))]
    assert likeness(texts).auc == 0.5


def test_two_texts_of_one_voice_cannot_be_told_apart() -> None:
    found = []
    for seed in range(6):
        chance = random.Random(seed)
        found.append(likeness([(f"post {n % 20}", said(chance), said(chance)) for n in range(100)]))
    assert mean(one.auc for one in found) == pytest.approx(0.5, abs=0.05)
    assert {(one.texts, one.posts) for one in found} == {(100, 20)}


def test_a_habit_of_punctuation_is_enough_to_tell_them() -> None:
    chance = random.Random(3)
    found = likeness([(f"post {n % 10}", said(chance, " —"), said(chance)) for n in range(40)])
    assert found.auc > 0.98
    assert found.low <= found.auc <= found.high


def test_length_alone_tells_nothing() -> None:
    chance = random.Random(4)
    texts = [
        (f"post {n % 20}", text, text[: 2 * len(text) // 3])
        for n, text in enumerate(said(chance) for _ in range(60))
    ]
    assert likeness(texts).auc < 0.65, "cut alike, they differ by a word's end at most"


def test_a_reader_never_learns_from_the_post_that_it_judges() -> None:
    """What a post is about stands in all of the author's paragraphs of it, and in no other post."""
    chance = random.Random(5)
    topics = [chr(0x4E00 + n) * 6 for n in range(20) for _ in range(5)]
    texts = [(said(chance, words=30) + topic + said(chance, words=9), said(chance)) for topic in topics]
    by_post = likeness([(topic, *text) for topic, text in zip(topics, texts, strict=True)])
    mixed = likeness([(str(n), *text) for n, text in enumerate(texts)])
    assert mixed.auc > 0.9, "who has read another paragraph of the post knows it by its topic"
    assert by_post.auc < 0.7


def test_one_post_is_not_enough() -> None:
    with pytest.raises(ValueError, match="texts of 1 posts"):
        likeness([("post", "One.", "Two."), ("post", "Three.", "Four.")])


def test_a_text_that_says_next_to_nothing_is_known_for_the_twins() -> None:
    chance = random.Random(6)
    texts = [(f"post {n % 10}", said(chance), "") for n in range(40)]
    assert likeness(texts).auc == 1.0
    some = [(post, own, "" if n % 4 else own) for n, (post, own, _) in enumerate(texts)]
    assert likeness(some).auc > 0.8
