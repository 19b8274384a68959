"""What the twin says when it is asked: the sample author's 60 questions, before the base and the twin.

Of the answers that are no refusals: how many begin with a list, or with the heading that a passage has in the
prompt, as no post of the author does; the share of their content words that stand in the passages before the
model (`grounded`); and of the content words of the true answer, the share that they hold (`answered`; `shown`
is the share that the passages hold, which no answer exceeds but by chance). Both see the same passages, and
say at most 60 tokens. A workspace is one that `llm-twin demo` made; without one, the demo is told first.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from demo import QUICK
from machine import Measured, run

from llm_twin import Twin, compose, sample
from llm_twin.contracts.records import Answer
from llm_twin.contracts.versions import BASE
from llm_twin.inference.words import content_words
from llm_twin.inference.writer import Writer
from llm_twin.sample import Question

TOKENS = 60
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


def figures(writer: Writer, questions: list[Question]) -> dict[str, float]:
    sampling = replace(writer.answer_sampling, max_tokens=TOKENS)
    said = [(q, writer.ask(q.question, sampling=sampling).finish()) for q in questions]
    answers = [(q, answer) for q, answer in said if not answer.refused]
    count = len(answers)
    return {
        "questions": len(questions),
        "refused": len(questions) - count,
        "begin_with_a_list": sum(bool(LIST.match(answer.text)) for _, answer in answers),
        "begin_with_a_heading": sum(begins_with_a_heading(answer) for _, answer in answers),
        "grounded": round(sum(share(a.text, passages(a)) for _, a in answers) / count, 3),
        "answered": round(sum(share(q.answer_span, a.text) for q, a in answers) / count, 3),
        "shown": round(sum(share(q.answer_span, passages(a)) for q, a in answers) / count, 3),
    }


def begins_with_a_heading(answer: Answer) -> bool:
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
