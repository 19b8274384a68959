from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llm_twin.collect.exports import twitter
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

ACCOUNT = [{"account": {"accountId": "7", "username": "Ann", "accountDisplayName": "Ann Example"}}]
LONG = (
    "A long text about tea, which I drink at noon, and about cake, which I eat whenever there is some. " * 6
)


def tweet(number: int, text: str = "Hello.", **changes: Any) -> dict[str, Any]:
    return {
        "tweet": {
            "id_str": str(number),
            "full_text": text,
            "created_at": "Mon Mar 01 17:00:00 +0000 2021",
            "retweeted": False,
            **changes,
        }
    }


def answer(number: int, to: int, text: str, user: str = "7") -> dict[str, Any]:
    return tweet(number, text, in_reply_to_status_id_str=str(to), in_reply_to_user_id_str=user)


def long(number: int, text: str, **core: Any) -> dict[str, Any]:
    return {"noteTweet": {"noteTweetId": str(number), "core": {"text": text, **core}}}


def archive(folder: Path, **files: list[Any]) -> Path:
    """An archive with data/<kind>.js for each keyword; a name such as tweets_part1 is that of a part."""
    data = folder / "twitter-2024" / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name, records in ({"account": ACCOUNT} | files).items():
        kind, _, part = name.partition("_part")
        body = f"window.YTD.{kind}.part{part or 0} = {json.dumps(records)}"
        (data / f"{name.replace('_', '-')}.js").write_text(body)
    return folder


def opened(path: Path) -> tuple[Export | None, list[Item]]:
    with Archive(path) as found:
        export = twitter.read(found)
        return export, list(export.items) if export else []


def read(tmp_path: Path, *tweets: Any, **files: list[Any]) -> list[Item]:
    return opened(archive(tmp_path, tweets=list(tweets), **files))[1]


def posts(items: list[Item]) -> dict[str, str]:
    return {p.url.rpartition("/")[2]: p.markdown for p in items if isinstance(p, Post)}


def reasons(items: list[Item]) -> list[str]:
    return [r.reason for r in items if isinstance(r, Rejected)]


def test_a_real_shaped_export_gives_exactly_the_authors_words(test_data: Path) -> None:
    folder = test_data / "export-social-synthetic" / "twitter"
    expected = {e["id"]: e for e in json.loads((folder / "expected.json").read_text())}
    export, items = opened(folder)
    assert export is not None
    assert (export.source, export.complete) == ("x:7", True)
    # The tweets of a thread are one post with the address of the first: the paragraphs of all posts together,
    # in order, are the texts that are expected, each exactly once, and nothing else.
    paragraphs = [p for text in posts(items).values() for p in text.split("\n\n")]
    assert paragraphs == [e["text"] for e in expected.values() if e["keep"]]
    assert Counter(reasons(items)) == Counter({"retweet": 12})
    kinds = {p.url.rpartition("/")[2]: p.kind for p in items if isinstance(p, Post)}
    assert {k for k, kind in kinds.items() if kind == "reply"} == {
        k for k, e in expected.items() if e["kind"] == "reply"
    }
    assert kinds.keys() == {k for k, e in expected.items() if e["keep"] and e["kind"] != "thread"}
    assert {p.title for p in items if isinstance(p, Post)} == {""}


