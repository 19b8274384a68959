"""The configuration: one validated model for twin.yaml, the presets in configs/ and `--set a.b=c`.

Every key has a default that works on a laptop, so an empty twin.yaml is valid. An unknown key is
an error, and all errors of all sources are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import category
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from llm_twin.errors import ConfigError

# What reading YAML raises; the last two for a date that cannot be, and for brackets in brackets in brackets.
_UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
_HOST = re.compile(r"[\w.:%-]+")  # a name, or an address of IPv4 or IPv6
_CREDENTIALS = re.compile(r"//.*@", re.DOTALL)  # of a url


Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what all generators of random numbers take


class Section(BaseModel):
    """Base of the sections: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Author(Section):
    """Who the twin writes like."""

    name: str = Field(
        "the author", min_length=1, max_length=80, description="As the prompts name the author, in one line."
    )

    @field_validator("name")
    @classmethod
    def _shown(cls, name: str) -> str:
        kinds = {category(character) for character in name}
        if not kinds - {"Zs", "Cf"} or not kinds.isdisjoint({"Cc", "Zl", "Zp"}):
            raise ValueError("give it visible characters, without line breaks or control characters")
        return name


class Collect(Section):
    """The crawler's manners and bounds."""

    user_agent: str = Field(
        "llm-twin/0.1 (personal archive of one author)", pattern=r"^[A-Za-z][\x20-\x7e]*$", max_length=200
    )
    delay_s: float = Field(
        0.0, ge=0, le=60, description="Pause between requests to a host; robots.txt may raise it."
    )
    concurrency: int = Field(
        4, ge=1, le=16, description="Requests to a host at once; one where a pause is set or asked for."
    )
    timeout_s: float = Field(20.0, gt=0, le=300)
    max_pages: int = Field(5000, ge=1)
    max_depth: int = Field(12, ge=0, description="Links followed from the given address.")
    max_bytes: int = Field(10_000_000, ge=1000, description="Largest answer read, after decompression.")
    author: str | None = Field(None, description="Only posts that name this author, or none.")
    allow_private: bool = Field(False, description="Permit loopback and private addresses.")


class Features(Section):
    """From posts to chunks, vectors and training samples."""

    embedder: str = Field(
        "all-MiniLM-L6-v2", description="The packaged one, a Hugging Face id, or a local path."
    )
    backend: Literal["auto", "torch-fp32", "torch-bf16", "openvino-bf16", "openvino-int8"] = Field(
        "auto", description="What runs the embedder; auto measures once and stays with the choice."
    )
    chunk_tokens: int = Field(
        160, ge=32, le=2048, description="Upper bound of a chunk, in the embedder's tokens."
    )
    min_words: int = Field(30, ge=0, description="Shorter posts are dropped, and reported.")
    languages: tuple[Annotated[str, Field(pattern="^[a-z]{2}$")], ...] = Field(
        (), description="ISO 639-1 codes, as in [en, de]; posts in others are dropped. None means all."
    )
    boilerplate: bool = Field(
        True, description="Take out licences, 'subscribe' and other notes that recur at the edges of posts."
    )
    mask: bool = Field(
        True,
        description="Mask e-mail addresses, phone numbers, keys and tokens; found and reported either way.",
    )
    test_share: float = Field(
        0.1, gt=0, lt=0.5, description="The newest posts, held out; and as many for validation."
    )
    min_held_out: int = Field(8, ge=1, description="At least this many posts in test and in validation.")
    tasks: tuple[Literal["write", "outline", "continue", "rewrite", "answer"], ...] = Field(
        ("write", "rewrite", "answer"),
        description="What the training samples ask for; with write and outline half of the posts have each.",
    )
    draft_budget: int = Field(
        0,
        ge=0,
        description="Paragraphs that the base restates for rewrite; the default base is too small for it.",
    )
    grace_days: float | None = Field(
        14.0,
        ge=0,
        le=36_500,
        description="Versions replaced so long ago go at the next build if nothing needs them; null: never.",
    )


