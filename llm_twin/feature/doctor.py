"""The training-data doctor: does a version hold the author's own words, and nothing that it must not?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from llm_twin.contracts import prompts
from llm_twin.contracts.prose import PROSE, blocks, join, word_count
from llm_twin.contracts.records import Sample, Split, Task
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature.dedup import text_hash
from llm_twin.feature.drafts import refusal
from llm_twin.feature.near import related
from llm_twin.feature.quoted import overlaps, quoted
from llm_twin.feature.samples import most, vocabulary
from llm_twin.feature.split import SMALLEST
from llm_twin.feature.style import shifted
from llm_twin.feature.targets import TASK_WORDS

# Share of the samples that the posts can give, which must be there. Every title makes one; of the paragraphs
# some say too little to be noted or asked about (of three authors' notes, 98 % and more make one).
_LEAST_MADE = 0.5
_FEWEST = 8  # training samples: with fewer, one step of the optimiser sees them all
_SHOWN = 3  # ids named in a problem
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_WHOLE: frozenset[Task] = frozenset({"write", "outline"})  # posts that are alike are found as posts


def check(version: FeatureVersion) -> list[str]:
    """The problems found, one sentence each; empty where training may go ahead."""
    return [
        *_not_the_source(version),
        *_cut(version),
        *_continued(version),
        *_quoted(version),
        *_held_out(version),
        *_too_few(version),
        *_across_splits(version),
        *_mix(version),
        *_drafts(version),
        *_length(version),
        *shifted(version),
    ]


def remedy(version: FeatureVersion) -> str:
    """What helps against the problems of a version: of as few or as like posts a build makes the same."""
    if any(_too_few(version)):
        return "Collect more posts that differ from one another, then: llm-twin features build"
    return "Rebuild it: llm-twin features build"


def _not_the_source(version: FeatureVersion) -> Iterable[str]:
    bad = []
    for sample in version.samples:
        post = version.posts.get(sample.post_id)
        if post is None or not sample.completion or join(post.markdown, sample.spans) != sample.completion:
            bad.append(sample.id)
    if bad:
        yield f"{len(bad)} of {len(version.samples)} completions are not the author's text ({_some(bad)})"


def _cut(version: FeatureVersion) -> Iterable[str]:
    """A target that begins or ends inside a paragraph teaches to stop there."""
    whole = {
        post.id: {(block.start, block.end) for block in blocks(post.markdown)}
        for post in version.posts.values()
    }
    bad = [s.id for s in version.samples if not set(s.spans) <= whole.get(s.post_id, set())]
    if bad:
        yield f"{len(bad)} completions begin or end inside a paragraph ({_some(bad)})"


def _continued(version: FeatureVersion) -> Iterable[str]:
    """What a continuation follows is the author's own too, of the same post, and nothing lies between."""
    bad = [s.id for s in version.samples if s.task == "continue" and not _goes_on(version, s)]
    if bad:
        yield f"{len(bad)} continuations do not follow the author's text before them ({_some(bad)})"


def _goes_on(version: FeatureVersion, sample: Sample) -> bool:
    post, author = version.posts.get(sample.post_id), version.manifest.prompt.author
    if post is None or not sample.spans:
        return False
    others, end = quoted(post.markdown), 0
    for block in reversed(blocks(post.markdown)):
        if block.end > sample.spans[0][0]:
            continue
        if block.kind not in PROSE or overlaps(others, [(block.start, block.end)]):
            return False
        end = end or block.end
        if prompts.continued(author, post.title, post.markdown[block.start : end]) == sample.messages:
            return True
    return False


def _quoted(version: FeatureVersion) -> Iterable[str]:
    others = {post.id: quoted(post.markdown) for post in version.posts.values()}
    bad = [s.id for s in version.samples if overlaps(others.get(s.post_id, ()), s.spans)]
    if bad:
        yield f"{len(bad)} completions hold what the author quotes from others ({_some(bad)})"


def _held_out(version: FeatureVersion) -> Iterable[str]:
    split_of = {post: split for split, posts in version.manifest.splits.items() for post in posts}
    test = [s.id for s in version.samples if split_of.get(s.post_id) == "test"]
    if test:
        yield f"{len(test)} samples are of test posts ({_some(test)})"
    wrong = [s.id for s in version.samples if split_of.get(s.post_id) not in ("test", s.split)]
    if wrong:
        yield f"{len(wrong)} samples are not in the split of their post ({_some(wrong)})"
    twice = [
        post
        for post, n in Counter(p for ids in version.manifest.splits.values() for p in ids).items()
        if n > 1
    ]
    if twice:
        yield f"{len(twice)} posts stand in two splits ({_some(twice)})"


