from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llm_twin.collect.exports import mastodon
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

ME = "https://social.example/users/ann"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
FOLLOWERS = f"{ME}/followers"


def note(number: int, content: str = "<p>Hello.</p>", **changes: Any) -> dict[str, Any]:
    key = f"{ME}/statuses/{number}"
    audience = {"to": changes.pop("to", [PUBLIC]), "cc": changes.pop("cc", [FOLLOWERS])}
    inner = {
        "id": key,
        "type": "Note",
        "url": f"https://social.example/@ann/{number}",
        "published": f"2024-01-01T00:00:{number:02}Z",
        "attributedTo": ME,
        "inReplyTo": None,
        "content": content,
        **audience,
        **changes,
    }
    return {"id": f"{key}/activity", "type": "Create", "actor": ME, "object": inner, **audience}


def outbox(*activities: Any) -> str:
    return json.dumps({"id": "outbox.json", "type": "OrderedCollection", "orderedItems": activities})


def opened(path: Path) -> tuple[Export | None, list[Item]]:
    with Archive(path) as archive:
        export = mastodon.read(archive)
        return export, list(export.items) if export else []


def read(tmp_path: Path, *activities: Any) -> list[Item]:
    path = tmp_path / "outbox.json"
    path.write_text(outbox(*activities))
    return opened(path)[1]


def posts(items: list[Item]) -> dict[str, str]:
    return {p.url.rpartition("/")[2]: p.markdown for p in items if isinstance(p, Post)}


def reasons(items: list[Item]) -> list[str]:
    return [r.reason for r in items if isinstance(r, Rejected)]


def test_a_real_shaped_export_gives_exactly_what_is_public(test_data: Path) -> None:
    folder = test_data / "export-social-synthetic" / "mastodon"
    expected = json.loads((folder / "expected.json").read_text())
    export, items = opened(folder)
    assert export is not None
    assert (export.source, export.complete) == ("mastodon:https://social.example/users/author", True)
    assert posts(items) == {e["id"].rpartition("/")[2]: e["text"] for e in expected if e["keep"]}
    refused = Counter({"boost": 10, "direct message": 8, "followers only": 8})
    assert Counter(reasons(items)) == refused
    kinds = {p.url.rpartition("/")[2]: p.kind for p in items if isinstance(p, Post)}
    answers = {e["id"].rpartition("/")[2] for e in expected if e["keep"] and e["kind"] == "reply"}
    assert {key for key, kind in kinds.items() if kind == "reply"} == answers
    assert set(kinds.values()) == {"note", "reply"}
    tagged = {p.tags for p in items if isinstance(p, Post)}
    assert tagged == {(), ("programming",)}


def test_nothing_private_is_in_any_post(test_data: Path) -> None:
    folder = test_data / "export-social-synthetic" / "mastodon"
    expected = json.loads((folder / "expected.json").read_text())
    everything = "\n".join(posts(opened(folder)[1]).values())
    assert not [e["text"] for e in expected if not e["keep"] and e["text"] and e["text"] in everything]


