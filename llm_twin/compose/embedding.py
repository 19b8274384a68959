"""Which backend embeds in a workspace: measured before its first version, then that of its versions.

Vectors of two backends are not mixed: each has an id of its own, and a version names the id it was built
with. So the newest version is the pin, and it moves with the workspace. The measurement is kept in the user's
cache: all workspaces of a machine begin alike, and only the first waits for it.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from llm_twin.adapters.embedder_weights import BACKENDS, REFERENCE, Backend, embedder_id
from llm_twin.adapters.weights import cache_dir, remember
from llm_twin.compose.space import Twinspace
from llm_twin.contracts.manifests import PartId, digest
from llm_twin.contracts.ports import Embedder, Progress, Silent
from llm_twin.errors import MismatchError, MissingDependency

PACKAGED_EMBEDDER = "all-MiniLM-L6-v2"
# Another backend rounds; it must be clearly faster than the reference to be worth it, and a less exact one
# somewhat faster than a more exact one. A processor with VNNI and bf16 measured 1, 1.7, 2.3 and 3.1, in the
# order of BACKENDS: far enough from both thresholds to come out the same every time.
_WORTH, _WORTH_ROUNDING = 1.3, 1.1
_LEAST_COSINE = 0.99
# Of what differs from the reference in its last bits alone, as OpenVINO does in fp32. Where that is no slower
# it is taken, since it is loaded in a second and torch with sentence-transformers in five to ten.
_EXACT = 0.9999
_HOPELESS = 2.0  # times the reference's time for one text: bf16 that is emulated takes up to 50 times as long
_ROUNDS = 4
_TEXTS, _WORDS = 6, 90  # about the length of a chunk; 3 s of processor time for all backends


@dataclass(frozen=True, slots=True)
class Measured:
    """Texts of a chunk's length a second of processor time, and the least cosine to the reference."""

    texts_per_cpu_s: float
    cosine: float


def _make(folder: Path, model: str, backend: Backend) -> Embedder:
    if backend.startswith("openvino"):
        from llm_twin.adapters.openvino_embedder import OpenVinoEmbedder

        return OpenVinoEmbedder(folder, model, backend)
    from llm_twin.adapters.sentence_embedder import SentenceEmbedder

    return SentenceEmbedder(folder, model, backend)


_shared = cache(_make)


def _folder(space: Twinspace) -> Path:
    """Where the weights lie; those of a Hugging Face id are downloaded once. Raises MissingDependency."""
    from llm_twin.adapters.hub import fetch
    from llm_twin.adapters.weights import named_folder, packaged_embedder

    model = space.config.features.embedder
    if model == PACKAGED_EMBEDDER:
        return packaged_embedder()
    instead = f"Use {PACKAGED_EMBEDDER}, which comes as a package"
    return named_folder(model, space.workspace.root) or fetch(model, "features.embedder", instead)


def embedder(space: Twinspace, built: PartId | None = None, progress: Progress | None = None) -> Embedder:
    """The embedder of the configuration; loaded at its first use and shared in this process.

    With backend auto it is the one that `built`, else the newest feature version, was embedded with, else the
    fastest of this machine, which takes up to half a minute to find out, once a machine.
    """
    chosen, folder = space.config.features, _folder(space)
    if chosen.backend != "auto":
        return _shared(folder, chosen.embedder, chosen.backend)
    pinned = built or _newest(space)
    backend = _backend_of(pinned.id, folder) if pinned else None
    if backend is None and built is None:
        backend = _measured_once(folder, chosen.embedder, progress or Silent())
    return _shared(folder, chosen.embedder, backend or REFERENCE)


def _backend_of(identity: str, folder: Path) -> Backend | None:
    """The backend whose id of these weights it is; None where it is of others."""
    return next((b for b in BACKENDS if embedder_id(b, folder) == identity), None)


def _newest(space: Twinspace) -> PartId | None:
    from llm_twin.feature.store import latest

    newest = latest(space.workspace.features)
    return newest.embedder if newest else None


