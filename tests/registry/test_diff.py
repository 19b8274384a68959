from __future__ import annotations

from llm_twin.contracts.manifests import PartId
from llm_twin.registry.diff import Score, diff
from tests.registry.made import manifest, measured


def test_settings_packages_and_posts_that_differ_are_named_and_others_are_not() -> None:
    old = manifest(version="v1", content_id="1" * 64)
    new = manifest(
        version="v2",
        content_id="2" * 64,
        parameters={"rank": 8, "seed": 0, "dropout": 0.1},
        packages={"torch": "2.14.0"},
        features=PartId(name="F0002", id="e" * 64),
        posts=("p2", "p3"),
        commit="c" * 40,
    )
    found = diff(old, new)
    assert found.settings == {
        "rank": (16, 8),
        "dropout": (None, 0.1),
        "features": ("F0001 (ffffffffffff)", "F0002 (eeeeeeeeeeee)"),
        "commit": (None, "c" * 40),
    }
    assert found.packages == {"torch": ("2.13.0", "2.14.0")}
    assert (found.entered, found.left) == (("p3",), ("p1",))
    assert not found.same


def test_scores_say_whether_they_are_of_the_same_posts() -> None:
    def of(value: float, posts: str | None) -> object:
        scored = {"test": posts} if posts else {}
        return manifest(scores={"test": {"adapter": measured(value)}}, scored_on=scored)

    for old, new, comparable in (("a", "a", True), ("a", "b", False), (None, "b", None)):
        found = diff(of(1.5, old), of(1.25, new))
        assert found.scores == (Score("test", "adapter", 1.5, 1.25, comparable),)


def test_a_system_that_only_one_was_measured_with_has_one_score() -> None:
    old = manifest(scores={"test": {"base": measured(2.0)}})
    new = manifest(scores={"test": {"base": measured(2.0), "few-shot": measured(1.75)}})
    assert [(s.system, s.old, s.new) for s in diff(old, new).scores] == [
        ("base", 2.0, 2.0),
        ("few-shot", None, 1.75),
    ]


def test_equal_content_is_the_same() -> None:
    one = manifest(version="v1", content_id="1" * 64)
    assert diff(one, one.model_copy(update={"version": "v2"})).same
