"""Neutral questions by rule: from a title or heading, or from what a paragraph is about.

People ask in words of their own: a twin that had only met titles answered other questions with its passages'
headings. The form is chosen by a hash, so it is always the same.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from llm_twin.feature.notes import STOP_WORDS
from llm_twin.feature.targets import number

_ABOUT = (
    "What do you say about {0}?",
    "What have you written about {0}?",
    "Tell me about {0}.",
    "What do you think about {0}?",
    "What can you tell me about {0}?",
)
_CLAUSE = ("Can you explain {0}?", "Tell me {0}.")
_QUOTED = ('What do you say in "{0}"?', 'What is "{0}" about?', 'Tell me what you wrote in "{0}".')
_IN_ABOUT = ('In "{1}", what do you say about {0}?', 'What did you write about {0} in "{1}"?')
_IN_CLAUSE = ('In "{1}", can you explain {0}?', 'About "{1}": tell me {0}.')
_IN_QUOTED = ('What do you say under "{0}" in "{1}"?', 'In "{1}", what is "{0}" about?')
_TOPIC = (
    "What about {0}?",
    "Tell me about {0}.",
    "What do you know about {0}?",
    "What's the story with {0}?",
    "How was it with {0}?",
    "What do you think of {0}?",
    "What happened with {0}?",
    "Why {0}?",
)
_TOPICS = (
    "What about {0} and {1}?",
    "What happened with {0} and {1}?",
    "What did {0} have to do with {1}?",
    "How do {0} and {1} go together?",
    "What do you remember about {0} and {1}?",
    "What did you write about {0} and {1}?",
    "Where does {0} come into {1}?",
    "Was it {0} or {1}?",
)

_CLAUSE_WORD = frozenset({"how", "why", "what", "when", "where", "which", "who"})
_LEADING = """
against at after before behind between beyond by down for from in into off out over through to toward
towards under up upon with without and but or
"""
_PREPOSITION = frozenset(_LEADING.split())
_ARTICLE = frozenset({"a", "an", "the", "my", "our", "some"})
_FINITE = re.compile(
    r"\b(is|are|was|were|has|have|had|does|do|did|can|will|would|should|must|gets?|\w+n['’]t|I|you|we|it['’]s)\b"
    r"|[:;,]",
    re.IGNORECASE,
)
# A name and then a word in -s may be a subject and its verb: "The Pask comes back".
_SENTENCE = re.compile(r"^(?:The |A |An |My )?[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)* [a-z]+s\b")
_TRIM = " \t.!…:;,"


def question(title: str, heading: str, key: str, vocabulary: Container[str] = frozenset()) -> str:
    """One question about a post, or about a section of it where `heading` is not empty.

    `key` chooses the form; `vocabulary` holds words that the author writes in lower case, so that a title's
    first word can lose its capital. A subject that asks is the question itself; one that may be a sentence
    is quoted.
    """
    subject = (heading or title).replace("`", "").strip(_TRIM)
    about, clause, quoted = (_IN_ABOUT, _IN_CLAUSE, _IN_QUOTED) if heading else (_ABOUT, _CLAUSE, _QUOTED)
    words = subject.split()
    first = words[0].casefold() if words else ""
    if subject.endswith("?") and not heading:
        return subject
    forms: tuple[str, ...] = about
    if first in _CLAUSE_WORD and not subject.endswith("?"):
        forms, subject = clause, _lowered(subject)
    elif first == "on" and len(words) > 1:
        subject = _inner(" ".join(words[1:]), vocabulary)
    elif not words or first in _PREPOSITION or subject.endswith("?") or _may_be_sentence(subject):
        forms = quoted
    else:
        subject = _inner(subject, vocabulary)
    return forms[number(f"question:{key}") % len(forms)].format(subject, title.strip())


def about(topics: Sequence[str], key: str) -> str:
    """One question about one topic or two of a paragraph; `key` chooses which, in which order and the form.

    Raises ValueError where there are no topics.
    """
    if not topics:
        raise ValueError("a question needs something to ask about")
    chosen = number(f"question:{key}")
    forms = _TOPICS if len(topics) > 1 and chosen % 3 else _TOPIC
    first = chosen // 3 % len(topics)
    asked = [*topics[first:], *topics[:first]][:2]
    return forms[chosen // 9 % len(forms)].format(*asked)


def _may_be_sentence(subject: str) -> bool:
    """Whether the subject may hold a verb.

    In Title Case a function word in front hints at one ("Make Flet Great").
    """
    first, _, rest = subject.partition(" ")
    imperative = first.casefold() in STOP_WORDS - _ARTICLE and rest[:1].isupper()
    return bool(imperative or _FINITE.search(subject) or _SENTENCE.match(subject))


def _inner(subject: str, vocabulary: Container[str]) -> str:
    """The subject as it stands inside a sentence."""
    first, _, rest = subject.partition(" ")
    word = first.casefold()
    common = word in STOP_WORDS or (word in vocabulary and (not rest or rest[0].islower()))
    return _lowered(subject) if common and not first[1:].isupper() else subject


def _lowered(subject: str) -> str:
    return subject[:1].lower() + subject[1:]