class Base(Section):
    """The base model that adapters are trained for."""

    id: str = Field(
        "SmolLM2-135M-Instruct", description="The packaged one, a Hugging Face id, or a local path."
    )
    gguf: Path | None = Field(None, description="Its GGUF for llama.cpp; the packaged base brings its own.")


class Training(Section):
    """LoRA fine-tuning."""

    rank: int = Field(16, ge=1, le=256)
    alpha: int = Field(32, ge=1, le=1024)
    dropout: float = Field(0.0, ge=0, lt=1)
    learning_rate: float = Field(2e-3, gt=0, lt=1)
    warmup_share: float = Field(0.05, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0, lt=1)
    epochs: float = Field(
        2.0, gt=0, le=100, description="Passes over the training samples, unless max_tokens is less."
    )
    paragraph_share: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Of a pass's tokens, for rewrite and answer samples of posts that it takes whole too.",
    )
    max_tokens: int | None = Field(
        100_000,
        ge=1,
        description="Tokens forward and backward; null trains all epochs. The default is minutes on 2 cores.",
    )
    minutes: float | None = Field(
        None,
        gt=0,
        le=10_080,
        description="What a run with its measures on validation posts is planned to take; the base with "
        "examples, the test posts and the conversion come after it, a minute or two more for short blogs.",
    )
    batch_tokens: int = Field(1024, ge=64, description="Tokens of one optimiser step.")
    sequence_tokens: int = Field(1024, ge=64, description="Longest sample; longer ones are cut.")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    checkpoint_s: float = Field(60.0, gt=0, description="Seconds between checkpoints.")
    patience: int = Field(3, ge=1, description="Evaluations without progress before an early stop.")
    evaluations: int = Field(4, ge=1, description="Validation measures in the course of a run.")
    validation_posts: int = Field(
        12, ge=1, description="Posts of each such measure, spread over the split; a minute for 40."
    )
    shots: int = Field(
        3, ge=0, le=8, description="Posts shown to the base, which a version must beat so; 0: not compared."
    )
    preference_pairs: int = Field(
        0,
        ge=0,
        le=10_000,
        description="Own drafts that the author's paragraphs are then preferred to (DPO), some minutes for a "
        "hundred, after those of training.minutes; 0: no such step.",
    )
    preference_beta: float = Field(
        0.1, gt=0, le=10, description="The larger, the less that step moves the model from what it was."
    )
    preference_learning_rate: float = Field(1e-4, gt=0, lt=1)
    report_to: tuple[Literal["tensorboard", "mlflow"], ...] = Field(
        (), exclude=True, description="Who is told loss and bits per byte while a run goes."
    )
    seed: Seed = 0

    @property
    def of_the_loop(self) -> dict[str, Any]:
        """What the result of the training loop depends on, as JSON; shots and preferences come after it."""
        other = {"checkpoint_s", "shots", "preference_pairs", "preference_beta", "preference_learning_rate"}
        return self.model_dump(mode="json", exclude=other)


class Store(Section):
    """Where the vectors lie: Qdrant's engine in this process, or a Qdrant server."""

    kind: Literal["edge", "qdrant"] = "edge"
    url: str | None = Field(None, validate_default=True, description="Of the server: https://host:6333.")
    api_key_env: str = Field(
        "LLM_TWIN_QDRANT_API_KEY", description="Environment variable that holds the server's key, if any."
    )
    grpc: bool = Field(False, description="Talk gRPC to the server; faster for large versions.")
    grpc_port: int = Field(6334, ge=1, le=65535)
    prefix: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$",
        description="Of the server's collections, another for each workspace; null: its own.",
    )
    quantise_above: int | None = Field(
        50_000, ge=0, description="Versions of more chunks search int8 vectors first; null: none do."
    )

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None and info.data.get("kind") == "qdrant":
            raise ValueError("kind qdrant needs the server's address, such as http://localhost:6333")
        parts = urlsplit(url or "http://none")
        try:
            odd = "@" in parts.netloc or bool(parts.query) or parts.port == 0
        except ValueError:  # a port that is none
            odd = True
        if odd or parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.hostname or ""):
            raise ValueError("give it as http://host:port or https://host:port; a key goes by api_key_env")
        return url


