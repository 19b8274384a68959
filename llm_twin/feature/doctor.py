"""The training-data doctor: does a version hold the author's own words, and nothing that it must not?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llm_twin.contracts.prose import join, prose
from llm_twin.contracts.records import Post, Sample, Split
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature.dedup import text_hash
from llm_twin.feature.notes import plain, wordy

# A style mark, and how it is found. The rate of each is counted per character.
_MARKS = {
    "contractions": re.compile(r"\w['’](?:t|s|d|m|re|ve|ll)\b", re.IGNORECASE),
    "commas": re.compile(r","),
    "semicolons and colons": re.compile(r"[;:]"),
    "dashes": re.compile(r"[—–]|(?<= )--?(?= )"),
    "brackets": re.compile(r"\("),
    "quotation marks": re.compile(r"[\"“”]"),
    "question and exclamation marks": re.compile(r"[?!]"),
}
# The targets are a selection of the prose (paragraphs of some length), so rates differ a little by nature: on
# the sample author they lie between 0.78 and 1.05. Lost contractions give 0.
_BOUNDS = (0.6, 1.67)
_ENOUGH = 30  # marks that must be expected before a rate is judged
_SHOWN = 3  # ids named in a problem


def check(version: FeatureVersion) -> list[str]:
    """The problems found, one sentence each; empty where training may go ahead."""
    return [
        *_not_the_source(version),
        *_held_out(version),
        *_across_splits(version),
        *_shifted_style(version),
    ]


def _not_the_source(version: FeatureVersion) -> Iterable[str]:
    bad = []
    for sample in version.samples:
        post = version.posts.get(sample.post_id)
        if post is None or not sample.completion or join(post.markdown, sample.spans) != sample.completion:
            bad.append(sample.id)
    if bad:
        yield f"{len(bad)} of {len(version.samples)} completions are not the author's text ({_some(bad)})"


def _held_out(version: FeatureVersion) -> Iterable[str]:
    split_of = {post: split for split, posts in version.manifest.splits.items() for post in posts}
    test = [s.id for s in version.samples if split_of.get(s.post_id) == "test"]
    if test:
        yield f"{len(test)} samples are of test posts ({_some(test)})"
    wrong = [s.id for s in version.samples if split_of.get(s.post_id) not in ("test", s.split)]
    if wrong:
        yield f"{len(wrong)} samples are not in the split of their post ({_some(wrong)})"
    if not any(s.split == "train" for s in version.samples):
        yield "There are no training samples"


def _across_splits(version: FeatureVersion) -> Iterable[str]:
    names: tuple[Split, ...] = ("train", "validation", "test")
    seen: dict[str, tuple[str, Split]] = {}
    same = []
    for split in names:
        for post in version.split(split):
            first, where = seen.setdefault(text_hash(post.markdown), (post.id, split))
            if where != split:
                same.append(f"{first} and {post.id}")
    if same:
        yield f"{len(same)} posts stand in two splits with the same text ({_some(same)})"
    targets: dict[str, Sample] = {}
    repeated = []
    for sample in version.samples:
        first_sample = targets.setdefault(text_hash(sample.completion), sample)
        if first_sample.split != sample.split:
            repeated.append(sample.id)
    if repeated:
        yield f"{len(repeated)} targets stand in training and validation alike ({_some(repeated)})"


def _shifted_style(version: FeatureVersion) -> Iterable[str]:
    """Compares the targets with all prose of their posts, short and long paragraphs alike."""
    used = {s.post_id for s in version.samples}
    posts: list[Post] = [post for post in version.posts.values() if post.id in used]
    source = "\n".join(p for post in posts for p in prose(post.markdown).split("\n\n") if wordy(plain(p)))
    targets = "\n".join(sample.completion for sample in version.samples)
    if not source or not targets:
        return
    for name, pattern in _MARKS.items():
        there, here = len(pattern.findall(source)), len(pattern.findall(targets))
        expected = there / len(source) * len(targets)
        if expected >= _ENOUGH and not _BOUNDS[0] <= here / expected <= _BOUNDS[1]:
            yield f"The targets hold {here / expected:.2f} times the {name} of the author's prose"


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
