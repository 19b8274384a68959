from __future__ import annotations

from collections.abc import Callable

from llm_twin.contracts.records import Post
from llm_twin.feature.dedup import select, text_hash

Make = Callable[..., Post]


def test_oldest_of_a_repeated_text_stays(post: Make) -> None:
    text = "It's the same old story, told again and again. " * 5
    old, new = post(3, text, date="2019-01-01"), post(4, text.upper().replace(",", " --"), date="2021-01-01")
    other = post(5)
    kept, dropped = select([new, other, old], min_words=10)
    assert [p.id for p in kept] == [other.id, old.id]
    assert dropped == [(new.id, f"same text as {old.id}")]


def test_short_posts_and_replies_are_dropped_with_reason(post: Make) -> None:
    short, reply, good = post(1, "It's five words, that's all."), post(2, kind="reply"), post(3)
    kept, dropped = select([short, reply, good], min_words=30)
    assert kept == [good]
    assert dict(dropped) == {short.id: "5 words, fewer than 30", reply.id: "reply to someone else"}


def test_notes_are_posts_too_and_blank_ones_never(post: Make) -> None:
    note, blank = post(1, "A note of mine.", kind="note"), post(2, " \n")
    kept, dropped = select([note, blank], min_words=0)
    assert kept == [note]
    assert [d[0] for d in dropped] == [blank.id]


def test_hash_tells_words_apart() -> None:
    assert text_hash("It's here — now.") == text_hash("it's  here, NOW")
    assert text_hash("it's here now") != text_hash("it's here not")
