from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llm_twin.config import Config, load
from llm_twin.contracts import prompts
from llm_twin.contracts.manifests import MANIFEST, file_hash
from llm_twin.contracts.ports import Silent
from llm_twin.contracts.prose import join
from llm_twin.contracts.records import Post, Sample
from llm_twin.contracts.versions import POSTS, SAMPLES, FeatureVersion, write_lines
from llm_twin.feature import run
from llm_twin.feature.doctor import check, examples, remedy
from llm_twin.workspace import Workspace

Make = Callable[..., Post]
Retell = Callable[[str], str]
EVERY_TASK = "features.tasks=[write, outline, continue, rewrite, answer]"
QUOTED = "> The keeper of this lock will cease the maintenance of paper level books from the first of May."


@pytest.fixture
def version(tmp_path: Path, post: Make, embedder: Any, store: Any) -> FeatureVersion:
    posts = [post(n) for n in range(40)]
    posts[5] = post(5, f"{posts[5].markdown}\n\n{QUOTED}")
    space = Workspace(tmp_path / "space")
    run(posts, Config(), embedder, store, space, Silent())
    return FeatureVersion.open(space.features / "F0001")


def spoiled(
    version: FeatureVersion, samples: Sequence[Sample] | None = None, posts: Sequence[Post] | None = None
) -> FeatureVersion:
    """A sealed version that holds other samples or posts: what a faulty pipeline would have made."""
    folder = version.folder.parent / "F0666"
    shutil.copytree(version.folder, folder)
    if samples is not None:
        write_lines(folder / SAMPLES, samples)
    if posts is not None:
        write_lines(folder / POSTS, posts)
    files = {name: file_hash(folder / name) for name in version.manifest.files}
    manifest = version.manifest.model_copy(update={"version": "F0666", "files": files}).sealed()
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return FeatureVersion.open(folder)


def retold(version: FeatureVersion, retell: Retell) -> FeatureVersion:
    return spoiled(
        version, [s.model_copy(update={"completion": retell(s.completion)}) for s in version.samples]
    )


def moved(version: FeatureVersion, sample: Sample, start: int, end: int) -> Sample:
    """The sample with another part of its post as the target, so that span and text agree."""
    text = join(version.posts[sample.post_id].markdown, [(start, end)])
    return sample.model_copy(update={"completion": text, "spans": ((start, end),)})


def problem(problems: list[str], pattern: str) -> str:
    (found,) = [p for p in problems if re.search(pattern, p)]
    return found


def test_a_sound_version(version: FeatureVersion) -> None:
    assert check(version) == []
    assert check(spoiled(version)) == []


def test_the_sample_author_is_sound(tmp_path: Path, author: list[Post], embedder: Any, store: Any) -> None:
    space = Workspace(tmp_path)
    run(author, Config(), embedder, store, space, Silent())
    assert check(FeatureVersion.open(space.features / "F0001")) == []


def test_all_tasks_together_are_sound(tmp_path: Path, author: list[Post], embedder: Any, store: Any) -> None:
    run(author, load(overrides=[EVERY_TASK]), embedder, store, Workspace(tmp_path), Silent())
    version = FeatureVersion.open(tmp_path / "features" / "F0001")
    assert check(version) == []
    assert {s.task for s in examples(version)} == {"write", "outline", "continue", "rewrite", "answer"}


@pytest.mark.parametrize("task", ["write", "outline", "continue", "rewrite", "answer"])
def test_each_task_alone_is_sound(
    tmp_path: Path, author: list[Post], embedder: Any, store: Any, task: str
) -> None:
    space = Workspace(tmp_path)
    run(author, load(overrides=[f"features.tasks=[{task}]"]), embedder, store, space, Silent())
    assert check(FeatureVersion.open(space.features / "F0001")) == []


def test_a_paraphrase(version: FeatureVersion) -> None:
    bad = version.samples[0].model_copy(update={"completion": "The keeper left the gate shut that morning."})
    problems = check(spoiled(version, [bad, *version.samples[1:]]))
    assert problem(problems, "not the author's text") == (
        f"1 of {len(version.samples)} completions are not the author's text ({bad.id})"
    )


