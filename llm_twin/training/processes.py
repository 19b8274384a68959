"""The processes of one run (`accelerate launch`): all of them learn; the first alone decides and writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")
_WAIT = timedelta(days=1)  # for the first, which measures and registers alone; the default is ten minutes


def processes() -> Any:
    """accelerate's `PartialState`: the device, and which of how many processes this one is."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"), timeout=_WAIT)


def from_first(make: Callable[[], T]) -> T:
    """What `make` gives in the first process, in all of them: the others wait for it.

    Where it raises, their launcher ends them.
    """
    from accelerate.utils import broadcast_object_list

    found: list[Any] = [make() if processes().is_main_process else None]
    made: T = broadcast_object_list(found)[0]
    return made
