from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from llm_twin.adapters.embedder_weights import BACKENDS, Backend
from llm_twin.adapters.openvino_embedder import OpenVinoEmbedder
from llm_twin.adapters.sentence_embedder import SentenceEmbedder
from llm_twin.adapters.weights import packaged_embedder
from llm_twin.contracts.ports import Silent
from llm_twin.errors import MismatchError

pytest.importorskip("openvino", reason="an extra: pip install 'llm-twin[fast]'")

TEXTS = [
    "The river rose eleven centimetres in the night.",
    "Overnight the water level went up by 11 cm.",
    "A recipe for rye bread with walnuts.",
    "Gauge 1.88 m, steady. Wind SW 2.",
    "",
    "long " * 400,
]
# A chunk of a real blog has 0.9999 and 0.998 at least; the empty text, 0.994.
LEAST: dict[Backend, float] = {"openvino-bf16": 0.9998, "openvino-int8": 0.99}


@pytest.fixture(scope="module")
def reference() -> SentenceEmbedder:
    return SentenceEmbedder(packaged_embedder(), "all-MiniLM-L6-v2")


@pytest.fixture(scope="module", params=LEAST)
def embedder(request: pytest.FixtureRequest) -> OpenVinoEmbedder:
    return OpenVinoEmbedder(packaged_embedder(), "all-MiniLM-L6-v2", request.param)


@pytest.fixture(scope="module")
def int8() -> OpenVinoEmbedder:
    return OpenVinoEmbedder(packaged_embedder(), "all-MiniLM-L6-v2", "openvino-int8")


def test_unit_vectors_near_those_of_the_reference(
    embedder: OpenVinoEmbedder, reference: SentenceEmbedder
) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dim) == (len(TEXTS), reference.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (vectors * reference.embed(TEXTS)).sum(axis=1).min() >= LEAST[embedder.backend]


def test_a_vector_does_not_depend_on_its_company(int8: OpenVinoEmbedder) -> None:
    together = int8.embed(TEXTS * 3)
    for text, row in zip(TEXTS * 3, together, strict=True):
        np.testing.assert_array_equal(int8.embed([text])[0], row)
    again = OpenVinoEmbedder(packaged_embedder(), "x", "openvino-int8")
    np.testing.assert_array_equal(again.embed(TEXTS), together[: len(TEXTS)])


def test_tokens_are_those_of_the_reference(int8: OpenVinoEmbedder, reference: SentenceEmbedder) -> None:
    assert int8.max_tokens == reference.max_tokens
    for text in [*TEXTS, "Ærø, naïve — déjà-vu 東京 🚲"]:
        assert int8.count_tokens(text) == reference.count_tokens(text)


def test_a_text_of_max_tokens_is_not_cut(int8: OpenVinoEmbedder) -> None:
    longest = "river " * (int8.max_tokens - 1)
    ends = int8.embed([longest + "rose", longest + "bread", longest + "rose" + " bread" * 50])
    assert not np.array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


def test_one_advance_a_text(int8: OpenVinoEmbedder) -> None:
    class Counts(Silent):
        done = 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps

    counts = Counts()
    int8.embed(TEXTS, counts)
    assert counts.done == len(TEXTS)
    assert int8.embed([], counts).shape == (0, 384)


def test_an_interruption_stops_the_threads(int8: OpenVinoEmbedder) -> None:
    class Stops(Silent):
        def advance(self, steps: int = 1, note: str = "") -> None:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        int8.embed(TEXTS * 50, Stops())
    assert threading.active_count() == before


def test_threads_may_share_an_embedder(int8: OpenVinoEmbedder) -> None:
    """As those of the server do."""
    expected, found = int8.embed(TEXTS), {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: int8.embed([TEXTS[n]])[0]}))
        for n in range(len(TEXTS))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.array([found[n] for n in range(len(TEXTS))]), expected)