def test_a_zip_a_folder_and_the_file_alone_give_the_same_posts(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "export-social-synthetic" / "twitter"
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for name in ("account.js", "tweets.js"):
            file.write(folder / "data" / name, f"twitter-2024-01-01-abc/data/{name}")
    renamed = tmp_path / "my posts.txt"
    renamed.write_bytes((folder / "data" / "tweets.js").read_bytes())
    found = [opened(path) for path in (folder, packed, renamed)]
    assert found[0][1] == found[1][1]
    assert posts(found[0][1]) == posts(found[2][1])
    alone = found[2][0]
    assert alone is not None
    assert (alone.source, alone.complete) == ("x", False)


def test_own_threads_are_joined_and_answers_to_others_are_apart(tmp_path: Path) -> None:
    items = read(
        tmp_path,
        answer(12, 11, "Two."),
        tweet(11, "One."),
        answer(13, 99, "@bob Yes.", user="42"),
        answer(14, 13, "@bob And more."),
        answer(15, 98, "Goes on from one that was deleted."),
        tweet(16, "@bob Look at this"),
        tweet(17, "@ann talks to herself", in_reply_to_screen_name="ANN"),
    )
    assert posts(items) == {
        "11": "One.\n\nTwo.",
        "13": "Yes.\n\nAnd more.",
        "15": "Goes on from one that was deleted.",
        "16": "Look at this",
        "17": "talks to herself",
    }
    kinds = {p.url.rpartition("/")[2]: p.kind for p in items if isinstance(p, Post)}
    assert kinds == {"11": "note", "13": "reply", "15": "note", "16": "reply", "17": "note"}


def test_parts_and_older_names_are_read(tmp_path: Path) -> None:
    first = archive(tmp_path / "a", tweets=[tweet(1)], tweets_part1=[tweet(2)])
    assert set(posts(opened(first)[1])) == {"1", "2"}
    older = archive(tmp_path / "b", tweet=[tweet(1), {"id_str": "3", "full_text": "Bare."}])
    assert set(posts(opened(older)[1])) == {"1", "3"}


def test_retweets_and_old_ways_to_retell_keep_only_the_authors_own_words(tmp_path: Path) -> None:
    items = read(
        tmp_path,
        tweet(1, "RT @bob: Their words"),
        tweet(2, "Their words", retweeted_status={}),
        tweet(3, "My own words, which I shared again", retweeted=True),
        tweet(4, "So true! RT @bob: Their words"),
        tweet(5, "“@bob: Their “good” words” I agree"),
        tweet(6, 'RT is not "a word", he said'),
    )
    assert posts(items) == {
        "3": "My own words, which I shared again",
        "4": "So true!",
        "5": "I agree",
        "6": 'RT is not "a word", he said',
    }
    assert reasons(items) == ["retweet", "retweet"]


def test_escapes_are_undone_once_and_addresses_are_those_that_were_typed(tmp_path: Path) -> None:
    entities = {
        "urls": [{"url": "https://t.co/a", "expanded_url": "https://a.example/?x=1&y=2"}, 3, {"url": None}],
        "media": [{"url": "https://t.co/pic"}],
        "hashtags": [{"text": "tea"}, {}],
    }
    text = "I &lt;3 &amp;amp; https://t.co/a https://t.co/pic more #tea\nA line https://t.co/unknown"
    [post] = read(tmp_path, tweet(1, text, entities=entities))
    assert isinstance(post, Post)
    assert post.markdown == "I <3 &amp; https://a.example/?x=1&y=2 more #tea  \nA line"
    assert (post.tags, post.published_at) == (("tea",), "2021-03-01T17:00:00+00:00")


def test_a_tweet_with_nothing_but_a_picture_or_an_address_is_no_post(tmp_path: Path) -> None:
    picture = {"media": [{"url": "https://t.co/pic"}]}
    items = read(
        tmp_path,
        tweet(1, "https://t.co/pic", entities=picture),
        tweet(2, "https://t.co/x #tea"),
        tweet(3, ""),
    )
    assert reasons(items) == ["no text"] * 3


def test_a_long_text_replaces_the_beginning_that_its_tweet_shows(tmp_path: Path) -> None:
    whole = f"{LONG}See https://t.co/b &amp; more."
    shown = whole[:270].rstrip() + "… https://t.co/self"
    items = read(
        tmp_path,
        tweet(50, f"@bob {shown}", in_reply_to_screen_name="bob"),
        tweet(60, shown),
        tweet(70, "A long text about tea, which I drink at noon"),
        note_tweet=[
            long(49, whole, urls=[{"shortUrl": "https://t.co/b", "expandedUrl": "https://b.example"}]),
            long(58, whole + " Again."),
            long(60, LONG[:40] + "and something else."),
            long(90, "A private long text that went to a circle."),
        ],
    )
    found = posts(items)
    assert found["50"] == f"{LONG}See https://b.example & more."
    assert found["60"].endswith("more. Again.")
    assert found["70"] == "A long text about tea, which I drink at noon"
    unused = [r.where for r in items if isinstance(r, Rejected) and r.reason == "long text without its tweet"]
    assert unused == ["60", "90"]


def test_a_long_text_that_is_not_escaped_stays_as_it_was_typed(tmp_path: Path) -> None:
    whole = LONG + "If a < b, write &lt;."
    items = read(tmp_path, tweet(50, LONG[:200] + "…"), note_tweet=[long(49, whole)])
    assert posts(items) == {"50": whole}


def test_of_an_edited_tweet_only_the_last_version_is_taken(tmp_path: Path) -> None:
    edits = {"initial": {"editTweetIds": ["1", "2"]}}
    later = {"edit": {"initialTweetId": "1", "editControlInitial": {"editTweetIds": ["1", "2"]}}}
    items = read(
        tmp_path,
        tweet(1, "Helo.", edit_info=edits),
        tweet(2, "Hello.", edit_info=later),
        answer(3, 1, "More."),
    )
    assert posts(items) == {"2": "Hello.\n\nMore."}
    assert items[0] == Rejected("1", "older version")


def test_private_deleted_and_other_peoples_texts_are_never_taken(tmp_path: Path) -> None:
    items = read(
        tmp_path,
        tweet(1, "Public."),
        tweet(2, "Circle that is in both files."),
        {"tweet": {"full_text": "No id."}},
        twitter_circle_tweet=[tweet(2, "Circle that is in both files."), tweet(3, "Circle."), {"tweet": {}}],
        deleted_tweets=[tweet(4, "Deleted.")],
        direct_messages=[{"dmConversation": {"messages": [{"messageCreate": {"text": "Secret."}}]}}],
        direct_messages_group=[{"dmConversation": {"messages": []}}],
        like=[{"like": {"tweetId": "5", "fullText": "Liked."}}],
        tweet_headers=[{"tweet": {"tweet_id": "6"}}],
        article=[{"article": {"id": "8", "title": "Draft"}}],
    )
    assert posts(items) == {"1": "Public."}
    assert Counter(reasons(items)) == Counter({"circle tweet": 3, "X article": 1, "broken record": 1})


@pytest.mark.parametrize(
    "kind", ["direct_messages", "deleted_tweets", "twitter_circle_tweet", "account", "like"]
)
def test_a_file_of_another_kind_given_alone_is_not_taken_for_tweets(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "tweets.js"
    path.write_text(f"window.YTD.{kind}.part0 = {json.dumps([tweet(1)])}")
    assert opened(path)[0] is None


def test_broken_records_are_counted_and_the_export_is_not_complete(tmp_path: Path) -> None:
    odd: list[Any] = [
        None,
        7,
        "text",
        [],
        tweet(1, 5),
        {"tweet": {"full_text": "No id."}},
        tweet(2, id_str="x"),
    ]  # type: ignore[arg-type]
    wrong = tweet(
        4, "Kept.", entities=[], created_at=9, in_reply_to_status_id_str=[], edit_info={"initial": [1]}
    )
    export, items = opened(archive(tmp_path, tweets=[*odd, wrong, tweet(5, "Too.", created_at="soon")]))
    assert reasons(items) == ["broken record"] * 7
    assert posts(items) == {"4": "Kept.", "5": "Too."}
    assert {p.published_at for p in items if isinstance(p, Post)} == {None}
    assert export is not None
    assert not export.complete


def test_a_part_that_is_cut_off_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    folder = archive(tmp_path, tweets=[tweet(1)], tweets_part1=[tweet(2)])
    part = folder / "twitter-2024" / "data" / "tweets-part1.js"
    part.write_text(part.read_text()[:-9])
    export, items = opened(folder)
    assert export is not None
    assert not export.complete
    assert items[0] == Rejected("twitter-2024/data/tweets-part1.js", "not JSON")
    assert set(posts(items)) == {"1"}


@pytest.mark.parametrize("body", ["[" * 100_000, "", "{}", "[1, 2", '"text"', "null", "[NaN, 1e999]"])
def test_malformed_tweets_are_an_export_without_posts(tmp_path: Path, body: str) -> None:
    path = tmp_path / "tweets.js"
    path.write_text(f"window.YTD.tweets.part0 = {body}")
    export, items = opened(path)
    assert export is not None
    assert posts(items) == {}
    assert not export.complete


def test_huge_numbers_and_half_surrogates_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    nine = "9" * 5000
    records = f'[{{"id": {nine}, "full_text": "a"}}, {{"id": "3", "full_text": "\\ud83dHalf."}}]'
    path.write_text(f"window.YTD.tweets.part0 = {records};\n")
    _, items = opened(path)
    assert posts(items) == {"3": "Half."}
    assert reasons(items) == ["broken record"]


def test_other_archives_are_not_recognised(test_data: Path, tmp_path: Path) -> None:
    for other in ("exports/medium", "exports/substack", "export-social-synthetic/mastodon"):
        assert opened(test_data / other)[0] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert opened(empty)[0] is None
