from __future__ import annotations

import re
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


def test_of_near_duplicates_the_fullest_stays_and_the_reason_names_it(post: Make) -> None:
    old = post(1)
    revised = post(2, old.markdown.replace("frost", "hard frost", 1) + "\n\nI have been down to look since.")
    kept, dropped = select([old, revised, post(3)], min_words=10)
    assert [p.id for p in kept] == [revised.id, post(3).id]
    ((gone, reason),) = dropped
    assert gone == old.id
    assert re.fullmatch(rf"near-duplicate of {revised.id} \(Jaccard 0\.[89]\d\)", reason)


def test_a_post_that_stands_in_a_longer_one_is_dropped(post: Make) -> None:
    part, whole = post(1), post(2, f"{post(2).markdown}\n\n{post(1).markdown}\n\n{post(3).markdown}")
    kept, dropped = select([part, whole], min_words=10)
    assert kept == [whole]
    assert dropped == [(part.id, f"99 % of it stands in {whole.id}")]


def test_a_post_is_dropped_for_a_kept_one_alone(post: Make) -> None:
    """Of a chain of revisions the middle goes, for the last one; the first is too unlike the last."""
    words = [f"w{n}" for n in range(400)]
    chain = []
    for n in range(3):
        changed = [f"x{i}" if i % 36 < 2 * n and i % 2 == 0 else word for i, word in enumerate(words)]
        chain.append(post(n, " ".join(changed + ["more"] * n)))
    kept, dropped = select(chain, min_words=10)
    assert [p.id for p in kept] == [chain[0].id, chain[2].id]
    assert [(gone, reason.split(" (")[0]) for gone, reason in dropped] == [
        (chain[1].id, f"near-duplicate of {chain[2].id}")
    ]


def test_other_languages_are_dropped_only_where_it_is_asked_for(post: Make) -> None:
    posts = [
        post(n).model_copy(update={"language": language}) for n, language in enumerate(["en", "de", None])
    ]
    assert select(posts, min_words=10) == (posts, [])
    kept, dropped = select(posts, min_words=10, languages=("en", "fr"))
    assert kept == [posts[0], posts[2]]
    assert dropped == [(posts[1].id, "in de, not in features.languages")]


def test_the_order_of_the_posts_is_of_no_weight(post: Make) -> None:
    posts = [post(n, post(n % 5).markdown + f"\n\nEntered: {n} geese." * (n > 4)) for n in range(12)]
    assert select(posts, 10) == select(posts[::-1], 10)


def test_hash_tells_words_apart() -> None:
    assert text_hash("It's here — now.") == text_hash("it's  here, NOW")
    assert text_hash("it's here now") != text_hash("it's here not")
