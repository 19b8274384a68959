"""Drafts of a local model: checked, counted, kept, and asked for once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config, load
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.records import Message, Post, Sample
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature import FeatureReport, drafts, run
from llm_twin.feature.doctor import check
from llm_twin.feature.drafts import refusal
from llm_twin.feature.notes import STOP_WORDS, facts
from llm_twin.workspace import Workspace

Make = Callable[..., Post]
BUDGET = load(overrides=["features.draft_budget=9"])
PARAGRAPH = (
    "I didn't open the upper gate before breakfast, because Captain Yarrow had 16 boxes of walnuts aboard "
    "the barge, and the paddles were stiff with frost until eleven."
)
GOOD = (
    "There were 16 boxes on the boat of Captain Yarrow. It was icy until eleven, which made it hard to move "
    "anything, and the higher gate stayed shut in the morning."
)

ELSE = (
    "It is all about a way of thinking for Captain Yarrow, who has 16 new ideas and would like to share each "
    "of them with you and your friends at eleven."
)


class Restates:
    """A drafter's double: of three paragraphs it restates one, copies one and loses all facts of one."""

    id = "double-1"

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[str] = []
        self.fails_at = fails_at

    def draft(self, messages: Sequence[Message]) -> str:
        if len(self.asked) == self.fails_at:
            raise KeyboardInterrupt
        text = messages[-1].content.partition("\n\n")[2]
        self.asked.append(text)
        match len(text) % 3:
            case 0:
                said = sorted(set(re.findall(r"\b[a-z]{4,}\b", text)) - STOP_WORDS)
                return f"It was {' and '.join([*facts(text), *said[::2]])}."
            case 1:
                return text
            case _:
                return (
                    "Somebody had to wait for a very long time at some gate in the cold, " * 3 + "it seems."
                )


class Counts(Silent):
    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}
        self.steps = 0
        self.stage = ""
        self.lines: list[str] = []

    def start(self, stage: str, total: int | None = None) -> None:
        self.stage, self.totals[stage] = stage, total

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.steps += steps * (self.stage == "draft")

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (GOOD, None),
        (GOOD.replace("eleven", "noon"), "lost a name or a number"),
        (GOOD.replace("Yarrow", "Hook"), "lost a name or a number"),
        (GOOD.replace("16", "sixteen"), "lost a name or a number"),
        (GOOD.replace("on the boat", "on the boat with 3 geese"), "added a name or a number"),
        (GOOD.replace("on the boat", "on the boat from Corrow"), "added a name or a number"),
        (PARAGRAPH, "are copies"),
        (PARAGRAPH.replace("I didn't open", "We opened"), "are copies"),
        (ELSE, "say something else"),
        (GOOD[:-1], "are of another length or break off"),
        ("Captain Yarrow, 16, eleven.", "are of another length or break off"),
        (f"{GOOD} {GOOD}", "are of another length or break off"),
        ("", "are of another length or break off"),
    ],
)
def test_a_draft_keeps_the_facts_and_is_no_copy(draft: str, reason: str | None) -> None:
    assert refusal(draft, PARAGRAPH) == reason


def test_a_stitched_copy_is_a_copy() -> None:
    pieces = PARAGRAPH.removesuffix(".").split()
    runs = [pieces[at : at + 6] for at in range(0, len(pieces), 6)]
    stitched = " ".join(word for piece in runs[::-1] for word in piece) + "."
    assert refusal(stitched, PARAGRAPH) == "are copies"


def test_inline_code_is_a_name() -> None:
    text = "You call `open_gate` with two arguments, and the old paddle goes up by itself as if nobody asked."
    draft = (
        "The paddle rises alone, and no one seems to want that, if `{0}` is given two arguments by a person."
    )
    assert refusal(draft.format("open_gate"), text) is None
    assert refusal(draft.format("shut_gate"), text) == "lost a name or a number"


