"""The whole story on the sample author: a site on loopback, crawled, trained on, measured, asked."""

from __future__ import annotations

import errno
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.compose.features import build_features, collect, feature_version
from llm_twin.compose.models import TrainReport, train
from llm_twin.compose.serving import open_session
from llm_twin.compose.space import Twinspace, init, open_workspace
from llm_twin.contracts.ports import Progress, Silent
from llm_twin.contracts.records import Answer
from llm_twin.contracts.versions import BASE
from llm_twin.errors import MismatchError, TwinError, WorkspaceError
from llm_twin.workspace import CONFIG_FILE

if TYPE_CHECKING:
    from llm_twin.collect import CollectReport
    from llm_twin.feature import FeatureReport

MINUTES = 5  # of training at most: the whole story then takes less than ten on two slow cores
SAMPLE_PORT = 8019  # of the sample's site; fixed, so that a second run knows the addresses
QUESTIONS = (
    "What did you do in the flood of January 2021?",
    "Why don't you like Lookout?",
    "Who is your favourite football player?",
)
TOPIC = "A morning with nothing to repair"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, answered by the base and by the twin from the same passages."""

    request: str
    base: Answer
    twin: Answer


@dataclass(frozen=True)
class Story:
    """What the demo did, stage by stage. `seconds` of each stage by name."""

    collected: CollectReport
    built: FeatureReport
    trained: TrainReport
    exchanges: list[Exchange]
    seconds: dict[str, float] = field(default_factory=dict)


def demo(folder: Path, progress: Progress | None = None, overrides: Sequence[str] = ()) -> Story:
    """Run the story in a workspace at `folder`; run again, it goes on from what is there.

    Raises WorkspaceError where the workspace is of another author.
    """
    from llm_twin.sample import AUTHOR
    from llm_twin.sample.serve import sample_site

    progress = progress or Silent()
    if not (folder / CONFIG_FILE).exists():
        init(folder, AUTHOR, MINUTES)
    author = open_workspace(folder).config.author.name  # as twin.yaml says, whatever is overridden
    if author != AUTHOR:
        raise WorkspaceError(
            f"{folder} is the workspace of {author!r}, and the sample's posts must not mix with theirs",
            "Name another folder for the demo: llm-twin demo --workspace DIR",
        )
    space = open_workspace(folder, ["collect.allow_private=true", *overrides])
    seconds: dict[str, float] = {}
    with (
        _port_taken(),
        _timed("collect", seconds),
        tempfile.TemporaryDirectory() as temporary,
        sample_site(Path(temporary), port=SAMPLE_PORT) as url,
    ):
        collected = collect(space, [url], progress)
    with _timed("features", seconds):
        built = build_features(space, progress)
    with _timed("train", seconds):
        trained = trained_anyhow(space, built.version, progress)
    with _timed("ask", seconds):
        session = open_session(space, [trained.version], feature_version(space, built.version))
        try:
            writers = session.writer(BASE), session.writer(trained.version)
            progress.start("Asking base and twin", 2 * (len(QUESTIONS) + 1))
            exchanges = []
            for question in QUESTIONS:
                answers = []
                for writer in writers:
                    answers.append(writer.ask(question).finish())
                    progress.advance()
                exchanges.append(Exchange(question, *answers))
            answers = []
            for writer in writers:
                answers.append(writer.write(TOPIC).finish())
                progress.advance()
            exchanges.append(Exchange(f"Write a short post: {TOPIC}", *answers))
        finally:
            session.close()
    return Story(collected, built, trained, exchanges, seconds)


def trained_anyhow(space: Twinspace, features: str, progress: Progress) -> TrainReport:
    """Train on a feature version; a run goes on, unless it is of another program or machine."""
    try:
        return train(space, progress, features, resume=space.workspace.runs.exists())
    except MismatchError:
        return train(space, progress, features)


@contextmanager
def _port_taken() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise TwinError(
            f"Port {SAMPLE_PORT} of this machine is taken, and the sample site is served there",
            "Stop what uses it (another demo?) and run again",
        ) from error


@contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - start, 1)
