"""What the run's device computes fastest in, on a processor measured, and how many threads to use."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, Literal

import torch

from llm_twin.training.processes import processes

Precision = Literal["fp32", "bf16"]
# bf16 rounds; it must be clearly faster to be worth it.
_WORTH = 1.25


def choose(
    wanted: Literal["auto", "fp32", "bf16"], seconds: Callable[[torch.dtype], float] | None = None
) -> Precision:
    """The precision to load the base in. "auto" times the shape of product that training is made of, in both.

    `seconds` is that measurement; by default one on this machine.
    Processors without bf16 arithmetic emulate it, up to 50 times slower; those with avx512_bf16 or AMX gain a
    factor of about two. An accelerator is not timed: what has bf16 arithmetic gains by it.
    """
    use_physical_cores()
    if wanted != "auto":
        return wanted
    device = processes().device
    if device.type != "cpu":
        return "bf16" if _has_bf16(device) else "fp32"
    seconds = seconds or _seconds
    return "bf16" if seconds(torch.bfloat16) * _WORTH < seconds(torch.float32) else "fp32"


def of(model: Any) -> Precision:
    """The precision that a base was loaded in."""
    return "bf16" if next(model.parameters()).dtype == torch.bfloat16 else "fp32"


def use_physical_cores() -> int:
    """Give torch a thread for each physical core (two on one share its multipliers). Returns how many.

    The processes of one run on this machine share its cores: threads that wait for each other crawl.
    """
    import psutil

    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    usable = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else cores
    sharing = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # set by torchrun, and by accelerate
    torch.set_num_threads(max(1, min(cores, usable) // sharing))
    return torch.get_num_threads()


def _has_bf16(device: torch.device) -> bool:
    """Whether an accelerator computes in bf16 itself; emulated it is slower than fp32."""
    from accelerate.utils import is_bf16_available

    if device.type in ("cuda", "xpu"):
        return bool(torch.get_device_module(device).is_bf16_supported(including_emulation=False))
    return bool(is_bf16_available())


def _seconds(dtype: torch.dtype) -> float:
    """Best of three products of [256, 576] by [576, 1536], the default base's own shape."""
    left = torch.ones(256, 576, dtype=dtype)
    right = torch.ones(576, 1536, dtype=dtype)
    best = float("inf")
    for _ in range(4):  # the first one also pays for set-up, and min() drops it
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return best