class Retrieval(Section):
    """What is put before the model."""

    k: int = Field(4, ge=1, le=50, description="Passages shown to the model.")
    candidates: int = Field(
        100, ge=1, le=1000, description="Results of each leg before fusion, and kept after it."
    )
    reranker: str | None = Field(
        None, description="A cross-encoder for the first results: a Hugging Face id, or a folder."
    )
    rerank: int = Field(20, ge=1, le=200, description="Results that the reranker reads.")
    refuse_below: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least confidence that the posts hold an answer; fitted for the packaged embedder alone.",
    )


class Generation(Section):
    """How text is made."""

    engine: Literal["auto", "llama.cpp", "transformers"] = "auto"
    context: int = Field(
        4096,
        ge=512,
        le=131_072,
        description="Tokens of prompt and answer together; at most what the base was made for.",
    )
    max_tokens: int = Field(320, ge=1)
    temperature: float = Field(0.7, ge=0, le=2)
    top_p: float = Field(0.9, gt=0, le=1)
    min_p: float = Field(0.05, ge=0, le=1)
    repeat_penalty: float = Field(
        1.1,
        ge=1,
        le=2,
        description="On each of the last 64 tokens; rewritten texts have none.",
    )
    seed: Seed = 0


class Serve(Section):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: int = Field(8017, ge=0, le=65535)


class Config(Section):
    """Everything that can be set. llm_twin/twin.yaml is the commented file that `llm-twin init` writes."""

    author: Author = Author()
    collect: Collect = Collect()
    features: Features = Features()
    base: Base = Base()
    training: Training = Training()
    store: Store = Store()
    retrieval: Retrieval = Retrieval()
    generation: Generation = Generation()
    serve: Serve = Serve()


def load(paths: Iterable[Path] = (), overrides: Sequence[str] = ()) -> Config:
    """The configuration from YAML files, later over earlier, then `a.b=value` overrides.

    Raises ConfigError with every problem of every source at once.
    """
    merged: dict[str, Any] = {}
    problems: list[str] = []
    sources = []
    for path in paths:
        sources.append(str(path))
        _merge(merged, _read(path, problems))
    for override in overrides:
        _merge(merged, _parse_override(override, problems))
    if overrides:
        sources.append("--set")
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        problems += [_explain(e) for e in error.errors()]
        config = Config()
    if problems:
        raise ConfigError(problems, " and ".join(sources) or "the configuration")
    return config


def _read(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problems.append(f"there is no file {path}")
    except (*_UNREADABLE, OSError) as error:
        problems.append(f"{path} cannot be read as YAML ({' '.join(str(error).split())})")
    else:
        if isinstance(found, dict):
            return found
        if found is not None:
            problems.append(f"{path} holds a {type(found).__name__}, not sections of keys")
    return {}


def _parse_override(override: str, problems: list[str]) -> dict[str, Any]:
    dotted, sep, text = override.partition("=")
    if not sep or not dotted.strip():
        problems.append(f"--set {override!r} is not of the form section.key=value")
        return {}
    try:
        value: Any = yaml.safe_load(text)
    except _UNREADABLE:
        problems.append(f"--set {_shortened(override)!r}: the value is not valid YAML")
        return {}
    if isinstance(value, dict) and not text.lstrip().startswith("{"):
        value = text  # "name=Ada: the first" is a text with a colon in it, not a section
    for key in reversed(dotted.strip().split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif value is not None or not isinstance(into.get(key), dict):
            into[key] = {} if value is None and key in Config.model_fields else value


def _explain(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{where} is not a known key{_suggest(error['loc'])}"
    message = error["msg"].removeprefix("Value error, ")
    value = _shortened(_CREDENTIALS.sub("//***@", repr(error["input"])))
    return f"{where} = {value}: {message[0].lower()}{message[1:]}"


def _shortened(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _suggest(loc: tuple[Any, ...]) -> str:
    from difflib import get_close_matches

    model: Any = Config
    for part in loc[:-1]:
        model = model.model_fields[part].annotation
    near = get_close_matches(str(loc[-1]), list(model.model_fields), n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(model.model_fields)})"
