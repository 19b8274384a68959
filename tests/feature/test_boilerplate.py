from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from llm_twin.contracts.records import Post
from llm_twin.feature.boilerplate import remove

Make = Callable[..., Post]

NOTES = [
    "*This post was archived from my old site.*",
    "Text licensed under CC BY-SA 4.0.",
    "If you enjoyed this, [subscribe to my letter](https://lock.example/letter).",
    "> Mirrored at [the other place](https://other.example/{n}), where you may answer.",
    "- [Feed of all posts](/feed.xml)\n- [Write to me at once](mailto:nan@lock.example)",
]
FOREIGN = [
    "Wenn dir der Artikel gefallen hat, abonniere meinen Blog oder folge mir auf Mastodon.",
    "Si l’article vous a plu, abonnez-vous à ma lettre.",
    "Si te ha gustado, suscríbete al boletín de cada mes.",
    "Si te gustó, este texto tiene licencia libre.",
    "Se ti è piaciuto, iscriviti qui sotto.",
    "Se gostou, inscreva-se no meu canal.",
    "Если понравилось, подписывайтесь на мой канал.",
    "喜欢的话，请订阅我的博客。",
    "この記事が気に入ったら、購読してください。",
]
VOICE = [
    "It's me again, the keeper at Number Nine, with the kettle on and the gate shut.",
    "*Well, then: that's the river for you, and I've a hen to find.*",
    "Onward.",
    "So, und jetzt setze ich Wasser auf und gehe zu den Hennen.",
    "Вот и всё на сегодня, а я пойду ставить чайник.",
]


def ended(post: Make, number: int, tail: str, head: str = "") -> Post:
    text = post(number).markdown
    return post(number, f"{head}\n\n{text}\n\n{tail}".strip().replace("{n}", str(number)))


@pytest.mark.parametrize("note", [*NOTES, *FOREIGN])
@pytest.mark.parametrize("rule", ["", "---\n\n"])
def test_a_note_at_the_edge_goes_and_is_reported(post: Make, note: str, rule: str) -> None:
    posts = [ended(post, n, rule + note) for n in range(4)] + [post(n) for n in range(4, 8)]
    cleaned, removed = remove(posts)
    assert [p.markdown for p in cleaned] == [post(n).markdown for n in range(8)]
    assert [(r.text, r.posts) for r in removed] == [
        (note.replace("{n}", "0"), tuple(p.id for p in posts[:4]))
    ]


def test_at_the_head_too(post: Make) -> None:
    cleaned, removed = remove([ended(post, n, "", NOTES[0] + "\n\n***") for n in range(3)])
    assert [p.markdown for p in cleaned] == [post(n).markdown for n in range(3)]
    assert removed[0].text == NOTES[0]


@pytest.mark.parametrize("habit", VOICE)
def test_what_the_author_always_says_is_voice(post: Make, habit: str) -> None:
    posts = [ended(post, n, habit, habit) for n in range(20)]
    assert remove(posts) == (posts, [])


def test_lines_that_differ_in_what_they_tell_stay(post: Make) -> None:
    walk = "{} km in 40:{}, heart rate {} ([track](https://tracks.example/{}))"
    posts = [ended(post, n, "", walk.format(5 + n, 10 + n, 131 + n, n)) for n in range(10)]
    assert remove(posts) == (posts, [])


@pytest.mark.parametrize(
    "note",
    [
        "First seen at [the old place](https://other.example) on {d}.",
        "First seen at [the old place](https://other.example) on 1{n}/0{n}/2019.",
        "This is part {n} of [a longer story](https://lock.example/story).",
        "[Letter](https://lock.example/letters) #{n} to all who keep a lock.",
    ],
)
def test_dates_and_places_in_a_series_make_no_other_note(post: Make, note: str) -> None:
    posts = [ended(post, n, note.replace("{d}", f"201{n}-0{n + 1}-1{n}")) for n in range(4)]
    cleaned, _ = remove(posts)
    assert [p.markdown for p in cleaned] == [post(n).markdown for n in range(4)]


def test_headings_and_code_stay(post: Make) -> None:
    tail = "## Licence and newsletter\n\n    git clone https://lock.example/all.git"
    posts = [ended(post, n, tail) for n in range(20)]
    assert remove(posts) == (posts, [])


def test_what_stands_inside_the_posts_stays(post: Make) -> None:
    posts = [post(n, f"{post(n).markdown}\n\n{NOTES[2]}\n\n{post(n + 50).markdown}") for n in range(10)]
    assert remove(posts) == (posts, [])


def test_twice_is_no_recurrence_and_neither_is_a_rare_one(post: Make) -> None:
    posts = [ended(post, n, NOTES[2]) for n in range(2)] + [post(n) for n in range(2, 6)]
    assert remove(posts) == (posts, [])
    many = [ended(post, n, NOTES[2] if n < 3 else "") for n in range(400)]
    assert remove(many) == (many, [])


def test_copies_of_one_post_do_not_make_its_end_a_note(post: Make) -> None:
    text = f"{post(1).markdown}\n\n{NOTES[2]}"
    posts = [post(n, text.replace("frost", word)) for n, word in enumerate(("frost", "ice", "rime", "snow"))]
    assert remove(posts) == (posts, [])


def test_short_posts_under_a_long_note_are_not_copies(post: Make) -> None:
    note = NOTES[2] + " " + " ".join(f"It comes on day {n} by the post boat." for n in range(9))
    posts = [post(n, f"Gate {n} is open and {n + 3} geese are through it.\n\n{note}") for n in range(5)]
    _, removed = remove(posts)
    assert len(removed[0].posts) == 5


def test_a_post_that_is_nothing_but_a_note_becomes_empty_not_an_error(post: Make) -> None:
    posts = [*(ended(post, n, NOTES[2]) for n in range(3)), post(9, NOTES[2])]
    cleaned, _ = remove(posts)
    assert cleaned[-1].markdown == ""


def test_the_sample_author_loses_nothing(author: list[Post]) -> None:
    assert remove(author) == (author, [])


def test_no_posts() -> None:
    assert remove([]) == ([], [])


def test_what_never_closes_costs_no_time(post: Make) -> None:
    opened = ["[a](", "](x", "][", "a-", "<", "![x](data:image/png;base64,AAAA "]
    started = time.perf_counter()
    for text in opened:
        remove([post(n, text * (20_000 // len(text))) for n in range(3)])
    assert time.perf_counter() - started < 10, "a single one of them took a minute"


@pytest.mark.parametrize("link", ["[here](https://a.example/x_(y))", "[a]: [b][c]", "<nan@lock.example>"])
def test_links_of_every_form_point_elsewhere(post: Make, link: str) -> None:
    posts = [ended(post, n, f"There is another place {link}") for n in range(4)]
    assert len(remove(posts)[1]) == 1
