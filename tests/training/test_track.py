from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from accelerate import PartialState

from llm_twin.adapters.base_model import HFChatTokenizer
from llm_twin.config import Training
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import MissingDependency, TrainingError
from llm_twin.training import track
from llm_twin.training.report import Point
from llm_twin.training.track import Trackers

from .test_loop import CONFIG, Interrupting, Make, train


def told(run_dir: Path) -> list[tuple[int, str, float]]:
    """Step, name and value of each figure that TensorBoard would draw, in order."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(run_dir.rglob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:  # a record: its length, a checksum of that, the event, a checksum of that
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value if v.tag in KNOWN]
            data = data[16 + length :]
    return found


KNOWN = ("loss", "tokens", "bits_per_byte")


def figures(curve: tuple[Point, ...]) -> list[tuple[int, str, float]]:
    return [
        (p.step, name, pytest.approx(value, rel=1e-6))
        for p in curve
        for name, value in (("tokens", p.tokens), ("loss", p.loss), ("bits_per_byte", p.bits_per_byte))
        if value is not None and not (p.step == 0 and name == "tokens")
    ]


def test_tensorboard_is_told_the_curve(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"report_to": ("tensorboard",)})
    report = train(features, tiny, tokenizer, tmp_path / "run", config)
    assert told(tmp_path / "run") == figures(report.curve)


def test_a_resumed_run_is_told_once(
    features: FeatureVersion, tiny: Make, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"report_to": ("tensorboard",)})
    with pytest.raises(KeyboardInterrupt):
        train(features, tiny, tokenizer, tmp_path / "run", config, Interrupting(3))
    report = train(features, tiny, tokenizer, tmp_path / "run", config, resume=True)
    assert sorted(told(tmp_path / "run")) == sorted(figures(report.curve), key=lambda f: f[:2])


def test_who_is_told_is_no_part_of_what_a_run_is() -> None:
    assert Training(report_to=("tensorboard", "mlflow")).model_dump() == Training().model_dump()


def test_a_missing_package_names_the_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(track._PACKAGES, "tensorboard", "a_package_that_nobody_has")
    with pytest.raises(MissingDependency, match=r"pip install 'llm-twin\[tensorboard\]'"):
        Trackers(["tensorboard"], tmp_path, Silent())


class Saying(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def mlflow(mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A real MLflow whose store is a file here."""
    import mlflow as module

    PartialState()  # accelerate's trackers ask which process they are in
    monkeypatch.chdir(tmp_path)  # MLflow puts files below the present folder
    uri = f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"
    module.set_tracking_uri(uri)
    yield module
    module.set_tracking_uri(uri)
    module.end_run()
    module.set_tracking_uri(None)


def test_mlflow_holds_the_settings_and_the_curve(mlflow: Any, tmp_path: Path) -> None:
    trackers = Trackers(["mlflow"], tmp_path / "run", Silent())
    curve = (Point(step=0, tokens=0, loss=None, bits_per_byte=1.5), Point(step=1, tokens=9, loss=3.0))
    trackers.begin({"rank": 16, "max_tokens": None}, curve)
    trackers.tell(2, {"tokens": 18, "loss": 2.5})
    trackers.end()
    client = mlflow.MlflowClient()
    [run] = client.search_runs([client.get_experiment_by_name("llm-twin").experiment_id])
    assert (run.info.status, run.data.params) == ("FINISHED", {"rank": "16"})
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(1, 3.0), (2, 2.5)]
    assert [m.value for m in client.get_metric_history(run.info.run_id, "bits_per_byte")] == [1.5]


def test_an_mlflow_that_cannot_be_reached_is_told_before_the_run(mlflow: Any, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db/no-folder.db")
    with pytest.raises(TrainingError, match=r"mlflow did not begin a run .*training\.report_to"):
        Trackers(["mlflow"], tmp_path / "run", Silent()).begin({}, ())


def test_one_that_fails_on_the_way_is_left(mlflow: Any, mlflow_store: Path, tmp_path: Path) -> None:
    said = Saying()
    trackers = Trackers(["mlflow"], tmp_path / "run", said)
    trackers.begin({}, ())
    mlflow.set_tracking_uri(f"sqlite:///{mlflow_store}")  # which does not know the run
    trackers.tell(1, {"loss": 3.0})
    trackers.tell(2, {"loss": 2.0})
    assert len(said.said) == 1
    assert said.said[0].startswith("mlflow is told no more")
