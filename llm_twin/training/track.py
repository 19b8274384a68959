"""A run told to TensorBoard or MLflow while it goes, through accelerate's trackers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from llm_twin.contracts.ports import Progress
from llm_twin.errors import MissingDependency, TrainingError
from llm_twin.training.report import Point

_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow"}
_EXPERIMENT = "llm-twin"  # in MLflow
_FOLDER = "tensorboard"  # in the folder of a run


class Trackers:
    """Those that `training.report_to` names; none by default.

    A resumed run is told anew from its first step, so that no tracker holds a step twice. One that fails on
    the way is left: a run is worth more than its picture.
    """

    def __init__(self, names: Sequence[str], run_dir: Path, progress: Progress) -> None:
        for name in names:
            if find_spec(_PACKAGES[name]) is None:
                raise MissingDependency(
                    f"training.report_to names {name}, and there is no package {_PACKAGES[name]}",
                    f"Install it: pip install 'llm-twin[{name}]'",
                )
        self._names = names
        self._run_dir = run_dir
        self._progress = progress
        self._told: list[Any] = []

    def begin(self, parameters: Mapping[str, Any], curve: Sequence[Point]) -> None:
        """Tell the settings, and what a resumed run has behind it. Raises TrainingError."""
        from accelerate.tracking import MLflowTracker, TensorBoardTracker

        shutil.rmtree(self._run_dir / _FOLDER, ignore_errors=True)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody but the store hears of a run
        made: dict[str, Callable[[], Any]] = {
            "tensorboard": lambda: TensorBoardTracker(_FOLDER, self._run_dir),
            "mlflow": lambda: MLflowTracker(_EXPERIMENT),
        }
        for name in self._names:
            tracker = made[name]()
            try:
                tracker.start()
                tracker.store_init_configuration({k: v for k, v in parameters.items() if v is not None})
            except Exception as error:  # of a library that the user chose, and its server
                raise TrainingError(
                    f"{name} did not begin a run ({' '.join(str(error).split())[:200]})",
                    f"Look at its address, or take {name} out of training.report_to",
                ) from error
            self._told.append(tracker)
        for point in curve:
            if point.loss is not None:
                self.tell(point.step, {"tokens": point.tokens, "loss": point.loss})
            if point.bits_per_byte is not None:
                self.tell(point.step, {"bits_per_byte": point.bits_per_byte})

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        """What is known of a step."""
        for tracker in list(self._told):
            try:
                tracker.log(figures, step=step)
            except Exception as error:
                self._told.remove(tracker)
                self._progress.say(f"{tracker.name} is told no more: {' '.join(str(error).split())[:200]}")

    def end(self) -> None:
        """Close them all; one that cannot be closed does not take the run with it."""
        for tracker in self._told:
            with suppress(Exception):
                tracker.finish()
        self._told.clear()
