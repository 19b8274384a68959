"""A small author, sealed, indexed and served by the doubles."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(
    0, str(Path(__file__).parent)
)  # the doubles beside this file; importmode importlib adds nothing

from doubles import ByteTokenizer, ExactIndex, HashEmbedder, ScriptedEngine, post, seal

from llm_twin.config import Config
from llm_twin.contracts.records import Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.inference.retrieve import Retriever
from llm_twin.inference.writer import Writer

POSTS = [
    post(
        "The brass kettle",
        "I bought the brass kettle in Corrow for 3 crowns. It leaked at the spout.\n\n"
        "I mended the spout with silver solder and a wet rag; it has held since March.\n\n"
        "> Never boil it dry.\n\nThe whistle plays a minor third.",
        "2021-03-04",
    ),
    post(
        "Counting herons",
        "There were eleven herons on the weir this morning, and one cormorant pretending.\n\n"
        "## Method\n\nI count twice, upstream and down, and keep the smaller number.",
        "2022-06-01T07:40:00+00:00",
    ),
    post(
        "A ladder for the loft",
        "The loft ladder has nine rungs of ash.\n\n"
        "The fourth rung creaks, and I left it so: it tells me who is up.",
        None,
    ),
    post(
        "Winter diesel",
        "Diesel waxes at about minus eight. I add paraffin, one part in ten, before the first frost.\n\n"
        "```sh\ndate >> tank.txt\n```\n\nThe tank holds forty litres.",
        "2023-11-20",
    ),
]


@pytest.fixture(scope="session")
def posts() -> list[Post]:
    return POSTS


@pytest.fixture(scope="session")
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory, embedder: HashEmbedder) -> FeatureVersion:
    return seal(tmp_path_factory.mktemp("features") / "F0001", POSTS, embedder)


@pytest.fixture
def retriever(features: FeatureVersion, embedder: HashEmbedder) -> Retriever:
    index = ExactIndex(list(features.chunks.values()), features.vectors)
    return Retriever(features, index, embedder, Config().retrieval)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def make_writer(
    features: FeatureVersion, retriever: Retriever, engine: ScriptedEngine
) -> Callable[..., Writer]:
    """A writer; `**sections` replace sections of the configuration."""

    def make(model: str = "v3", engine: ScriptedEngine = engine, **sections: object) -> Writer:
        config = Config.model_validate({"retrieval": {"refuse_below": 0.3}} | sections)
        return Writer(features, retriever, ByteTokenizer(), engine, model, config)

    return make


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    return make_writer()
