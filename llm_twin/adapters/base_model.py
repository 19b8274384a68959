"""The base model on disk, in memory, and its tokenizer: one resolved folder that training and serving share.

The packaged base is a GGUF in Q4_1. Its weights are dequantised once, exactly, to float32 in the cache
folder, so that an adapter is trained on the very weights that llama.cpp serves. Any other base is a local
folder or a Hugging Face id.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from llm_twin.adapters.hub import fetch
from llm_twin.adapters.weights import (
    BASE,
    cache_dir,
    file_sha256,
    made_once,
    named,
    named_folder,
    packaged_base,
)
from llm_twin.contracts.records import Message
from llm_twin.errors import MismatchError, MissingDependency

PACKAGED = "SmolLM2-135M-Instruct"
Dtype = Literal["fp32", "bf16"]
# Raised when the way the folder is made changes, so that a folder of an older program is not used.
_LAYOUT = 2


@dataclass(frozen=True, slots=True)
class BaseModel:
    """A resolved base model.

    Attributes:
        name: as the configuration names it, a folder's by a path that nobody could take for an id of the Hub.
        id: sha256 of the packaged GGUF, or of the safetensors files; what manifests record.
        folder: Hugging Face format: config.json, tokenizer, safetensors weights.
        gguf: the same model for llama.cpp, where there is one.
    """

    name: str
    id: str
    folder: Path
    gguf: Path | None


def resolve_base(name: str, gguf: Path | None = None, root: Path = Path()) -> BaseModel:
    """Find the base called `name`: the packaged one, a local folder, or a Hugging Face id (downloaded once).

    The packaged base is dequantised at the first call (about 25 s on 2 cores; 0.5 GB in the cache). `gguf`
    names the llama.cpp file of any base. Paths are relative to `root`. Raises MissingDependency where weights
    are not there, IntegrityError where they are damaged, TwinError where the cache cannot be written.
    """
    if gguf is not None:
        file = named(gguf, root)
        if file is None or not file.is_file():
            raise MissingDependency(f"There is no GGUF file at {gguf}", "Correct base.gguf in twin.yaml")
        gguf = file
    if name == PACKAGED:
        packed = packaged_base()
        folder = made_once(_dequantised(), lambda building: _write_dequantised(packed, building))
        return BaseModel(name, BASE.sha256, folder, gguf or packed)
    local = named_folder(name, root)
    folder = local or fetch(name, "base.id", f"Give a local folder, a Hugging Face id, or {PACKAGED}")
    return BaseModel(_as_path(name) if local else name, _weights_id(folder), folder, gguf)


def _as_path(name: str) -> str:
    """A folder's name, which versions keep, so that it is not made absolute: it is of no other machine."""
    return name if name.startswith((".", "~")) or Path(name).is_absolute() else f"./{name}"