def test_a_zip_a_folder_and_the_file_alone_give_the_same_posts(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "export-social-synthetic" / "mastodon"
    packed = tmp_path / "archive-2024.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for name in ("outbox.json", "actor.json"):
            file.write(folder / name, f"archive-2024/{name}")
    renamed = tmp_path / "my posts.txt"
    renamed.write_bytes((folder / "outbox.json").read_bytes())
    found = [opened(path) for path in (folder, packed, renamed)]
    assert found[0][1] == found[1][1]
    assert posts(found[0][1]) == posts(found[2][1])
    assert len({export.source for export, _ in found if export}) == 1


@pytest.mark.parametrize(
    ("to", "cc", "reason"),
    [
        ([PUBLIC], [FOLLOWERS], None),
        ([FOLLOWERS], [PUBLIC], None),
        ("as:Public", [], None),
        ([FOLLOWERS], [], "followers only"),
        ([FOLLOWERS], ["https://other.example/users/bob"], "followers only"),
        (["https://other.example/users/bob"], [], "direct message"),
        (None, None, "direct message"),
        ({"id": PUBLIC}, [], "direct message"),
        ("https://other.example/#Public", [], "direct message"),
    ],
)
def test_only_what_is_addressed_to_everybody_is_taken(
    tmp_path: Path, to: Any, cc: Any, reason: str | None
) -> None:
    assert reasons(read(tmp_path, note(1, to=to, cc=cc))) == ([reason] if reason else [])


def test_a_note_that_is_narrower_than_its_activity_is_private(tmp_path: Path) -> None:
    activity = note(1, to=[FOLLOWERS], cc=[])
    activity["to"] = [PUBLIC]
    other = note(2)
    other["to"], other["cc"] = [FOLLOWERS], []
    assert reasons(read(tmp_path, activity, other)) == ["followers only"] * 2


def test_own_threads_are_joined_and_answers_to_others_are_apart(tmp_path: Path) -> None:
    items = read(
        tmp_path,
        note(1, "<p>One.</p>"),
        note(2, "<p>Two.</p>", inReplyTo=f"{ME}/statuses/1"),
        note(3, "<p>Secret.</p>", inReplyTo=f"{ME}/statuses/2", to=[FOLLOWERS], cc=[]),
        note(4, "<p>Three.</p>", inReplyTo=f"{ME}/statuses/2"),
        note(5, "<p>@bob Yes.</p>", inReplyTo="https://other.example/users/bob/statuses/7"),
        note(6, "<p>And more.</p>", inReplyTo=f"{ME}/statuses/5"),
        note(7, "<p>Goes on from one that was deleted.</p>", inReplyTo=f"{ME}/statuses/0"),
    )
    assert posts(items) == {
        "1": "One.\n\nTwo.\n\nThree.",
        "5": "Yes.\n\nAnd more.",
        "7": "Goes on from one that was deleted.",
    }
    assert [p.kind for p in items if isinstance(p, Post)] == ["note", "reply", "note"]
    assert reasons(items) == ["followers only"]


def test_paragraphs_links_hashtags_mentions_and_shortcodes_stay_as_readers_see_them(tmp_path: Path) -> None:
    content = (
        '<p>It’s here — <a href="https://a.example/long/way"><span class="invisible">https://</span>'
        '<span class="ellipsis">a.example/lo</span><span class="invisible">ng/way</span></a>, says '
        '<span class="h-card"><a href="https://other.example/@bob">@<span>bob</span></a></span> :blobcat:</p>'
        '<p>I love <a href="https://social.example/tags/tea" class="mention hashtag">#<span>tea</span></a>.'
        "<br>Really.</p>"
    )
    tag = [
        {"type": "Hashtag", "name": "#tea"},
        {"type": "Mention", "name": "@bob"},
        "odd",
        {"type": "Hashtag"},
    ]
    [post] = read(tmp_path, note(1, content, tag=tag))
    assert isinstance(post, Post)
    assert post.markdown == (
        "It’s here — https://a.example/long/way, says @bob :blobcat:\n\nI love #tea.  \nReally."
    )
    assert (post.title, post.tags, post.published_at) == ("", ("tea",), "2024-01-01T00:00:01+00:00")


def test_a_content_warning_is_no_part_of_the_text(tmp_path: Path) -> None:
    items = read(tmp_path, note(1, "<p>They eat the cake.</p>", summary="Ending of a film", sensitive=True))
    assert posts(items) == {"1": "They eat the cake."}


def test_the_address_of_a_quoted_note_is_no_part_of_the_text(tmp_path: Path) -> None:
    quoted = '<p class="quote-inline">RE: <a href="https://other.example/1">https://other.example/1</a></p>'
    assert posts(read(tmp_path, note(1, f"{quoted}<p>So true.</p>"))) == {"1": "So true."}


def test_others_activities_are_refused_with_their_reason(tmp_path: Path) -> None:
    boost = {"id": "b", "type": "Announce", "actor": ME, "to": [PUBLIC], "object": "https://other.example/1"}
    theirs = note(2)
    theirs["actor"] = "https://other.example/users/bob"
    borrowed = note(3, attributedTo="https://other.example/users/bob")
    items = read(tmp_path, note(1), note(4), boost, theirs, borrowed, {"type": "Like", "actor": ME})
    assert set(posts(items)) == {"1", "4"}
    assert reasons(items) == ["boost", "by someone else", "by someone else", "other activity"]


def test_broken_records_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    without = note(2)
    del without["object"]["id"]
    path = tmp_path / "outbox.json"
    odd = [None, 7, "text", [], {"type": "Create", "actor": ME}, without, note(3, content=5)]  # type: ignore[arg-type]
    path.write_text(outbox(note(1), *odd, note(4, published=12, url=[], tag={}, inReplyTo=0)))
    export, items = opened(path)
    assert reasons(items) == ["broken record"] * 7
    assert set(posts(items)) == {"1", "4"}
    assert export is not None
    assert not export.complete


def test_huge_numbers_surrogates_and_deep_html_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "outbox.json"
    deep = [note(2, "<div>" * 5000 + "Deep."), note(3), note(4, "<ul><li>" * 300 + "Deeper.")]
    body = outbox(note(1, "<p>Half\ud83d of one.</p>"), *deep)
    path.write_text(body.replace('{"id"', '{"n": ' + "9" * 5000 + ', "id"', 1))
    _, items = opened(path)
    assert len(items) == 4
    assert posts(items)["1"] == "Half of one."
    assert posts(items)["3"] == "Hello."
    assert posts(items)["4"].endswith(" Deeper.")


def test_a_media_note_without_words_is_no_post(tmp_path: Path) -> None:
    assert (
        reasons(read(tmp_path, note(1, ""), note(2, content=None), note(3, "<p>#cats</p>")))
        == ["no text"] * 3
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        "not JSON",
        '{"orderedItems": 3}',
        '{"type": "OrderedCollection", "id": "likes.json", "orderedItems": ["https://other.example/1"]}',
        '{"type": "OrderedCollection", "orderedItems": {}}',
        '{"type": ["OrderedCollection"], "orderedItems": [{"actor": 1}]}',
        "{" * 100_000 + '"orderedItems"',
        "\ufeff[1]",
    ],
)
def test_other_files_are_not_taken_for_an_outbox(tmp_path: Path, body: str) -> None:
    path = tmp_path / "outbox.json"
    path.write_text(body)
    assert opened(path)[0] is None


def test_an_outbox_that_is_cut_off_is_named_and_never_complete(tmp_path: Path) -> None:
    path = tmp_path / "outbox.json"
    path.write_text(outbox(note(1), note(2))[:-40])
    export, items = opened(path)
    assert export is not None
    assert not export.complete
    assert items == [Rejected("outbox.json", "not JSON")]


def test_an_empty_outbox_says_nothing_of_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.json"
    path.write_text(outbox())
    export, items = opened(path)
    assert export is not None
    assert (export.complete, items) == (False, [])


def test_other_archives_are_not_recognised(test_data: Path, tmp_path: Path) -> None:
    for other in ("exports/medium", "exports/wordpress", "export-social-synthetic/twitter"):
        assert opened(test_data / other)[0] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert opened(empty)[0] is None