def test_every_backend_is_another_embedder(reference: SentenceEmbedder) -> None:
    made = [OpenVinoEmbedder(packaged_embedder(), "m", b) for b in LEAST]
    half = SentenceEmbedder(packaged_embedder(), "m", "torch-bf16")
    assert len({reference.id, half.id, *(m.id for m in made)}) == len(BACKENDS)
    assert {m.name for m in made} == {"m (openvino-bf16)", "m (openvino-int8)"}


def test_other_models_convert_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose width is no multiple of the group of values that share a scale."""
    monkeypatch.setenv("LLM_TWIN_CACHE", str(tmp_path / "cache"))
    folder = tiny_model(tmp_path)
    made = OpenVinoEmbedder(folder, "tiny", "openvino-int8")
    expected = SentenceEmbedder(folder, "tiny").embed(TEXTS)
    assert (made.dim, made.max_tokens) == (48, 62)
    np.testing.assert_allclose(made.embed(TEXTS), expected, atol=0.02)
    assert expected.std(axis=0).max() > 0.05  # so that this tells one text from another


def test_a_model_with_a_prompt_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_TWIN_CACHE", str(tmp_path / "cache"))
    folder = tiny_model(tmp_path)
    settings = folder / "config_sentence_transformers.json"
    prompts = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    settings.write_text(json.dumps(json.loads(settings.read_text()) | prompts))
    with pytest.raises(MismatchError, match=r"tiny cannot run on openvino-int8 .*'query'.*features\.backend"):
        _ = OpenVinoEmbedder(folder, "tiny", "openvino-int8").dim
    assert [p for p in (tmp_path / "cache" / "embedder").iterdir() if p.is_dir()] == []


def test_a_fresh_process_loads_no_torch_and_calls_nobody(root: Path, int8: OpenVinoEmbedder) -> None:
    """OpenVINO's own telemetry would connect at its import."""
    _ = int8.dim  # converted by now
    done = run(
        root,
        "import socket\n"
        "def refuse(*_, **__): raise AssertionError('a connection was tried')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "assert made.embed(['a river']).shape == (1, 384)\n"
        "assert {'torch', 'sentence_transformers'}.isdisjoint(sys.modules)\n"
        "assert sys.modules['openvino_telemetry'] is None\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_first_texts_of_a_process_do_not_wait_for_each_other(root: Path, int8: OpenVinoEmbedder) -> None:
    """OpenVINO's binding hung in one of four such starts, while it set up its types in two threads."""
    _ = int8.dim
    for _start in range(5):
        done = run(root, "sys.setswitchinterval(1e-6)\nmade.embed(['a river', 'a lock', 'walnuts', 'rye'])\n")
        assert done.returncode == 0, done.stderr


def test_without_openvino_the_error_says_what_to_install(root: Path) -> None:
    done = run(
        root,
        "from llm_twin.errors import MissingDependency\n"
        "sys.modules['openvino'] = None\n"
        "assert len(made.id) == 16\n"
        "try: made.embed(['a river'])\n"
        "except MissingDependency as error: print(error)\n",
    )
    assert "pip install 'openvino>=2026.0'" in done.stdout
    assert "features.backend" in done.stdout


def run(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    start = (
        "import sys\n"
        "from llm_twin.adapters.openvino_embedder import OpenVinoEmbedder\n"
        "from llm_twin.adapters.weights import packaged_embedder\n"
        "made = OpenVinoEmbedder(packaged_embedder(), 'm', 'openvino-int8')\n"
    )
    words = [sys.executable, "-c", start + code]
    return subprocess.run(words, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def tiny_model(folder: Path) -> Path:
    """A random BERT of two layers with the packaged embedder's tokenizer and settings."""
    import torch
    from transformers import BertConfig, BertModel

    made = folder / "tiny"
    shutil.copytree(packaged_embedder(), made, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(made)
    (made / "sentence_bert_config.json").write_text('{"max_seq_length": 64}')
    pooling = made / "1_Pooling" / "config.json"
    pooling.write_text(pooling.read_text().replace("384", "48"))
    return made