def load_model(base: BaseModel, dtype: Dtype = "fp32", adapter: Path | None = None) -> Any:
    """The torch model in evaluation mode, with the PEFT adapter of folder `adapter` around it if is given.

    Raises MismatchError where the adapter does not fit the base.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=kind, local_files_only=True)
    if adapter is not None:
        from peft import PeftModel

        try:
            with warnings.catch_warnings():
                # peft still asks transformers by the old name; nothing that a user could change.
                warnings.filterwarnings(
                    "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
                )
                model = PeftModel.from_pretrained(model, adapter)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MismatchError(
                f"The adapter in {adapter} does not fit the base {base.name} ({reason})",
                "Train a new one for this base, or set base.id to the one it was trained on",
            ) from error
    return model.eval()


class HFChatTokenizer:
    """`contracts.ports.ChatTokenizer` by the tokenizer and chat template in a base model's folder."""

    eos_ids: tuple[int, ...]

    def __init__(self, folder: Path) -> None:
        self._tokenizer = _tokenizer(folder)
        if not self._tokenizer.chat_template:
            raise MismatchError(
                f"The base model in {folder} has no chat template", "Choose an instruction-tuned base model"
            )
        if not self._tokenizer.is_fast:
            raise MismatchError(
                f"The tokenizer in {folder} gives no character offsets", "Choose a base with a tokenizer.json"
            )
        self.eos_ids = _end_ids(folder, self._tokenizer.eos_token_id)

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the messages and the header of the assistant's turn, ready for its first word.

        Where the template has no system message, its text stands before the first of the user's. The names of
        this tokenizer's control tokens are broken up in the messages, so that no text can leave its own.
        """
        turns = [(m.role, self._control.sub(r" \g<0>", m.content)) for m in messages]
        if turns[0][0] == "system" and not self._has_system:
            (_, system), (role, content), *rest = turns
            turns = [(role, f"{system}\n\n{content}"), *rest]
        text = self._render(turns)
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False).input_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text; control tokens inside the text are not recognised."""
        return list(self._plain(text).input_ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, without special tokens."""
        return str(
            self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        )

    def byte_ends(self, text: str) -> tuple[list[int], list[int]]:
        """(ids, ends): `ends[i]` is the number of UTF-8 bytes of `text` that tokens 0..i cover.

        A character that several tokens share counts with the last of them.
        """
        found = self._plain(text, return_offsets_mapping=True)
        spans: list[tuple[int, int]] = found.offset_mapping
        nexts = [start for start, _ in spans[1:]] + [len(text)]
        ids, ends, chars, size = list(found.input_ids), [], 0, 0
        for i in range(len(ids)):
            done = min(spans[i][1], nexts[i])
            if done > chars:
                size += len(text[chars:done].encode())
                chars = done
            ends.append(size)
        return ids, ends

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """A control token without its first character, after which it is broken up.

        Control tokens are those that a tokenizer calls special, and those that its template sets.
        """
        template, ends = str(self._tokenizer.chat_template), defaultdict[str, list[str]](list)
        tokens = self._tokenizer.added_tokens_decoder.values()
        names = {t.content for t in tokens if t.special or (t.content.strip() and t.content in template)}
        for name in sorted(names, key=len, reverse=True):
            if len(name) > 1:
                ends[name[0]].append(re.escape(name[1:]))
        # By their first characters, so that few places of a text are looked at closely.
        parts = [f"(?<={re.escape(first)})(?:{'|'.join(rest)})" for first, rest in ends.items()]
        return re.compile("|".join(parts) or "(?!)")

    @cached_property
    def _has_system(self) -> bool:
        """Whether the template shows a system message; Gemma's refuses one, others drop it."""
        from jinja2 import TemplateError

        try:
            return "persona" in self._render([("system", "persona"), ("user", "question")])
        except TemplateError:
            return False

    def _render(self, turns: Sequence[tuple[str, str]]) -> str:
        shown = [{"role": role, "content": content} for role, content in turns]
        # Templates that know no thinking (Qwen3's does) ignore it; an author's text begins without any.
        return str(
            self._tokenizer.apply_chat_template(
                shown, add_generation_prompt=True, enable_thinking=False, tokenize=False
            )
        )

    def _plain(self, text: str, **options: Any) -> Any:
        return self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, verbose=False, **options
        )


def _tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder; one that is all in its tokenizer.json without importing torch (3 s)."""
    path = folder / "tokenizer_config.json"
    named = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class") if path.is_file() else None
    if named in ("TokenizersBackend", "PreTrainedTokenizerFast"):  # the name in transformers 5, and before
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _end_ids(folder: Path, of_tokenizer: int | None) -> tuple[int, ...]:
    """Tokens that end a turn: the tokenizer's own first, then what the generation configuration adds."""
    path = folder / "generation_config.json"
    named = json.loads(path.read_text()).get("eos_token_id") if path.is_file() else None
    listed = named if isinstance(named, list) else [named]
    return tuple(dict.fromkeys(i for i in [of_tokenizer, *listed] if i is not None))


def is_prepared(name: str) -> bool:
    """Whether the base of this name is ready to load; the packaged one is not before its first use."""
    return name != PACKAGED or _dequantised().is_dir()


def _dequantised() -> Path:
    return cache_dir() / "base" / f"{BASE.sha256[:12]}-{_LAYOUT}"


def _write_dequantised(packed: Path, target: Path) -> None:
    import torch
    from tokenizers.pre_tokenizers import ByteLevel, Digits
    from tokenizers.pre_tokenizers import Sequence as InOrder
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    with _no_bars():
        read = AutoModelForCausalLM.from_pretrained(
            packed.parent,
            gguf_file=packed.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        tokenizer = AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name)
    # A model that was read from a GGUF refuses save_pretrained; the same weights in a fresh model do not.
    model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    model.save_pretrained(target)
    # transformers drops the GGUF's `tokenizer.ggml.pre = smollm`: digits stand alone, before anything else is
    # split. Without it line breaks before a digit become other tokens than in llama.cpp and in the model's
    # training.
    tokenizer.backend_tokenizer.pre_tokenizer = InOrder(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )
    tokenizer.save_pretrained(target)


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the GGUF reader's own progress bar off the terminal; what it raises still comes through."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


def base_weights(folder: Path) -> list[Path]:
    """The files of weights of a base in Hugging Face format. Raises MissingDependency where it is none."""
    shards = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not shards:
        raise MissingDependency(
            f"{folder} is not a base model (it needs config.json and *.safetensors)",
            f"Set base.id to a folder in Hugging Face format, or to {PACKAGED}",
        )
    return shards


def _weights_id(folder: Path) -> str:
    hashes = [file_sha256(path) for path in base_weights(folder)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
