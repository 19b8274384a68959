"""Plain notes of a paragraph, made by rule: what it says without how the author says it.

They are the input of the rewrite task. Every name and number stays, verbatim; of the rest the key phrases,
found as RAKE does (Rose, Engel, Cramer and Cowley, Automatic keyword extraction from individual documents,
2010): runs of content words between stop words, weighed by their words' degree over frequency. Sentences,
connectives, rhythm, contractions and punctuation are gone, and no more than five words in a row are the
author's.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from llm_twin.contracts.prose import word_count

MAX_COPIED = 5  # words in a row that notes may share with their paragraph
_PHRASE_WORDS, _NAME_WORDS = 3, 4
_WORDS_A_PHRASE = 8  # a key phrase for so many words of the paragraph
_ORDERS = 16  # orders that are tried when the first one copies a longer run
_LEAST_ITEMS = 4
_WORDS_A_BLANK = 5  # of a script that has no blanks between its words (see `word_count`) there are more
_LETTERS = 0.8  # least share of letters: prose has at least this much, most unfenced code has less

# Function words, and verbs and adverbs that say nothing alone; written for this file.
_STOP = """
a about above across actually after again against ago all almost along already also although always am
among an and another any anybody anyone anything anyway apart are around as ask asked at away back be
became because become been before began behind being below beside besides best better between beyond
both bring but by call called came can cannot come comes coming could did do does doing done down during
each either else enough especially even ever every everybody everyone everything exactly far few find
first for found from further gave get gets getting give given gives go goes going gone good got great
had half has have having he her here hers herself him himself his how however i if in indeed instead
into is it its itself just keep kept kind knew know known knows last later least left less let lets like
likely little long look looked looking looks lot made make makes making many may maybe me mean means
might mine more most mostly much must my myself near nearly need needed needs neither never new next no
nobody none nor not nothing now nowhere of off often oh ok old on once one ones only onto or other
others otherwise ought our ours ourselves out over own part perhaps please possible probably put quite
rather really right said same saw say saying says see seem seemed seems seen several shall she should
show since so some somebody someone something sometimes somewhat somewhere soon sort still such sure
take taken takes taking tell than that the their theirs them themselves then there therefore these they
thing things think this those though thought three through throughout thus till to today together told
too took toward towards tried true try turn turned two under unless unlike until up upon us use used
useful uses using usual usually very via want wanted wants was way ways we well went were what whatever
when whenever where whereas wherever whether which while who whoever whole whom whose why will with
within without won would yes yet you your yours yourself
"""
STOP_WORDS = frozenset(_STOP.split())
_NUMERAL = """
two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
dozen half third quarter twice
"""
_NUMERALS = frozenset(_NUMERAL.split())
_JOINERS = frozenset({"of", "the", "de", "van", "von", "and", "&"})  # inside a name, between capitals
# No text or address of a link, and no tag, reaches over the next: what never closes costs no time.
_TARGET = r"(?:\((?:[^)\]]|\](?!\())*+\)|\[[^\]]*\])"
_IMAGE = re.compile(rf"!\[[^\[\]]*\]{_TARGET}?")
_LINK = re.compile(rf"\[([^\[\]]+)\]{_TARGET}")
_TAG = re.compile(r"<[^<>\s][^<>]*>")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_EMPHASIS = re.compile(r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)")
_BREAK = re.compile(r"\s+|[—–]+|--+|\.\.\.|…")
_EDGE = "\"'“”‘’()[]{}<>,.;:!?*|\\"
_OPENS, _CLOSES = "\"'“‘([{", ".!?"
# With the signs in words that \w does not know: accents, Hebrew and Arabic points, those of India's scripts.
_TOKEN = re.compile(r"[\w\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0900-\u0963\u0966-\u0dff]+")


@dataclass(frozen=True, slots=True)
class _Word:
    """A word without its punctuation.

    `opens` a sentence or quotation; a pause (punctuation) follows if `pause`.
    """

    text: str
    opens: bool
    pause: bool


def notes(paragraph: str, vocabulary: Container[str] = frozenset()) -> str | None:
    """The notes as a Markdown list, or None where the paragraph says too little or is itself a mere list.

    `vocabulary` holds words that the author also writes in lower case: one of them at the start of a
    sentence is no name.
    """
    words = _words(plain(paragraph))
    kinds = _kinds(words, vocabulary)
    names = _longest(_unique([*_names(words, kinds), *_codes(paragraph)]))
    numbers = _unique(_numbers(words, kinds))
    phrases = _phrases(words, kinds, max(3, len(words) // _WORDS_A_PHRASE))
    if len(names) + len(numbers) + len(phrases) < _LEAST_ITEMS:
        return None
    text = _in_order({"about": phrases, "names": names, "numbers": numbers}, paragraph)
    return None if copied_run(text, paragraph) else text


def topics(paragraph: str, vocabulary: Container[str] = frozenset(), number: int = 2) -> list[str]:
    """What a paragraph is about: its first name, if it has one, and its `number` weightiest key phrases."""
    words = _words(plain(paragraph))
    kinds = _kinds(words, vocabulary)
    return _unique([*_names(words, kinds)[:1], *_phrases(words, kinds, number)])


def facts(text: str, vocabulary: Container[str] = frozenset()) -> list[str]:
    """Every name, short piece of inline code and number of a text: what a restatement of it has to keep."""
    words = _words(plain(text))
    kinds = _kinds(words, vocabulary)
    counted = [word.text for word, kind in zip(words, kinds, strict=True) if kind == "number"]
    return _unique([*_names(words, kinds), *_codes(text), *counted])


def plain(markdown: str) -> str:
    """A paragraph's words without Markdown's marks: link texts stay, addresses, images and inline code go."""
    text = _TAG.sub(" ", _LINK.sub(r"\1", _IMAGE.sub(" ", _CODE.sub(" ; ", markdown))))
    return _EMPHASIS.sub("", text)


def wordy(text: str) -> bool:
    """Whether the text is made of words: code that lost its fence, tables and drawings are not."""
    solid = [c for c in text if not c.isspace()]
    # M: vowel signs, as of Hindi and Tamil.
    letters = sum(c.isalpha() or unicodedata.category(c)[0] == "M" for c in solid)
    return letters >= _LETTERS * max(1, len(solid))


def spaced(text: str) -> bool:
    """Whether blanks divide the text into words; where they do not, no key phrases can be found in it."""
    return word_count(text) <= _WORDS_A_BLANK * max(1, len(text.split()))


def copied_run(notes_text: str, source: str, length: int = MAX_COPIED + 1) -> bool:
    """Whether some `length` words in a row of the notes stand so in the source.

    Punctuation and case do not count.
    """
    own, other = (_TOKEN.findall(text.casefold()) for text in (notes_text, source))
    seen = {tuple(other[i : i + length]) for i in range(len(other) - length + 1)}
    return any(tuple(own[i : i + length]) in seen for i in range(len(own) - length + 1))


def _codes(markdown: str) -> list[str]:
    found = (match[2].strip() for match in _CODE.finditer(markdown))
    return [code for code in found if len(code.split()) <= MAX_COPIED]


def _words(text: str) -> list[_Word]:
    found: list[_Word] = []
    opens = True
    for piece in _BREAK.split(text):
        bare = piece.strip(_EDGE)
        before, after = piece.partition(bare)[::2] if bare else ("", piece)
        if not bare:
            if found and piece:
                found[-1] = _Word(found[-1].text, found[-1].opens, True)
            continue
        if before and found:
            found[-1] = _Word(found[-1].text, found[-1].opens, True)
        found.append(_Word(bare, opens or before[:1] in tuple(_OPENS), bool(after)))
        opens = any(mark in after for mark in _CLOSES) or after.endswith(":")
    return found


def _kinds(words: Sequence[_Word], vocabulary: Container[str]) -> list[str]:
    """For each word: "number", "name", "stop" or "word"."""
    kinds = []
    for i, word in enumerate(words):
        lower = word.text.casefold()
        stem = re.split("['’]", lower)[0]
        numeral = lower in _NUMERALS and (word.opens or word.text[:1].islower())  # "Number Ten" is a name
        if numeral or any(c.isdigit() for c in word.text):
            kinds.append("number")
        elif _is_name(word, words[i + 1] if i + 1 < len(words) else None, stem, vocabulary):
            kinds.append("name")
        elif stem in STOP_WORDS or stem != lower or not lower[0].isalpha():
            kinds.append("stop")
        elif len(lower) < 3:  # a unit after its number, else nothing to note
            kinds.append("word" if kinds and kinds[-1] == "number" and not words[i - 1].pause else "stop")
        else:
            kinds.append("word")
    return kinds


def _is_name(word: _Word, following: _Word | None, stem: str, vocabulary: Container[str]) -> bool:
    text = word.text
    inner = re.split("['’]", text)[0]
    if any(c.isupper() for c in inner[1:]) or re.search(r"\w[./_@\\]\w|^[$~/]\w", text):
        return True  # NASA, GitHub, level.txt, snake_case, a path or an address
    if not text[:1].isupper() or (stem in STOP_WORDS and (word.opens or stem == "i")):
        return False
    if not word.opens:
        return True
    leads = following is not None and not word.pause and following.text[:1].isupper()
    return (leads and following is not None and following.text != "I") or stem not in vocabulary


def _names(words: Sequence[_Word], kinds: Sequence[str]) -> list[str]:
    """Runs of name words, with "of" and the like between them."""
    names, run = [], list[str]()
    for i, word in enumerate(words):
        if kinds[i] == "name":
            run.append(word.text)
        elif run and word.text in _JOINERS and not word.pause and kinds[i + 1 : i + 2] == ["name"]:
            run.append(word.text)
            continue
        if run and (kinds[i] != "name" or word.pause or len(run) >= _NAME_WORDS or i + 1 == len(words)):
            names.append(re.sub(r"['’]s?$", "", " ".join(run)))
            run = []
    return names


def _numbers(words: Sequence[_Word], kinds: Sequence[str]) -> list[str]:
    """Numbers, each with the word that it counts."""
    numbers = []
    run: list[str] = []
    for i, word in enumerate(words):
        if kinds[i] != "number":
            continue
        run.append(word.text.lower() if word.text.casefold() in _NUMERALS else word.text)
        if not word.pause and i + 1 < len(words):
            if kinds[i + 1] == "number" and len(run) < _PHRASE_WORDS:
                continue
            if kinds[i + 1] in ("word", "name"):
                run.append(words[i + 1].text)
        numbers.append(" ".join(run))
        run = []
    return numbers


def _phrases(words: Sequence[_Word], kinds: Sequence[str], number: int) -> list[str]:
    """The `number` weightiest runs of content words, in lower case, in the order in which they stand."""
    runs: list[list[str]] = [[]]
    for i, word in enumerate(words):
        counted = (
            i > 0 and kinds[i - 1] == "number" and not words[i - 1].pause
        )  # stands with its number already
        if kinds[i] == "word" and not counted:
            runs[-1].append(word.text.casefold())
        if kinds[i] != "word" or word.pause or counted or len(runs[-1]) == _PHRASE_WORDS:
            runs.append([])
    candidates = _unique([" ".join(run) for run in runs if run])
    frequency, degree = Counter[str](), defaultdict[str, int](int)
    for run in runs:
        for word_text in run:
            frequency[word_text] += 1
            degree[word_text] += len(run)
    weight = {
        phrase: sum(degree[w] / frequency[w] for w in phrase.split())
        + len(phrase) / 100  # longer words tell more
        for phrase in candidates
    }
    best = set(sorted(candidates, key=lambda phrase: (-weight[phrase], phrase))[:number])
    return [phrase for phrase in candidates if phrase in best]


def _in_order(items: dict[str, list[str]], paragraph: str) -> str:
    """By type, and within a type as they come.

    By their hashes where that would copy the author's own order.
    """
    text = _render(items)
    for salt in range(_ORDERS):
        if not copied_run(text, paragraph):
            break
        text = _render(
            {kind: sorted(those, key=lambda item: _mix(item, salt)) for kind, those in items.items()}
        )
    return text


def _render(items: dict[str, list[str]]) -> str:
    return "\n".join(f"- {kind}: {'; '.join(those)}" for kind, those in items.items() if those)


def _mix(item: str, salt: int) -> str:
    return hashlib.sha256(f"{salt}:{item}".encode()).hexdigest()


def _longest(names: Sequence[str]) -> list[str]:
    """The names that are no part of a longer one in the list."""
    return [name for name in names if not any(name != n and f" {name} " in f" {n} " for n in names)]


def _unique(items: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(item for item in items if item))
