"""The Python API, on the workspace that the README's commands left."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from llm_twin import Twin, compose
from llm_twin.contracts.manifests import PartId
from llm_twin.contracts.records import Post
from llm_twin.errors import EngineError, IntegrityError, MismatchError, VersionNotFound
from llm_twin.registry import Pair, Registry
from tests.compose.tiny import make_base
from tests.compose.traces import write_posts
from tests.registry.made import manifest
from tests.story import Story

# peft asks transformers for a property that was renamed in 5.x.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

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
    assert [remote for _, _, _, remote, *_ in served] == [False, bool(key)]
    for (app, *_), host in zip(served, ("127.0.0.2", "192.168.1.7"), strict=True):
        client = TestClient(app, base_url=f"http://{host}")
        assert client.get("/healthz", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/healthz").status_code == (401 if key else 200)
        assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 403


def test_what_cannot_answer_is_not_served(tmp_path: Path) -> None:
    compose.init(tmp_path)
    said: list[str] = []
    with Twin.open(tmp_path) as twin, pytest.raises(VersionNotFound, match="features build"):
        twin.serve(port=0, listening=said.append)
    assert said == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace on a tiny base with F0001 and F0002, whose adapters v1 to v3 were trained on the first."""
    from peft import LoraConfig, get_peft_model

    from llm_twin.adapters.base_model import load_model

    folder = tmp_path_factory.mktemp("built")
    compose.init(folder / "twin")
    file, base = folder / "twin" / "twin.yaml", make_base(folder / "base")
    file.write_text(file.read_text().replace("id: SmolLM2-135M-Instruct", f"id: {base}"))
    space = compose.open_workspace(folder / "twin")
    for last in (4, 5):
        write_posts(folder / "blog", *range(last))
        compose.collect(space, [str(folder / "blog")])
        compose.build_features(space)
    features, resolved = compose.feature_version(space, "F0001"), compose.base_model(space)
    trained = manifest(
        prompt=features.manifest.prompt,
        features=PartId(name="F0001", id=features.manifest.content_id),
        base=PartId(name=resolved.name, id=resolved.id),
    )
    for rank in (1, 2, 3):
        lora = LoraConfig(r=rank, target_modules=["q_proj"], task_type="CAUSAL_LM")
        get_peft_model(load_model(resolved), lora).save_pretrained(folder / f"rank{rank}")
        space.registry.register(folder / f"rank{rank}", trained)
    return folder


@pytest.fixture
def space(built: Path, tmp_path: Path) -> compose.Twinspace:
    """A copy of it in which v2 is live with F0001."""
    shutil.copytree(built / "twin", tmp_path / "twin")
    space = compose.open_workspace(tmp_path / "twin")
    space.registry.switch(Pair("v2", "F0001"), "a test", expected=None)
    return space


def test_what_was_served_and_is_gone_is_not_started_again(space: compose.Twinspace) -> None:
    with Twin(space) as twin:
        assert twin.writer("v1").engine.models == ("base", "v1", "v2")
        with space.registry.turn():
            space.registry.bury([space.registry.manifest("v1")], "a test")
        space.registry.switch(Pair("v3", "F0001"), "a test", expected=Pair("v2", "F0001"))
        writer = twin.writer()
        assert (writer.model, writer.engine.models) == ("v3", ("base", "v2", "v3"))
        with pytest.raises(VersionNotFound, match="v1 is gone"):
            twin.writer("v1")


def test_beside_a_live_model_that_is_damaged_the_base_and_others_serve(space: compose.Twinspace) -> None:
    weights = space.registry.get("v2").folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with Twin(space) as twin:
        for name in ("base", "v1", "base"):
            assert twin.writer(name).model == name
        with pytest.raises(IntegrityError):
            twin.writer()
        assert twin.writer("v3").model == "v3"


def test_beside_a_live_model_of_another_base_the_base_serves(
    space: compose.Twinspace, tmp_path: Path
) -> None:
    other = make_base(tmp_path / "other", seed=8)
    with Twin(compose.open_workspace(space.workspace.root, [f"base.id={other}"])) as twin:
        assert twin.writer("base").model == "base"
        with pytest.raises(MismatchError, match="v2 is an adapter for"):
            twin.writer()


def test_a_switch_while_it_looks_never_mixes_two_pairs(
    space: compose.Twinspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, live = Pair("v2", "F0001"), Pair("v3", "F0002"), Registry.live

    def then_switched(registry: Registry) -> Pair | None:
        found = live(registry)
        registry.switch(new, "another process", expected=old)
        return found

    monkeypatch.setattr(Registry, "live", then_switched)
    with Twin(space) as twin:
        for pair in (old, new):
            writer = twin.writer()
            assert Pair(writer.model, writer.features.name) == pair


def test_where_the_next_engine_finds_no_room_a_rollback_finds_the_one_before(
    space: compose.Twinspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(base: object, dtype: str) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with Twin(space) as twin:
        engine = twin.writer().engine
        monkeypatch.setattr("llm_twin.adapters.transformers_engine.load_model", full)
        space.registry.switch(Pair("v3", "F0002"), "a test", expected=Pair("v2", "F0001"))
        for _ in range(2):
            with pytest.raises(EngineError, match="no room on the GPU"):
                twin.writer()
        compose.rollback(space)
        assert twin.writer().engine is engine


def _posts(story: Story) -> Iterable[Post]:
    return compose.feature_version(compose.open_workspace(story.demo), "F0001").posts.values()
