from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters.sentence_embedder import SentenceEmbedder
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.contracts.ports import Silent
from llm_twin.errors import IntegrityError, MissingDependency

TEXTS = [
    "The river rose eleven centimetres in the night.",
    "Overnight the water level went up by 11 cm.",
    "A recipe for rye bread with walnuts.",
    "Gauge 1.88 m, steady. Wind SW 2.",
]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder(packaged_embedder(), "all-MiniLM-L6-v2")


def test_unit_vectors_in_float32(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (4, embedder.dim) == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_meaning_is_near_meaning(embedder: SentenceEmbedder) -> None:
    cosines = embedder.embed(TEXTS) @ embedder.embed(TEXTS).T
    assert cosines[0, 1] > 0.5 > 0.2 > cosines[0, 2]


def test_a_vector_does_not_depend_on_its_company(embedder: SentenceEmbedder) -> None:
    together = embedder.embed([*TEXTS, "long " * 200])
    for text, row in zip(TEXTS, together, strict=False):
        np.testing.assert_array_equal(embedder.embed([text])[0], row)


def test_an_interruption_stops_the_threads_and_gives_the_cores_back(embedder: SentenceEmbedder) -> None:
    import torch

    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    before = torch.get_num_threads(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        embedder.embed(TEXTS * 50, Stops())
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == before[0]
    assert (torch.get_num_threads(), threading.active_count()) == before


def test_agrees_with_the_library_in_one_batch(embedder: SentenceEmbedder) -> None:
    expected = embedder._model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=1e-5)


def test_damaged_weights_are_an_error_for_people(tmp_path: Path) -> None:
    shutil.copytree(packaged_embedder(), tmp_path / "mine")
    weights = tmp_path / "mine" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(IntegrityError, match=r"cannot be read as an embedder .*features\.embedder"):
        SentenceEmbedder(tmp_path / "mine", "mine").embed(["The river rose."])


def test_one_advance_a_text(embedder: SentenceEmbedder) -> None:
    class Counts(Silent):
        done = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps

    counts = Counts()
    embedder.embed(TEXTS, counts)
    assert counts.done == len(TEXTS)
    assert embedder.embed([], counts).shape == (0, 384)


def test_tokens(embedder: SentenceEmbedder) -> None:
    assert embedder.max_tokens == 254  # 256 less [CLS] and [SEP]
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("The river rose.") == 4
    assert embedder.count_tokens("river " * 1000) == 1000  # not cut at what the model reads


def test_a_text_of_max_tokens_is_not_cut(embedder: SentenceEmbedder) -> None:
    longest = "river " * (embedder.max_tokens - 1)
    ends = embedder.embed([longest + "rose", longest + "bread", longest + "rose" + " bread" * 50])
    assert not np.array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


def test_identity_is_of_the_weights_not_of_the_name(embedder: SentenceEmbedder, tmp_path: Path) -> None:
    assert SentenceEmbedder(packaged_embedder(), "other").id == embedder.id
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert SentenceEmbedder(tmp_path, "other").id != embedder.id
    assert len(embedder.id) == 16


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(MissingDependency, match=r"holds no \.safetensors"):
        _ = SentenceEmbedder(tmp_path, "x").id


def test_loading_is_silent_and_asks_no_hub(root: Path, tmp_path: Path) -> None:
    """In a fresh process where every connection is an error; nothing is written to the terminal."""
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from llm_twin.adapters.sentence_embedder import SentenceEmbedder\n"
        "from llm_twin.adapters.weights import packaged_embedder\n"
        "made = SentenceEmbedder(packaged_embedder(), 'm')\n"
        "assert 'torch' not in sys.modules\n"
        "assert made.embed(['a river']).shape == (1, 384)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
