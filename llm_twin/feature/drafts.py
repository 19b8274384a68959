"""Drafts: a local model restates paragraphs plainly; what passes the checks becomes the input of a rewrite.

The target stays the author's paragraph. A draft must keep every name and number, add none, be no copy, say
the same and be of like length; the rules are below. Every answer of the model is kept in a cache as it comes,
the refused ones too: an interruption loses one draft, a rebuild asks for nothing again, and a version of the
same posts stays the same. Answers about paragraphs that the posts no longer hold are deleted.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_twin.contracts import prompts
from llm_twin.contracts.manifests import digest
from llm_twin.contracts.ports import Drafter, Progress
from llm_twin.feature.notes import STOP_WORDS, copied_run, facts
from llm_twin.workspace import atomic_write, translate_disk_full

CACHE = "drafts.jsonl"
_LENGTH = (0.5, 1.5)  # of the paragraph's words
_RUN = 8  # words in a row that a draft may share with its paragraph; a name and its title are three or four
_SHARED = 0.5  # most of a draft's runs of three words that may stand in its paragraph
# Least of the content words of either that the other holds too: without it, 7 of 34 drafts of a 135M model
# passed, and all seven were about something else.
_SAME = 1 / 3
_WORD = re.compile(r"\w+")
_ENDS = re.compile(r"[.!?…][\"'”’)\]*_]*$")


class _Every:
    """A vocabulary of all words: a capital at the start of a sentence then makes no name."""

    def __contains__(self, word: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Drafted:
    """What came of a build's drafts.

    Attributes:
        texts: the accepted drafts by their paragraph.
        asked: paragraphs that were drafted, now or before; `reused` of them came from the cache.
        refused: number of drafts by the reason why they are of no use.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    asked: int = 0
    reused: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The figures for a report; empty where nothing was asked for."""
        figures = {"asked": self.asked, "reused": self.reused, "accepted": len(self.texts)}
        return figures | dict(self.refused) if self.asked else {}

    @property
    def remark(self) -> str | None:
        """The acceptance rate in one sentence; None where nothing was asked for."""
        if not self.asked:
            return None
        accepted = len(self.texts)
        rest = ", ".join(f"{n} {reason}" for reason, n in self.refused.items())
        return (
            f"Of {self.asked} drafts {accepted} can be used ({accepted / self.asked:.0%})"
            f"{f'; of the others {rest}' if rest else ''}"
        )


def run(
    paragraphs: Sequence[str],
    drafter: Drafter,
    cache: Path,
    vocabulary: Container[str],
    progress: Progress,
) -> Drafted:
    """Have the paragraphs restated and check what comes back.

    `vocabulary` holds words that the author also writes in lower case (see `feature.notes`). Raises DiskFull,
    WorkspaceError, and what the drafter raises.
    """
    messages = {text: prompts.draft(text) for text in paragraphs}
    keys = {text: _key(drafter.id, text) for text in messages}
    known = {key: draft for key, _, draft in _read(cache)}
    missing = [text for text in messages if keys[text] not in known]
    if missing:
        progress.start("draft", len(missing))
    for text in missing:
        known[keys[text]] = drafter.draft(messages[text])
        _append(cache, _line(keys[text], digest(text), known[keys[text]]))
        progress.advance()
    accepted: dict[str, str] = {}
    refused: Counter[str] = Counter()
    for text in messages:
        draft = " ".join(known[keys[text]].split())
        reason = refusal(draft, text, vocabulary)
        if reason:
            refused[reason] += 1
        else:
            accepted[text] = draft
    return Drafted(accepted, len(messages), len(messages) - len(missing), dict(refused.most_common()))


def keep(cache: Path, paragraphs: Iterable[str]) -> None:
    """Delete what the cache holds of other paragraphs: what an author took back does not stay here."""
    wanted = {digest(text) for text in paragraphs}
    kept = "".join(_line(*entry) for entry in _read(cache) if entry[1] in wanted)
    if cache.is_file() and cache.read_bytes() != kept.encode():  # a torn line holds words too
        atomic_write(cache, kept)


def refusal(draft: str, paragraph: str, vocabulary: Container[str] = frozenset()) -> str | None:
    """Why a draft cannot stand for its paragraph, as words that follow a number; None where it can."""
    own, other = _WORD.findall(draft.casefold()), _WORD.findall(paragraph.casefold())
    least, most = (share * len(other) for share in _LENGTH)
    if not least <= len(own) <= most or not _ENDS.search(draft):
        return "are of another length or break off"
    if not all(_holds(own, fact) for fact in facts(paragraph, vocabulary)):
        return "lost a name or a number"
    known = set(other)
    if any(set(_WORD.findall(fact.casefold())) - known for fact in facts(draft, _Every())):
        return "added a name or a number"
    if copied_run(draft, paragraph, _RUN + 1) or _shared(own, other) > _SHARED:
        return "are copies"
    ours, theirs = set(own) - STOP_WORDS, set(other) - STOP_WORDS
    if len(ours & theirs) < _SAME * max(len(ours), len(theirs)):
        return "say something else"
    return None


def _holds(own: Sequence[str], fact: str) -> bool:
    return f" {' '.join(_WORD.findall(fact.casefold()))} " in f" {' '.join(own)} "


def _shared(own: Sequence[str], other: Sequence[str]) -> float:
    """Share of the draft's runs of three words that stand in the paragraph."""
    ours, theirs = (list(zip(words, words[1:], words[2:], strict=False)) for words in (own, other))
    seen = set(theirs)
    return sum(run in seen for run in ours) / max(1, len(ours))


def _key(drafter: str, text: str) -> str:
    """Identity of a request: the model, the words of the prompt, and the paragraph in it."""
    return digest([drafter, [m.model_dump() for m in prompts.draft(text)]])


def _append(cache: Path, line: str) -> None:
    with translate_disk_full(cache):
        cache.parent.mkdir(parents=True, exist_ok=True)
        with cache.open("a+b") as file:
            torn = False
            if file.tell():  # a line that a kill tore must not swallow this one
                file.seek(-1, os.SEEK_END)
                torn = file.read() != b"\n"
            file.write((b"\n" if torn else b"") + line.encode())


def _line(key: str, paragraph: str, draft: str) -> str:
    return json.dumps({"key": key, "paragraph": paragraph, "draft": draft}, ensure_ascii=False) + "\n"


def _read(cache: Path) -> Iterable[tuple[str, str, str]]:
    """(key, hash of the paragraph, draft) of every whole line; a torn or damaged one is drafted again."""
    try:
        lines = cache.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
            yield str(entry["key"]), str(entry["paragraph"]), str(entry["draft"])
        except (ValueError, KeyError, TypeError):
            continue
