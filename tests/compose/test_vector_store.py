"""Which vector store the configuration chooses, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from llm_twin import compose, config
from llm_twin.adapters.edge import EdgeStore
from llm_twin.adapters.qdrant_server import QdrantServerStore
from llm_twin.compose.parts import vector_store
from llm_twin.compose.space import Twinspace, open_workspace
from llm_twin.errors import ConfigError, StoreError
from llm_twin.workspace import Workspace

SERVER = ("store.kind=qdrant", "store.url=http://localhost:6333")


def space(folder: Path, *overrides: str) -> Twinspace:
    if not folder.exists():
        compose.init(folder)
    return open_workspace(folder, overrides)


def test_vectors_lie_in_the_workspace_by_default(tmp_path: Path) -> None:
    twin = space(tmp_path / "twin")
    store = vector_store(twin)
    assert isinstance(store, EdgeStore)
    assert store._folder == twin.workspace.index
    assert not (tmp_path / "twin" / "workspace.id").exists()


def test_each_workspace_has_its_own_prefix_on_a_server_and_keeps_it_when_it_moves(tmp_path: Path) -> None:
    prefixes = []
    for name in ("one", "two", "one"):
        store = vector_store(space(tmp_path / name, *SERVER))
        assert isinstance(store, QdrantServerStore)
        prefixes.append(store._prefix)
    (tmp_path / "one").rename(tmp_path / "moved")
    moved = vector_store(space(tmp_path / "moved", *SERVER))
    assert isinstance(moved, QdrantServerStore)
    assert prefixes[0] == prefixes[2] == moved._prefix != prefixes[1]
    assert prefixes[0] == f"llm-twin-{Workspace(tmp_path / 'moved').identity()}"
    shutil.copytree(tmp_path / "moved", tmp_path / "copy")
    copied = vector_store(space(tmp_path / "copy", *SERVER))
    assert isinstance(copied, QdrantServerStore)
    assert copied._prefix not in prefixes, "what it deletes must not be the original's"
    named = vector_store(space(tmp_path / "two", *SERVER, "store.prefix=blog"))
    assert isinstance(named, QdrantServerStore)
    assert named._prefix == "blog"


def test_the_key_comes_from_the_environment_and_only_over_safe_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = ("store.kind=qdrant", "store.url=http://qdrant.test:6333", "store.api_key_env=MY_KEY")
    vector_store(space(tmp_path / "twin", *remote))
    monkeypatch.setenv("MY_KEY", "secret")
    with pytest.raises(StoreError, match=r"http://qdrant\.test:6333 would carry the API key unencrypted"):
        vector_store(space(tmp_path / "twin", *remote))


def test_a_server_needs_an_address() -> None:
    with pytest.raises(ConfigError, match=r"store\.url.*http://localhost:6333"):
        config.load(overrides=["store.kind=qdrant"])


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6333",
        "ftp://host",
        "http://",
        "http://[::1",
        "http://host:99999",
        "http://host:port",
        "http://my host:6333",
        "http://key@host:6333",
        "http://:key@host:6333",
        "http://ada:key@host:6333",
        "http://ada:pa/key@host:6333",
        "http://ada:my key@host:6333",
        "http://ada:my'key@host:6333",
        "http://@host:6333",
        "http://host?key=1",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url") as caught:
        config.load(overrides=[f"store.url={url}"])
    assert "key@" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a/b", "-a", "a b", "x" * 65])
def test_a_prefix_must_be_a_name_that_a_server_takes(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.prefix"):
        config.load(overrides=[f"store.prefix='{prefix}'"])