def test_a_span_of_another_place(version: FeatureVersion) -> None:
    one, other = [s for s in version.samples if s.task == "rewrite"][:2]
    bad = one.model_copy(update={"spans": other.spans})
    problems = check(spoiled(version, [bad if s is one else s for s in version.samples]))
    assert problem(problems, "not the author's text").endswith(f"({bad.id})")


@pytest.mark.parametrize(
    ("retell", "reason"),
    [
        (lambda t: t.replace("n't", " not"), r"hold 0\.00 times the contractions"),
        (lambda t: t.replace(",", ""), r"hold 0\.00 times the commas"),
        (lambda t: t.replace(";", "."), r"hold 0\.00 times the semicolons"),
        (lambda t: t.replace(" -- ", " "), r"hold 0\.00 times the dashes"),
        (lambda t: t.replace("'", "’"), r"hold 0\.00 times the straight apostrophes"),
        (lambda t: t.lower(), r"hold 0\.0\d times the capitals"),
        (
            lambda t: re.sub(r"\bI\b", "he", re.sub(r"\bwe\b", "they", t)),
            r"hold 0\.00 times the first-person words",
        ),
        (lambda t: re.sub(r"\b(she|the|he)\b", "my", t), r"times the first-person words"),
    ],
    ids=["contractions", "commas", "semicolons", "dashes", "apostrophes", "case", "third person", "more I"],
)
def test_a_shifted_style(version: FeatureVersion, retell: Retell, reason: str) -> None:
    assert problem(check(retold(version, retell)), reason)


def test_a_text_in_two_splits(version: FeatureVersion) -> None:
    old, new = version.manifest.splits["train"][0], version.manifest.splits["test"][0]
    shouted = version.posts[new].model_copy(update={"markdown": version.posts[old].markdown.upper()})
    posts = [shouted if p.id == new else p for p in version.posts.values()]
    reason = problem(check(spoiled(version, posts=posts)), "same text")
    assert reason == f"1 posts stand in two splits with the same text ({old} and {new})"


def test_a_near_duplicate_in_two_splits(version: FeatureVersion) -> None:
    old, new = version.manifest.splits["train"][0], version.manifest.splits["test"][0]
    text = version.posts[old].markdown.replace("frost", "rime").replace("barge", "boat")
    twin = version.posts[new].model_copy(update={"markdown": text})
    problems = check(spoiled(version, posts=[twin if p.id == new else p for p in version.posts.values()]))
    assert problem(problems, "nearly the same") == (
        f"1 groups of posts that say nearly the same lie in two splits ({old} and {new})"
    )


def test_a_target_in_two_splits(version: FeatureVersion) -> None:
    learnt = next(s for s in version.samples if s.split == "train" and s.task == "rewrite")
    copy = learnt.model_copy(update={"id": "copy", "split": "validation"})
    problems = check(spoiled(version, [*version.samples, copy]))
    assert "1 targets stand in training and validation alike (copy)" in problems


def test_a_target_that_stands_in_a_test_post(version: FeatureVersion) -> None:
    learnt = next(s for s in version.samples if s.split == "train" and s.task == "rewrite")
    test = version.split("test")[0]
    longer = test.model_copy(update={"markdown": f"{test.markdown}\n\n{learnt.completion}"})
    problems = check(
        spoiled(version, posts=[longer if p.id == test.id else p for p in version.posts.values()])
    )
    assert problem(problems, "stand in test posts too")


def test_a_sample_of_a_test_post(version: FeatureVersion) -> None:
    bad = version.samples[0].model_copy(update={"id": "leak", "post_id": version.manifest.splits["test"][0]})
    problems = check(spoiled(version, [*version.samples, bad]))
    assert "1 samples are of test posts (leak)" in problems


def test_a_sample_in_the_wrong_split(version: FeatureVersion) -> None:
    bad = version.samples[0].model_copy(update={"split": "validation"})
    assert problem(check(spoiled(version, [bad, *version.samples[1:]])), "not in the split of their post")


@pytest.mark.parametrize("task", ["write", "rewrite", "answer"])
def test_a_task_that_is_almost_missing(version: FeatureVersion, task: str) -> None:
    others = [s for s in version.samples if s.task != task]
    few = next(s for s in version.samples if s.task == task)
    reason = problem(check(spoiled(version, [*others, few])), "task mix")
    assert re.fullmatch(rf"The task mix is off: 1 samples of the task {task}; the posts give \d+", reason)


