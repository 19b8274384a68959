"""Whether the targets still sound like their source: the rates of marks and words that a rewrite changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from llm_twin.contracts.prose import prose
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.feature.notes import plain, wordy
from llm_twin.feature.quoted import quoted

# A style mark, and how it is found. The rate of each is counted per character.
_MARKS = {
    "contractions": re.compile(r"\w['’](?:t|s|d|m|re|ve|ll)\b", re.IGNORECASE),
    "commas": re.compile(r","),
    "full stops": re.compile(r"\.(?=\s|$)"),
    "semicolons and colons": re.compile(r"[;:]"),
    "dashes": re.compile(r"[—–]|(?<= )--?(?= )"),
    "brackets": re.compile(r"\("),
    "quotation marks": re.compile(r"[\"“”]"),
    "curly quotes and apostrophes": re.compile(r"[“”‘’]"),
    "straight apostrophes": re.compile(r"(?<=\w)'(?=\w)"),
    "question and exclamation marks": re.compile(r"[?!]"),
    "capitals": re.compile(r"\b[A-Z](?=[a-z])"),
}
# Pronouns of the first person by language. German "sein" and the like are left out: they are verbs as well.
_FIRST_PERSON = {
    "en": "i me my mine myself we us our ours ourselves",
    "de": "ich mich mir mein meine meinem meinen meiner wir uns unser unsere",
    "fr": "je j me m moi mon ma mes nous notre nos",
    "es": "yo me mí mi mis conmigo nosotros nos nuestro nuestra",
    "it": "io mi me mio mia miei mie noi ci nostro nostra",
    "pt": "eu me mim meu minha meus minhas nós nos nosso nossa",
    "nl": "ik me mij mijn wij we ons onze",
}
# The targets are a selection of the prose, so rates differ by nature. Measured on three authors: between 0.78
# and 1.33 with all tasks, down to 0.57 with "answer" alone, which takes first paragraphs. Lost ones give 0.
_BOUNDS = (0.5, 2.0)
_ENOUGH = 30  # marks that must be expected before a rate is judged


def shifted(version: FeatureVersion) -> Iterable[str]:
    """One sentence for each rate out of bounds, of the targets against all prose of their posts."""
    source, targets = _source(version), "\n".join(sample.completion for sample in version.samples)
    if not source or not targets:
        return
    for name, there, here in _counts(version, source, targets):
        expected = there / len(source) * len(targets)
        if expected >= _ENOUGH and not _BOUNDS[0] <= here / expected <= _BOUNDS[1]:
            yield f"The targets hold {here / expected:.2f} times the {name} of the author's prose"


def _source(version: FeatureVersion) -> str:
    """All prose of the posts that were used, long and short paragraphs alike; words of others left out."""
    used = {sample.post_id for sample in version.samples}
    found = []
    for post in (post for post in version.posts.values() if post.id in used):
        text, last = "", 0
        for start, end in quoted(post.markdown):
            text += post.markdown[last:start]
            last = end
        found += [p for p in prose(text + post.markdown[last:]).split("\n\n") if wordy(plain(p))]
    return "\n".join(found)


def _counts(version: FeatureVersion, source: str, targets: str) -> Iterable[tuple[str, int, int]]:
    """(name, number in the source, number in the targets) of each mark."""
    for name, pattern in _MARKS.items():
        yield name, len(pattern.findall(source)), len(pattern.findall(targets))
    languages = Counter(post.language for post in version.posts.values())
    own = _FIRST_PERSON.get(languages.most_common(1)[0][0] or "")
    if own:
        pattern = re.compile(rf"\b(?:{'|'.join(own.split())})\b", re.IGNORECASE)
        yield "first-person words", len(pattern.findall(source)), len(pattern.findall(targets))
