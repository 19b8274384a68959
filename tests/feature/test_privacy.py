from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config, load
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.prose import join
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import EmptyStore
from llm_twin.feature import run
from llm_twin.feature.clean import clean_post
from llm_twin.feature.privacy import guard
from llm_twin.workspace import Workspace

Make = Callable[..., Post]
KEY = "npm_" + "k7Qz2mXv9Lr4Tn8Wb1Yc6Hd3Jf5Pg0RsAuEi"
REVEALING = (
    "Write to ida@lockmail.org, or ring (415) 555-2671 before noon; don't ring at night, she's asleep."
)


def test_masked_in_title_and_text_and_the_revision_names_the_source(post: Make) -> None:
    revealing = post(1, f"{REVEALING}\n\n    export T={KEY}\n", title="Mail ida@lockmail.org")
    guarded = guard([revealing, post(2)], masked=True)
    assert guarded.posts[0].title == "Mail [e-mail address]"
    assert guarded.posts[0].markdown == (
        "Write to [e-mail address], or ring [phone number] before noon; "
        "don't ring at night, she's asleep.\n\n"
        "    export T=[key or token]\n"
    )
    assert guarded.posts[0].revision == revealing.revision
    assert guarded.counts == {"e-mail address": 2, "phone number": 1, "key or token": 1}
    assert guarded.remark == "Masked: 2 e-mail addresses, 1 phone number and 1 key or token in 1 post."


def test_not_masked_is_reported_with_what_it_means(post: Make) -> None:
    posts = [post(1, REVEALING), post(2, f"It was {KEY}.")]
    guarded = guard(posts, masked=False)
    assert guarded.posts == posts
    assert guarded.counts == {"e-mail address": 1, "phone number": 1, "key or token": 1}
    assert "Not masked" in guarded.remark
    assert "in 2 posts" in guarded.remark
    assert "features.mask" in guarded.remark


def test_posts_without_finds_are_the_same_objects(author: list[Post]) -> None:
    """The sample author reveals nothing, so that masking changes nothing of what is built from it."""
    cleaned = [clean_post(post) for post in author]
    guarded = guard(cleaned, masked=True)
    assert all(a is b for a, b in zip(guarded.posts, cleaned, strict=True))
    assert (guarded.counts, guarded.concerned, guarded.remark) == ({}, 0, "")


class Listens(Silent):
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def revealing_posts(post: Make) -> list[Post]:
    # In prose of its own, so that samples are made of it; at the front, so that its post is trained on.
    return [post(0, f"{REVEALING} {REVEALING}\n\n{post(0).markdown}"), *(post(n) for n in range(1, 30))]


def test_nothing_private_reaches_a_version(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    space, listens = Workspace(tmp_path), Listens()
    report = run(revealing_posts(post), Config(), embedder, store, space, listens)
    assert (report.private, report.masked) == ({"e-mail address": 2, "phone number": 2}, True)
    assert report.remarks == ("Masked: 2 e-mail addresses and 2 phone numbers in 1 post.",)
    assert listens.lines == list(report.remarks)
    folder = space.features / report.version
    for path in folder.iterdir():
        assert b"lockmail" not in path.read_bytes(), path.name
        assert b"555-2671" not in path.read_bytes(), path.name
    assert not [text for text in embedder.seen if "lockmail" in text]
    version = FeatureVersion.open(folder)
    assert version.manifest.parameters["mask"] is True
    masked = version.posts[post(0).id]
    assert masked.markdown.startswith("Write to [e-mail address], or ring [phone number] before noon; don't")
    mine = [s for s in version.samples if s.post_id == masked.id]
    assert any("[e-mail address]" in s.completion for s in mine)
    assert all(join(masked.markdown, s.spans) == s.completion for s in mine)
    for chunk in version.chunks.values():
        assert version.posts[chunk.post_id].markdown[chunk.start : chunk.end] == chunk.text


def test_masking_can_be_switched_off_and_makes_another_version(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    space, posts = Workspace(tmp_path), revealing_posts(post)
    masked = run(posts, Config(), embedder, store, space, Silent())
    plain = run(posts, load(overrides=["features.mask=false"]), embedder, store, space, Silent())
    assert plain.created
    assert (plain.private, plain.masked) == (masked.private, False)
    first, second = (FeatureVersion.open(space.features / r.version) for r in (masked, plain))
    assert first.manifest.content_id != second.manifest.content_id
    assert first.manifest.posts == second.manifest.posts  # the revisions: the same sources
    assert REVEALING in second.posts[post(0).id].markdown


def test_dropped_posts_are_not_counted(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(1, "Mail ida@lockmail.org."), *(post(n) for n in range(2, 12))]
    report = run(posts, Config(), embedder, store, Workspace(tmp_path), Silent())
    assert report.private == {}
    with pytest.raises(EmptyStore):
        run(posts[:1], Config(), embedder, store, Workspace(tmp_path), Silent())
