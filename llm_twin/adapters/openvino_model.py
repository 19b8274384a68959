"""A sentence-transformers model converted to OpenVINO, once, into the user's cache; and compiled from there.

bf16 is the same graph computed in bfloat16. int8 stores the weights of every linear layer as int8, and lets
OpenVINO quantise what enters the layer while it runs: both symmetric, with one scale for each 128 values of
an output or of a token (by vectors, as Dettmers et al., LLM.int8(), NeurIPS 2022). No calibration texts are
needed, and a token's scales do not depend on other texts. Measured on 300 chunks of a blog: least cosine to
fp32 0.9988, where static int8 by nncf with calibration had 0.993 at the same speed.

What was converted is compared with sentence-transformers on a few texts before it is kept.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from llm_twin.adapters.embedder_weights import OPENVINO_RECIPE, Backend, embedder_id
from llm_twin.adapters.weights import cache_dir, file_sha256, made_once
from llm_twin.contracts.manifests import digest
from llm_twin.errors import MismatchError, MissingDependency

REQUIREMENT = "openvino>=2026.0"
MODEL, TOKENIZER, FACTS = "model.xml", "tokenizer.json", "facts.json"
LEAST_COSINE = 0.99  # to the reference; below it a backend is another embedder
# Values that share a scale. Texts a second and least cosine: 64 68 and 0.9993, 128 74 and 0.9988; 384 for the
# tokens and one for a whole output 78 and 0.9972.
_GROUP = 128
_FIRST_USE = Lock()
_PROBES = (
    "The river rose eleven centimetres in the night, and by six the lower meadow was gone.",
    "def read(path):\n    with open(path) as handle:\n        return [line.split(',') for line in handle]",
    "Über den Wassern der Fähre lag Nebel; niemand hätte übersetzen wollen.",
    "rye bread",
    " ".join(f"On day {n} the gauge stood at {n * 7 % 31} and the lock was open." for n in range(12)),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What an embedder must know of a converted model without loading the original.

    `limit` is the longest text in tokens with special tokens, `special` how many of those are special.
    """

    dim: int
    limit: int
    special: int


def openvino() -> Any:
    """The OpenVINO module, its telemetry off. Raises MissingDependency where it is not installed."""
    # `import openvino` reports to its makers unless this package is absent; nothing here may call out.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError:
        raise MissingDependency(
            "OpenVINO is not installed, and the embedder's backend needs it",
            f"pip install '{REQUIREMENT}', or set features.backend to torch-fp32 and build features again",
        ) from None
    return openvino


def converted(folder: Path, backend: Backend) -> Path:
    """The folder of the converted model; made at the first call (about 10 s) and checked.

    Raises MissingDependency, MismatchError where the model cannot be converted or gives other vectors, and
    TwinError where the cache cannot be written.
    """
    target = cache_dir() / "embedder" / _key(folder, backend)
    return made_once(target, lambda building: _convert(folder, backend, building))


def compiled(model: Path, cores: int) -> Any:
    """The model ready to run: `cores` texts at once, each on one thread, so that its bits never vary.

    One token has gone through it. The binding sets up its types at their first use, and two threads that come
    to that together wait for each other for ever: one in the set-up for the interpreter's lock, which the
    other holds while it waits for the set-up (one start in four, where threads took turns often).
    """
    core = _core()
    # Everything but the int8 products is computed in bf16 where the processor has it, else in fp32.
    wide = "f32" if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "bf16"
    settings = {
        "NUM_STREAMS": cores,
        "INFERENCE_NUM_THREADS": cores,
        "ENABLE_CPU_PINNING": False,  # a pinned thread waits where its core is busy with other work
        "INFERENCE_PRECISION_HINT": wide,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP,
    }
    with _FIRST_USE:
        made = core.compile_model(model, "CPU", settings)
        request, token = made.create_infer_request(), np.ones((1, 1), np.int64)
        request.infer({"input_ids": token, "attention_mask": token}, share_inputs=True)
        _ = request.get_output_tensor(0).data
    return made


@cache
def _core() -> Any:
    return openvino().Core()


