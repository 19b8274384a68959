"""What the twin says when it is asked, or given notes: the sample author's, before the base and the twin.

Of the answers to 60 questions that are no refusals, three draws each: the share that begins with a list, or
with a passage's title or date, as no post of the author does; of their content words, the share that stands
in the passages before the model (`grounded`); and of the content words of the true answer, the share that
they hold (`answered`; `shown` is the share that the passages hold, which no answer exceeds but by chance).
Both see the same passages, and say at most 60 tokens.

Of paragraphs written up from the notes of posts held out for validation: of the notes' names and numbers, the
share that is kept; and of the paragraph's, the share that the notes do not hold (`invented`).

Each with its 95 % interval, by bootstrap over the questions or notes. A workspace is one that `llm-twin demo`
made; without one, the demo is told first.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from demo import QUICK
from machine import Measured, run

from llm_twin import Twin, compose, sample
from llm_twin.contracts.records import Answer, Sample
from llm_twin.contracts.versions import BASE
from llm_twin.feature.notes import facts
from llm_twin.feature.samples import vocabulary
from llm_twin.inference.words import content_words
from llm_twin.inference.writer import Writer
from llm_twin.sample import Question

TOKENS = 60
DRAWS = 3  # the share `answered` of one draw differs from another's by a half
RESAMPLES = 2000
ANSWERS = ("begin_with_a_list", "begin_with_a_source", "grounded", "answered", "shown")
NOTES = ("kept", "invented")
LIST = re.compile(r"\W*\d{1,2}[.)]\s|[-*•] |\[")
DATED = re.compile(r"\((19|20)\d\d-\d\d-\d\d\)")


def main() -> None:
    run("answers", __doc__, measure, arguments)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", type=Path, help="measure its live twin")


def measure(options: argparse.Namespace) -> Measured:
    questions = sample.questions()[:: 10 if options.quick else 1]
    with tempfile.TemporaryDirectory() as name:
        folder, model = options.workspace or Path(name) / "twin", "live"
        if options.workspace is None:
            model = compose.demo(folder, overrides=QUICK if options.quick else []).trained.version
        with Twin.open(folder, model) as twin:
            base, own = (figures(twin.writer(name), questions) for name in (BASE, twin.model))
    return Measured(own, {"base": base}, {})


def figures(writer: Writer, questions: list[Question]) -> dict[str, Any]:
    said = [(question, answers(writer, question)) for question in questions]
    answered = [measured(question, found) for question, found in said if found]
    notes = [s for s in writer.features.samples if s.task == "rewrite" and s.split == "validation"]
    words = vocabulary(list(writer.features.posts.values()))
    rewritten = [written_up(writer, sample, words) for sample in notes[: len(questions)]]
    return {
        "questions": len(questions),
        "refused": len(questions) - len(answered),
        **summed(ANSWERS, answered),
        "notes": len(rewritten),
        **summed(NOTES, rewritten),
    }


def summed(names: tuple[str, ...], rows: list[list[float]]) -> dict[str, list[float]]:
    """Of each column its mean, and the bounds of that."""
    values = np.array(rows)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5], axis=0)
    columns = zip(names, values.mean(axis=0), low, high, strict=True)
    return {name: [round(float(value), 3) for value in found] for name, *found in columns}


def answers(writer: Writer, question: Question) -> list[Answer]:
    """The draws; none where the question is refused, which no draw changes."""
    sampling = replace(writer.sampling, max_tokens=TOKENS)
    drawn = (replace(sampling, seed=seed) for seed in range(DRAWS))
    found = [writer.ask(question.question, sampling=sampling).finish() for sampling in drawn]
    return [] if found[0].refused else found


def measured(question: Question, found: list[Answer]) -> list[float]:
    """The means of the answers to one question, in the order of ANSWERS."""
    values = [
        (
            bool(LIST.match(answer.text)),
            begins_with_a_source(answer),
            share(answer.text, passages(answer)),
            share(question.answer_span, answer.text),
            share(question.answer_span, passages(answer)),
        )
        for answer in found
    ]
    return [float(np.mean(column)) for column in zip(*values, strict=True)]


def written_up(writer: Writer, sample: Sample, words: frozenset[str]) -> list[float]:
    """Of one sample's notes, in the order of NOTES; `words` tell names from words (see `facts`)."""
    notes = sample.messages[-1].content.partition("\n\n")[2]
    sampling = replace(writer.rewriting, max_tokens=3 * TOKENS)
    text = writer.rewrite(notes, sampling=sampling).finish().text
    given, said = facts(notes, words), facts(text, words)
    kept = sum(fact in text for fact in given) / max(1, len(given))
    return [kept, sum(fact not in notes for fact in said) / max(1, len(said))]


def begins_with_a_source(answer: Answer) -> bool:
    first = answer.text.partition("\n")[0]
    return bool(DATED.search(first)) or any(first.startswith(cited.title) for cited in answer.citations)


def passages(answer: Answer) -> str:
    return "\n".join(cited.text for cited in answer.citations)


def share(text: str, other: str) -> float:
    """Of the content words of a text, the share that the other holds too."""
    words, held = content_words(text), set(content_words(other))
    return sum(word in held for word in words) / max(1, len(words))


if __name__ == "__main__":
    main()
