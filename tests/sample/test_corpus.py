"""The sample corpus holds what the rest of the project measures itself against."""

import re
from collections import Counter, defaultdict

from llm_twin.sample import SamplePost, posts, questions, unanswerable
from llm_twin.sample.entries import comments

NGRAM = 8
AUTHOR = "Maud Orrick"


def _prose(post: SamplePost) -> list[str]:
    """The words of a post without its code and without the marks of Markdown."""
    text = re.sub(r"^```.*?^```", " ", post.markdown, flags=re.M | re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.findall(r"\w+(?:['.,:/-]\w+)*", text)


def test_there_are_enough_posts_over_six_years() -> None:
    written = posts()
    assert len(written) >= 48
    assert len({post.date.year for post in written}) >= 6
    assert len({post.slug for post in written}) == len(written)
    assert len({post.title for post in written}) == len(written)
    assert written == sorted(written, key=lambda post: post.date)


def test_every_post_is_a_post_s_length() -> None:
    lengths = {post.slug: len(_prose(post)) for post in posts()}
    assert {slug: length for slug, length in lengths.items() if not 300 <= length <= 700} == {}


def test_no_turn_of_eight_words_is_worn_out() -> None:
    seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for post in posts():
        words = [word.lower() for word in _prose(post)]
        for start in range(len(words) - NGRAM + 1):
            seen[tuple(words[start : start + NGRAM])].add(post.slug)
    assert {" ".join(gram): slugs for gram, slugs in seen.items() if len(slugs) > 3} == {}


def test_links_between_posts_resolve() -> None:
    paths = {post.path for post in posts()}
    links = [link for post in posts() for link in re.findall(r"\]\((/[^)#]*)", post.markdown)]
    assert links
    assert [link for link in links if link not in paths] == []


def test_every_kind_of_markup_occurs() -> None:
    together = "\n".join(post.markdown for post in posts())
    for mark in (
        r"^```python",
        r"^- ",
        r"^1\. ",
        r"^> ",
        r"^## ",
        r"^\|.*\|$",
        r"\*\w[^*\n]*\*",
        r"`[^`\n]+`",
    ):
        assert re.search(mark, together, re.M), mark


def test_every_question_is_answered_literally_in_its_post() -> None:
    markdown = {post.slug: post.markdown for post in posts()}
    asked = questions()
    assert len(asked) == 60
    assert [question.id for question in asked if question.answer_span not in markdown[question.post]] == []
    assert all(question.question.strip() and question.answer_span.strip() for question in asked)


def test_fifteen_questions_have_no_answer_and_ids_are_unique() -> None:
    assert len(unanswerable()) == 15
    ids = [question.id for question in questions()] + [question.id for question in unanswerable()]
    assert len(set(ids)) == len(ids) == 75


def test_comments_are_other_people_s() -> None:
    dates = {post.slug: post.date for post in posts()}
    said = comments()
    everyone = [comment for listed in said.values() for comment in listed]
    assert 25 <= len(everyone) <= 35
    assert len(said) >= 12
    assert set(said) <= set(dates)
    assert sum(comment.by_author for comment in everyone) <= 3
    assert all((comment.name == AUTHOR) == comment.by_author for comment in everyone)
    assert all(dates[slug] <= listed[0].date for slug, listed in said.items())
    assert all(listed == tuple(sorted(listed, key=lambda one: one.date)) for listed in said.values())


def test_readers_are_not_one_reader() -> None:
    readers = Counter(comment.name for listed in comments().values() for comment in listed)
    assert len(readers) >= 15