def _key(folder: Path, backend: Backend) -> str:
    """Of the weights, of the settings and tokenizer beside them, and of what converts."""
    beside = sorted(p for p in folder.rglob("*") if p.suffix in {".json", ".txt", ".model"})
    hashes = [f"{p.relative_to(folder)} {file_sha256(p)}" for p in beside]
    version = openvino().__version__.partition("-")[0]
    return f"{embedder_id(backend, folder)}-{digest([version, OPENVINO_RECIPE, hashes])[:8]}-{backend}"


def _convert(folder: Path, backend: Backend, target: Path) -> None:
    from llm_twin.adapters.sentence_embedder import load_reference

    ov, reference = openvino(), load_reference(folder, "cpu")
    tokenizer = reference.tokenizer.backend_tokenizer
    if reference.default_prompt_name:
        raise _unfit(
            folder, backend, f"it puts the prompt {reference.default_prompt_name!r} before each text"
        )
    try:
        with _quiet():
            model = _traced(ov, reference)
    except Exception as error:  # whatever an architecture nobody tried may raise in torch or OpenVINO
        raise _unfit(folder, backend, " ".join(str(error).split())[:160]) from error
    if backend == "openvino-int8":
        _weights_to_int8(ov, model)
    ov.save_model(model, target / MODEL, compress_to_fp16=False)
    tokenizer.save(str(target / TOKENIZER))
    facts = Facts(
        dim=int(reference.get_embedding_dimension()),
        limit=int(reference.max_seq_length or reference.tokenizer.model_max_length),
        special=int(reference.tokenizer.num_special_tokens_to_add(pair=False)),
    )
    (target / FACTS).write_text(json.dumps(asdict(facts)))
    _check(folder, backend, target, reference)


def _traced(ov: Any, reference: Any) -> Any:
    """The whole of the model, tokens to sentence vector, as an OpenVINO graph for any length."""
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.modules_in_order = reference

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            found: torch.Tensor = self.modules_in_order(features)["sentence_embedding"]
            return found

    example = torch.ones(2, 8, dtype=torch.int64)
    shapes = [(name, [-1, -1], ov.Type.i64) for name in ("input_ids", "attention_mask")]
    inputs = {"input_ids": example, "attention_mask": example}
    return ov.convert_model(Whole().eval(), example_input=inputs, input=shapes)


def _weights_to_int8(ov: Any, model: Any) -> None:
    """Replace the weights of every linear layer, [out, in], by int8 values times scales."""
    ops = ov.opset13
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        weights = node.input_value(1).get_node().data.astype(np.float32)
        if weights.ndim != 2 or not node.get_attributes()["transpose_b"]:
            continue  # no linear layer of torch
        outputs, inputs = weights.shape
        group = _GROUP if inputs % _GROUP == 0 else inputs
        values = weights.reshape(outputs, -1, group)
        scales = np.maximum(np.abs(values).max(axis=2, keepdims=True) / 127, np.finfo(np.float32).tiny)
        small = ops.convert(ops.constant(np.rint(values / scales).astype(np.int8)), np.float32)
        shape = ops.constant(np.array([outputs, inputs]))
        made = ops.reshape(ops.multiply(small, ops.constant(scales)), shape, special_zero=False)
        node.input(1).replace_source_output(made.output(0))


def _check(folder: Path, backend: Backend, target: Path, reference: Any) -> None:
    from llm_twin.adapters.openvino_embedder import OpenVinoEmbedder

    expected = reference.encode(list(_PROBES), normalize_embeddings=True, show_progress_bar=False)
    found = OpenVinoEmbedder(folder, "", backend, target).embed(_PROBES)
    least = float((found * expected).sum(axis=1).min())
    if not least >= LEAST_COSINE:
        raise _unfit(folder, backend, f"its vectors have a cosine of {least:.3f} to those of torch-fp32")


def _unfit(folder: Path, backend: Backend, reason: str) -> MismatchError:
    return MismatchError(
        f"The embedder {folder.name} cannot run on {backend} ({reason})",
        "Set features.backend to auto or torch-fp32",
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Tracing warns of branches that a trace fixes; the comparison with the original is what decides."""
    log = logging.getLogger("transformers")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)
