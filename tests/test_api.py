"""The Python API, on the workspace that the README's commands left."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from llm_twin import Twin, compose
from llm_twin.contracts.records import Post
from llm_twin.errors import VersionNotFound
from tests.story import Story

QUESTION = "Why don't you like Lookout?"


def test_an_answer_names_its_model_its_features_and_real_spans(story: Story) -> None:
    with Twin.open(story.demo) as twin:
        pieces = list(reply := twin.stream(QUESTION))
        answer = reply.answer
    assert "".join(pieces) == answer.text
    assert not answer.refused
    assert answer.features == "F0001"
    assert answer.model in ("base", "v1")
    assert answer.timings["total"] > 0
    posts = {post.id: post for post in _posts(story)}
    assert answer.citations
    for citation in answer.citations:
        assert posts[citation.post_id].markdown[citation.start : citation.end] == citation.text


def test_search_gives_each_post_once(story: Story) -> None:
    with Twin.open(story.demo) as twin:
        hits = twin.search("wind and weather", k=5)
    assert len({hit.post_id for hit in hits}) == len(hits) == 5
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_base_and_version_answer_side_by_side(story: Story) -> None:
    with Twin.open(story.demo, model="v1") as twin:
        assert twin.models[:2] == ("base", "v1")
        assert twin.ask(QUESTION).model == "v1"
        assert twin.writer("base").ask(QUESTION).finish().model == "base"


def test_an_unknown_model_is_noticed_when_it_is_opened(story: Story) -> None:
    with pytest.raises(VersionNotFound, match="v99"):
        Twin.open(story.demo, model="v99")


def test_unknown_features_are_noticed_when_it_is_opened(tmp_path: Path) -> None:
    compose.init(tmp_path)
    with pytest.raises(VersionNotFound, match="feature version"):
        Twin.open(tmp_path, features="F9999")
    Twin.open(tmp_path, features="latest").close()  # the first may be built meanwhile


@pytest.mark.parametrize("key", ["", "sesame"])
def test_what_is_served_answers_for_its_own_host_and_asks_for_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    from starlette.testclient import TestClient

    served: list[tuple[Any, ...]] = []
    monkeypatch.setattr("llm_twin.inference.server.serve", lambda *given: served.append(given))
    monkeypatch.setenv("LLM_TWIN_API_KEY", f"{key}\n")  # as a file ends that it was read from
    compose.init(tmp_path)
    with Twin.open(tmp_path) as twin:
        twin.serve("127.0.0.2", 0)
        twin.serve("0.0.0.0", 0, allow_remote=True)
    assert [remote for *_, remote, _ in served] == [False, bool(key)]
    for (app, *_), host in zip(served, ("127.0.0.2", "192.168.1.7"), strict=True):
        client = TestClient(app, base_url=f"http://{host}")
        assert client.get("/healthz", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/healthz").status_code == (401 if key else 200)
        assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403


def _posts(story: Story) -> Iterable[Post]:
    return compose.feature_version(compose.open_workspace(story.demo), "F0001").posts.values()