def test_a_task_that_drowns_the_others(version: FeatureVersion) -> None:
    answers = [s for s in version.samples if s.task == "answer" and s.split == "train"]
    again = [s.model_copy(update={"id": f"{s.id}:{n}"}) for n in range(9) for s in answers]
    problems = check(spoiled(version, [*version.samples, *again]))
    assert problem(problems, f"task mix is off: {10 * len(answers)} samples of the task answer")


def test_the_same_sample_again(version: FeatureVersion) -> None:
    problems = check(spoiled(version, [*version.samples, version.samples[0]]))
    assert problem(problems, "more than once").endswith(f"({version.samples[0].id})")
    assert remedy(version) == "Rebuild it: llm-twin features build"


def test_no_or_few_training_samples(version: FeatureVersion) -> None:
    train = [s for s in version.samples if s.split == "train"]
    assert problem(check(spoiled(version, [])), "no training samples")
    shutil.rmtree(version.folder.parent / "F0666")
    few = spoiled(version, train[:7])
    assert problem(check(few), "There are 7 training samples, fewer than 8")
    assert remedy(few).startswith("Collect more posts")


def test_a_target_that_is_cut(version: FeatureVersion) -> None:
    one = next(s for s in version.samples if s.task == "rewrite")
    start, end = one.spans[0]
    bad = moved(version, one, start, end - 60)
    problems = check(spoiled(version, [bad if s is one else s for s in version.samples]))
    assert problems == [f"1 completions begin or end inside a paragraph ({bad.id})"]


@pytest.mark.parametrize(("task", "bounds"), [("rewrite", "30 to 200"), ("write", "10 to 900")])
def test_a_target_that_is_too_short(version: FeatureVersion, task: str, bounds: str) -> None:
    one = next(s for s in version.samples if s.task == task)
    start = version.posts[one.post_id].markdown.index("## The gate")
    bad = moved(version, one, start, start + len("## The gate"))
    problems = check(spoiled(version, [bad if s is one else s for s in version.samples]))
    assert f"1 completions of the task {task} hold no {bounds} words ({bad.id})" in problems


def test_a_target_that_is_too_long(version: FeatureVersion) -> None:
    one = next(s for s in version.samples if s.task == "rewrite")
    whole = next(s for s in version.samples if s.task == "write" and s.post_id == one.post_id)
    bad = one.model_copy(update={"completion": whole.completion, "spans": whole.spans})
    problems = check(spoiled(version, [bad if s is one else s for s in version.samples]))
    assert problems == [f"1 completions of the task rewrite hold no 30 to 200 words ({bad.id})"]


def test_a_quotation_as_the_target(version: FeatureVersion) -> None:
    post = next(p for p in version.posts.values() if QUOTED in p.markdown)
    one = next(s for s in version.samples if s.task == "write" and s.post_id == post.id)
    assert QUOTED[2:] not in one.completion
    start = post.markdown.index(QUOTED)
    bad = moved(version, one, start, start + len(QUOTED))
    problems = check(spoiled(version, [bad if s is one else s for s in version.samples]))
    assert problem(problems, "quotes") == f"1 completions hold what the author quotes from others ({bad.id})"


def test_a_continuation_of_something_else(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(40)]
    letter = post(50).markdown.split("\n\n")[0]
    posts[5] = post(5, f"> {letter}\n\n{post(5).markdown}")
    run(posts, load(overrides=[EVERY_TASK]), embedder, store, Workspace(tmp_path / "space"), Silent())
    version = FeatureVersion.open(tmp_path / "space" / "features" / "F0001")
    assert check(version) == []
    one = next(s for s in version.samples if s.task == "continue" and s.post_id == posts[5].id)
    other = next(s for s in version.samples if s.task == "continue" and s is not one)
    author, title, text = version.manifest.prompt.author, posts[5].title, posts[5].markdown
    first = text.index("I didn't", 3 + len(letter))
    before = text[first : one.spans[0][0]]
    wrong = {
        "of another post": other.messages,
        "under another title": prompts.continued(author, "Another", before),
        "in other words": prompts.continued(author, title, before.replace("didn't", "did not")),
        "with a paragraph left out": prompts.continued(author, title, f"{before}\n\n{letter}"),
        "with the words of others": prompts.continued(author, title, letter),
        "what follows as well": prompts.continued(author, title, text[first : one.spans[0][1]]),
        "no prompt of this task": prompts.write(author, title),
    }
    for what, messages in wrong.items():
        bad = one.model_copy(update={"messages": messages})
        version.__dict__["samples"] = [bad if s.id == one.id else s for s in version.samples]
        assert check(version) == [
            f"1 continuations do not follow the author's text before them ({one.id})"
        ], what


