"""Every error a user can meet. Each says in one line what was wrong, with the value, and what to do next.

TwinError                     exit 1
├── ConfigError               twin.yaml, --set or a preset: all problems at once
├── WorkspaceError            no workspace, or one that cannot be written
│   ├── WorkspaceLocked       another process holds the lock
│   └── DiskFull              no space left; nothing half-written stays
├── CollectError
│   ├── SourceUnreachable     the network, the address or the server
│   └── NothingFound          the source answered but held no posts
├── VersionNotFound           a feature or model version, or an alias, that is not there
├── IntegrityError            a stored file differs from the hash it was sealed with
├── MismatchError             two artifacts that do not fit (embedder, prompt, base); names both sides
├── EmptyStore                a pipeline was started before the one that feeds it
├── MissingDependency         packaged weights or an optional package; names the exact pip install
├── TrainingError             divergence, too few samples
├── EngineError               the generation engine did not start or answer
├── StoreError                the vector store could not write, or its server did not answer or refused
├── PushError                 the Hub or an MLflow did not take a model version
└── GateRefused               exit 3: a measured check said no
    └── Tainted               the version learnt from a post that was forgotten since
"""


class TwinError(Exception):
    """One clear line for a person: `what` was wrong (with the value in it) and the `fix`.

    Attributes:
        what: what was wrong, with the offending value, without a final full stop.
        fix: what the user can do about it, an imperative sentence without a final full stop; may be empty.
    """

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}. {fix}." if fix else f"{what}.")


class ConfigError(TwinError):
    """The configuration is not valid; `problems` holds every problem found, one line each."""

    def __init__(self, problems: list[str], source: str) -> None:
        self.problems = problems
        count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
        super().__init__(f"{count} in {source}: " + "; ".join(problems), "Correct them and run again")


class WorkspaceError(TwinError):
    """There is no workspace here, or it cannot be used."""


class WorkspaceLocked(WorkspaceError):
    """Another process is writing to the same part of the workspace."""


class DiskFull(WorkspaceError):
    """The disk has no space left; what was there before is untouched."""


class CollectError(TwinError):
    """A source could not be collected."""


class SourceUnreachable(CollectError):
    """The address did not answer, or is not one that may be asked."""


class NothingFound(CollectError):
    """The source answered, but no post was found in it."""


class VersionNotFound(TwinError):
    """A feature version, model version or alias does not exist."""


class IntegrityError(TwinError):
    """A sealed file is missing or differs from its recorded hash."""


class MismatchError(TwinError):
    """Two artifacts that are used together were made with different parts."""


class EmptyStore(TwinError):
    """A pipeline has nothing to work on because the one before it has not run."""


class MissingDependency(TwinError):
    """Weights or an optional package are not installed; the fix is the exact command."""


class TrainingError(TwinError):
    """Training cannot start, or has diverged."""


class EngineError(TwinError):
    """The generation engine could not start or did not answer."""


class StoreError(TwinError):
    """The vector store could not write, or its server did not answer or refused what it was asked."""


class PushError(TwinError):
    """A registry elsewhere did not take a model version."""


class GateRefused(TwinError):
    """A measured check refused the action; the reason is in the message."""

    exit_code = 3


class Tainted(GateRefused):
    """The model version was trained on a post that its author has forgotten since."""
