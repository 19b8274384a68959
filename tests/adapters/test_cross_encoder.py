"""A cross-encoder of random weights, made here: it ranks by nothing, but it is read as a real one is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertTokenizer
from transformers import BertForSequenceClassification as Bert

from llm_twin.adapters.cross_encoder import CrossEncoderReranker
from llm_twin.errors import MissingDependency

QUERY, PASSAGES = "brass kettle", ["the kettle leaked", "eleven herons on the weir", "the spout"]
WORDS = sorted({word for text in [QUERY, *PASSAGES] for word in text.split()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cross-encoder")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (made / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(made)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        num_labels=1,
        initializer_range=0.5,
    )
    Bert(config).save_pretrained(made)
    return made


def test_each_passage_is_read_with_the_query(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = [float(model(**tokenizer(QUERY, p, return_tensors="pt")).logits) for p in PASSAGES]
    reranker = CrossEncoderReranker(str(folder))
    scores = reranker.scores(QUERY, PASSAGES)
    assert scores == pytest.approx(torch.tensor(logits).sigmoid().tolist(), abs=1e-5)
    assert max(scores) - min(scores) > 0.01
    assert reranker.scores(QUERY, []) == []


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(MissingDependency, match=r"holds no \.safetensors weights"):
        CrossEncoderReranker(str(tmp_path))


def test_what_is_neither_a_folder_nor_an_id_is_told() -> None:
    with pytest.raises(MissingDependency, match=r"retrieval\.reranker is 'no such/model/at all'.*neither"):
        CrossEncoderReranker("no such/model/at all")