def test_a_continuation_of_a_quotation(tmp_path: Path, post: Make, embedder: Any, store: Any) -> None:
    posts = [post(n) for n in range(40)]
    letter = f"> {post(50).markdown.split(chr(10))[0]}"
    posts[5] = post(5, f"{letter}\n\n{post(5).markdown}")
    run(posts, load(overrides=[EVERY_TASK]), embedder, store, Workspace(tmp_path / "space"), Silent())
    version = FeatureVersion.open(tmp_path / "space" / "features" / "F0001")
    one = next(s for s in version.samples if s.task == "continue" and s.post_id == posts[5].id)
    start, end = len(letter) + 2, posts[5].markdown.index("\n\n", len(letter) + 2)
    bad = moved(version, one, start, end).model_copy(
        update={
            "messages": prompts.continued(version.manifest.prompt.author, posts[5].title, letter[2:]),
        }
    )
    version.__dict__["samples"] = [bad if s is one else s for s in version.samples]
    assert problem(check(version), "do not follow").endswith(f"({one.id})")


def test_a_post_in_two_splits(version: FeatureVersion) -> None:
    splits = version.manifest.splits
    both = {**splits, "train": (*splits["train"], splits["test"][0])}
    version.manifest.__dict__["splits"] = both
    assert problem(check(version), f"1 posts stand in two splits \\({splits['test'][0]}")


def test_a_split_that_holds_nothing_out(version: FeatureVersion) -> None:
    splits = version.manifest.splits
    for split, others in (("test", "validation"), ("validation", "test")):
        both = {"train": (*splits["train"], *splits[split]), others: splits[others], split: ()}
        version.manifest.__dict__["splits"] = both
        assert f"None of 40 posts is held out for {split}" in check(version)
        assert remedy(version).startswith("Collect more posts that differ from one another")


@pytest.mark.parametrize(("number", "held"), [(2, False), (3, True)])
def test_posts_too_few_to_divide_are_no_fault(
    tmp_path: Path, post: Make, embedder: Any, store: Any, number: int, held: bool
) -> None:
    run([post(n) for n in range(number)], Config(), embedder, store, Workspace(tmp_path), Silent())
    version = FeatureVersion.open(tmp_path / "features" / "F0001")
    assert bool(version.split("validation")) == held
    assert not [problem for problem in check(version) if "held out" in problem]


def test_examples_show_every_task_and_different_posts(version: FeatureVersion) -> None:
    shown = examples(version)
    assert len({s.id for s in shown}) == 5
    assert {s.task for s in shown} == {"write", "rewrite", "answer"}
    assert len({s.post_id for s in shown}) >= 3
    assert examples(spoiled(version, [])) == []


def test_a_real_author_is_sound(tmp_path: Path, test_data: Path, embedder: Any, store: Any) -> None:
    import json

    lines = (test_data / "authors" / "skeeto" / "posts.jsonl").read_text(encoding="utf-8").splitlines()[-80:]
    posts = []
    for row in map(json.loads, lines):
        posts.append(
            Post(
                id=Post.id_of(row["url"]),
                url=row["url"],
                title=row["title"],
                published_at=row["date"],
                markdown=row["text"],
                revision=Post.revision_of(row["title"], row["text"]),
            )
        )
    space = Workspace(tmp_path)
    report = run(posts, Config(), embedder, store, space, Silent())
    assert report.dropped == ()
    assert report.alike == ()
    assert check(FeatureVersion.open(space.features / "F0001")) == []