def _measured_once(folder: Path, model: str, progress: Progress) -> Backend:
    note = measured_note(folder)
    known = _recall(note)
    if known:
        return known
    rates = _measure_here(folder, model, progress)
    backend = fastest(rates)
    remember(note, {"backend": backend, "rates": {b: asdict(r) for b, r in rates.items()}})
    if len(rates) > 1:
        gain = rates[backend].texts_per_cpu_s / rates[REFERENCE].texts_per_cpu_s
        progress.say(f"Embedding by {backend}: {gain:.1f} times the rate of {REFERENCE} on this machine.")
    return backend


def measured_note(folder: Path) -> Path:
    """Where the measurement of some weights on this machine is kept: another machine may share the folder."""
    versions = []
    for package in ("torch", "openvino"):
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{package} {metadata.version(package)}")
    key = digest([embedder_id(REFERENCE, folder), platform.node(), platform.machine(), versions])[:16]
    return cache_dir() / "measured" / f"{key}.json"


def _recall(note: Path) -> Backend | None:
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))["backend"]
        return kept if kept in BACKENDS else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or damaged: it is measured again


def _measure_here(folder: Path, model: str, progress: Progress) -> dict[Backend, Measured]:
    from llm_twin import sample
    from llm_twin.adapters.sentence_embedder import SentenceEmbedder

    reference = SentenceEmbedder(folder, model)
    if not reference.on_cpu:  # an accelerator: no backend of the processor comes near
        return {REFERENCE: Measured(0.0, 1.0)}
    progress.start("measure embedders", len(BACKENDS))
    words = " ".join(post.markdown for post in sample.posts()[:_TEXTS]).split()
    texts = [" ".join(words[n * _WORDS : (n + 1) * _WORDS]) for n in range(_TEXTS)]
    others = {b: _make(folder, model, b) for b in BACKENDS if b != REFERENCE}
    return measure({REFERENCE: reference, **others}, texts, progress)


def measure(
    candidates: Mapping[Backend, Embedder],
    texts: Sequence[str],
    progress: Progress,
    clock: Callable[[], float] = time.process_time,
) -> dict[Backend, Measured]:
    """Rate and exactness of each candidate that can run here; the reference must be among them.

    Processor time is compared, the least of some rounds in turns: it hardly depends on what else the machine
    does, and every backend keeps all cores busy.
    """
    expected = candidates[REFERENCE].embed(texts)
    cosines: dict[Backend, float] = {}
    patience = float("inf")
    for backend, made in candidates.items():
        try:
            made.embed(texts[:1])  # loads it
            one = _time(made, texts[:1], clock)
            if backend == REFERENCE:
                patience = _HOPELESS * one
            if one <= patience:
                cosines[backend] = float((made.embed(texts) * expected).sum(axis=1).min())
        except MissingDependency:
            pass  # not installed
        except MismatchError as error:
            progress.say(error.what)
        progress.advance()
    seconds = dict.fromkeys(cosines, float("inf"))
    for _ in range(_ROUNDS):
        for backend in cosines:
            seconds[backend] = min(seconds[backend], _time(candidates[backend], texts, clock))
    return {b: Measured(round(len(texts) / seconds[b], 2), round(cosines[b], 5)) for b in cosines}


def _time(made: Embedder, texts: Sequence[str], clock: Callable[[], float]) -> float:
    began = clock()
    made.embed(texts)
    return max(clock() - began, 1e-9)


def fastest(rates: Mapping[Backend, Measured]) -> Backend:
    """The reference, unless another is clearly faster, or as exact, no slower and sooner loaded.

    Of those that nearly reach the fastest, the most exact.
    """
    plain = rates[REFERENCE].texts_per_cpu_s
    fit = {b: r.texts_per_cpu_s for b, r in rates.items() if r.cosine >= _LEAST_COSINE or b == REFERENCE}
    best = max(fit.values())
    if best >= _WORTH * plain:
        return next(b for b in BACKENDS if b in fit and fit[b] * _WORTH_ROUNDING >= best)
    sooner = rates.get("openvino-bf16")
    exact = sooner is not None and sooner.cosine >= _EXACT and sooner.texts_per_cpu_s >= plain
    return "openvino-bf16" if exact else REFERENCE