def _too_few(version: FeatureVersion) -> Iterable[str]:
    """What is learnt must be measured; too few posts to divide hold none out, and cannot be trained on."""
    number = len(version.posts)
    for split in _SPLITS[1:]:
        if number >= SMALLEST and not version.manifest.splits[split]:
            yield f"None of {number} posts is held out for {split}"
    trained = _trained(version).total()
    if not trained:
        yield "There are no training samples"
    elif trained < _FEWEST:
        yield f"There are {trained} training samples, fewer than {_FEWEST}"


def _across_splits(version: FeatureVersion) -> Iterable[str]:
    yield from _alike_posts(version)
    where: dict[str, tuple[str, Split]] = {}
    test = {
        text_hash(post.markdown[b.start : b.end])
        for post in version.split("test")
        for b in blocks(post.markdown)
    }
    repeated, leaked = [], []
    for sample in (s for s in version.samples if s.task not in _WHOLE):
        text = text_hash(sample.completion)
        _, first = where.setdefault(text, (sample.id, sample.split))
        if first != sample.split:
            repeated.append(sample.id)
        if text in test:
            leaked.append(sample.id)
    if repeated:
        yield f"{len(repeated)} targets stand in training and validation alike ({_some(repeated)})"
    if leaked:
        yield f"{len(leaked)} targets stand in test posts too ({_some(leaked)})"


def _alike_posts(version: FeatureVersion) -> Iterable[str]:
    posts = [(split, post) for split in _SPLITS for post in version.split(split)]
    same: list[str] = []
    near: list[str] = []
    for group in related([post.markdown for _, post in posts]):
        first_split, first = posts[group[0]]
        other = next(
            (post for split, post in (posts[place] for place in group) if split != first_split), None
        )
        if other is not None:
            equal = text_hash(first.markdown) == text_hash(other.markdown)
            (same if equal else near).append(f"{first.id} and {other.id}")
    if same:
        yield f"{len(same)} posts stand in two splits with the same text ({_some(same)})"
    if near:
        yield f"{len(near)} groups of posts that say nearly the same lie in two splits ({_some(near)})"


def _mix(version: FeatureVersion) -> Iterable[str]:
    """Whether each task has the samples that the posts can give, each of them once."""
    trained = _trained(version)
    if not trained:
        return
    twice = [sample for sample, n in Counter(s.id for s in version.samples).items() if n > 1]
    if twice:
        yield f"{len(twice)} samples stand there more than once ({_some(twice)})"
    tasks: tuple[Task, ...] = tuple(version.manifest.parameters.get("tasks", ()))
    possibles = most(version.posts, version.manifest.splits, tasks)
    for task in tasks:
        possible = possibles[task]
        if not _LEAST_MADE * possible <= trained[task] <= possible:
            found = f"{trained[task]} samples of the task {task}"
            yield f"The task mix is off: {found}; the posts give {possible}"


def _trained(version: FeatureVersion) -> Counter[Task]:
    """Training samples made by rule, of each task."""
    return Counter(s.task for s in version.samples if s.split == "train" and s.source == "rule")


def _drafts(version: FeatureVersion) -> Iterable[str]:
    """Whether the drafts are no more than were asked for, and still pass their checks."""
    drafted = [sample for sample in version.samples if sample.source == "draft"]
    budget = version.manifest.parameters.get("draft_budget", 0)
    if len(drafted) > budget:
        yield f"{len(drafted)} samples are made of drafts; {budget} could be asked for"
    words = vocabulary(version.split("train"))
    bad = [s.id for s in drafted if s.task != "rewrite" or refusal(_input(s), s.completion, words)]
    if bad:
        yield f"{len(bad)} drafts do not say what their target says, or are copies ({_some(bad)})"


def _input(sample: Sample) -> str:
    """What a rewrite starts from: the prompt's text after its instruction."""
    return sample.messages[-1].content.partition("\n\n")[2]


def _length(version: FeatureVersion) -> Iterable[str]:
    bad: dict[Task, list[str]] = {}
    for sample in version.samples:
        least, highest = TASK_WORDS[sample.task]
        if not least <= word_count(sample.completion) <= highest:
            bad.setdefault(sample.task, []).append(sample.id)
    for task, ids in bad.items():
        least, highest = TASK_WORDS[task]
        yield f"{len(ids)} completions of the task {task} hold no {least} to {highest} words ({_some(ids)})"


def examples(version: FeatureVersion, number: int = 5) -> list[Sample]:
    """Samples for a person to read: the tasks in turn, spread over the posts."""
    by_task: dict[Task, list[Sample]] = {}
    for sample in version.samples:
        by_task.setdefault(sample.task, []).append(sample)
    tasks = sorted(by_task)
    shown = []
    for place in range(min(number, len(version.samples))):
        found = by_task[tasks[place % len(tasks)]]
        shown.append(found[place * len(found) // number])
    return shown


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