def test_a_build_reports_what_came_of_its_drafts(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    counts, restates = Counts(), Restates()
    report, version = built(tmp_path, post, embedder, store, restates, counts)
    drafted = [s for s in version.samples if s.source == "draft"]
    assert report.drafts["asked"] == len(restates.asked) == counts.totals["draft"] == counts.steps == 9
    assert 0 < report.drafts["accepted"] == len(drafted) < 9
    assert sum(report.drafts.values()) == 18, "each was accepted, or refused for one reason"
    assert report.remarks[-1] == counts.lines[-1]
    assert report.remarks[-1].startswith(f"Of 9 drafts {len(drafted)} can be used (")
    assert version.manifest.counts["drafts"] == len(drafted)
    assert version.manifest.parameters["drafter"] == "double-1"
    assert {s.split for s in drafted} == {"train"}
    assert {s.task for s in drafted} == {"rewrite"}
    assert all(s.completion in restates.asked for s in drafted)
    assert check(version) == []


def test_a_version_without_drafts_says_nothing_of_them(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    report, version = built(tmp_path, post, embedder, store, Restates(), config=Config())
    assert report.drafts == {}
    assert {"drafter", "draft_budget"}.isdisjoint(version.manifest.parameters)
    assert "drafts" not in version.manifest.counts
    assert all(s.source == "rule" for s in version.samples)


def test_a_rebuild_asks_for_nothing_again(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    restates = Restates()
    first, version = built(tmp_path, post, embedder, store, restates)
    (tmp_path / "cache" / "features.json").unlink()
    again, same = built(tmp_path, post, embedder, store, restates)
    assert len(restates.asked) == 9
    assert (first.drafts["reused"], again.drafts["reused"]) == (0, 9)
    assert not again.created
    assert same.manifest.content_id == version.manifest.content_id


def test_another_model_or_another_prompt_is_asked_anew(
    tmp_path: Path, post: Make, embedder: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    restates = Restates()
    built(tmp_path, post, embedder, store, restates)
    restates.id = "double-2"
    built(tmp_path, post, embedder, store, restates)
    assert len(restates.asked) == 18
    plain = prompts.draft
    monkeypatch.setattr(prompts, "draft", lambda text: plain(f"In short:\n\n{text}"))
    (tmp_path / "cache" / "features.json").unlink()
    built(tmp_path, post, embedder, store, restates)
    assert len(restates.asked) == 27


@pytest.mark.parametrize("torn", [b"", b'{"key": "12', b"\xff\n[]\n{}\n"])
def test_an_interruption_loses_one_draft(
    tmp_path: Path, post: Make, embedder: Any, store: Any, torn: bytes
) -> None:
    with pytest.raises(KeyboardInterrupt):
        built(tmp_path, post, embedder, store, Restates(fails_at=5))
    with (tmp_path / "cache" / drafts.CACHE).open("ab") as cache:
        cache.write(torn)  # what kill -9 or a bad disk may leave
    assert not list(tmp_path.glob("features/F*"))
    restates = Restates()
    report, version = built(tmp_path, post, embedder, store, restates)
    assert (len(restates.asked), report.drafts["reused"]) == (4, 5)
    (tmp_path / "cache" / "features.json").unlink()
    built(tmp_path, post, embedder, store, restates)
    assert len(restates.asked) == 4
    undisturbed, expected = built(tmp_path / "other", post, embedder, store, Restates())
    assert version.manifest.content_id == expected.manifest.content_id
    assert undisturbed.drafts | {"reused": 5} == report.drafts


def test_what_an_author_took_back_leaves_the_cache(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    restates = Restates()
    built(tmp_path, post, embedder, store, restates)
    cache = tmp_path / "cache" / drafts.CACHE
    gone = next(p for p in map(post, range(30)) if any(text in p.markdown for text in restates.asked))
    held = [line for line in cache.read_text().splitlines() if gone.markdown[30:44] not in line]
    posts = [p for p in map(post, range(30)) if p.id != gone.id]
    run(posts, Config(), embedder, store, Workspace(tmp_path), Silent())
    left = cache.read_text().splitlines()
    assert 0 < len(left) < 9
    assert set(left) <= set(held)


def test_the_doctor_finds_drafts_that_do_not_hold_what_they_must(
    tmp_path: Path, post: Make, embedder: Any, store: Any
) -> None:
    _, version = built(tmp_path, post, embedder, store, Restates())
    one = next(s for s in version.samples if s.source == "draft")
    for spoiled in (
        with_input(one, version, one.completion),
        with_input(one, version, "A plain text without any of its facts."),
        one.model_copy(update={"task": "write"}),
    ):
        version.__dict__["samples"] = [spoiled if s is one else s for s in version.samples]
        assert f"1 drafts do not say what their target says, or are copies ({one.id})" in check(version)
        version.__dict__["samples"] = [one if s is spoiled else s for s in version.samples]
    assert check(version) == []
    version.manifest.parameters["draft_budget"] = 1
    number = sum(s.source == "draft" for s in version.samples)
    assert f"{number} samples are made of drafts; 1 could be asked for" in check(version)


def with_input(sample: Sample, version: FeatureVersion, text: str) -> Sample:
    return sample.model_copy(update={"messages": prompts.rewrite(version.manifest.prompt.author, text)})


def built(
    folder: Path,
    post: Make,
    embedder: Any,
    store: Any,
    drafter: Restates,
    progress: Silent | None = None,
    config: Config = BUDGET,
) -> tuple[FeatureReport, FeatureVersion]:
    space = Workspace(folder)
    posts = [post(n) for n in range(30)]
    report = run(posts, config, embedder, store, space, progress or Silent(), drafter)
    return report, FeatureVersion.open(space.features / report.version)
