"""The texts that every blog is built from, and what a reader of them should see.

Half of the sample author's posts; texts with what makes pages hard (footnotes, tables, captions, formulas,
a post of three lines, a post of links, headings that sound like furniture); and, where the test data is
present, plain posts of another author.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from markdown_it import MarkdownIt

from llm_twin import sample
from llm_twin.sample.entries import Comment, comments
from llm_twin.sample.markup import slugify

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("LLM_TWIN_TEST_DATA", HERE.parents[2] / "shared" / "data"))
EVERY = 2  # of the sample's posts: about 28
OTHERS = 8  # posts of the other author
AUTHOR = "Maud Orrick"
TITLE = "The Gauge Board"
BLURB = "Levels, repairs and the usual nonsense from Number Nine"
ABOUT = (
    "I keep Number Nine on the Tarrel Navigation and write down what broke and what mended it. "
    "Before that I made needles agree with one another for twenty-two years. Nothing here is for sale."
)

_REFERENCE = re.compile(r"\[\^(\w+)\](?!:)")
_NOTE = re.compile(r"^\[\^(\w+)\]:\s*(.+)$", re.MULTILINE)
_PLAIN_PARAGRAPH = re.compile(r"[\"“A-Z]")
# Characters that an engine's Markdown could read as markup.
_MARKUP = re.compile(r"[*_`<>\[\]{}|\\#$~^&]|https?:|\n\s*[-+=\d]")


@dataclass(frozen=True)
class Text:
    """A post as its author wrote it."""

    slug: str
    title: str
    day: date
    tags: tuple[str, ...]
    markdown: str
    comments: tuple[Comment, ...]

    @property
    def inline_notes(self) -> str:
        """The Markdown with its footnotes written in HTML, for engines without footnotes."""
        notes = _NOTE.findall(self.markdown)
        if not notes:
            return self.markdown
        numbers = {name: n for n, (name, _) in enumerate(notes, 1)}

        def reference(match: re.Match[str]) -> str:
            n = numbers[match[1]]
            return f'<sup class="footnote-ref"><a href="#fn{n}" id="fnref{n}">{n}</a></sup>'

        body = _REFERENCE.sub(reference, _NOTE.sub("", self.markdown)).rstrip()
        items = "\n".join(
            f'<li id="fn{n}"><p>{note} <a href="#fnref{n}" class="footnote-backref">↩︎</a></p></li>'
            for n, (_, note) in enumerate(notes, 1)
        )
        return f'{body}\n\n<section class="footnotes">\n<ol>\n{items}\n</ol>\n</section>\n'

    @property
    def html(self) -> str:
        """The body in plain HTML."""
        return str(_markdown().render(self.inline_notes))

    @property
    def truth(self) -> str:
        """The Markdown of what a reader should see: notes as paragraphs, without their signs."""
        return _REFERENCE.sub("", _NOTE.sub(r"\2\n", self.markdown))

    @property
    def excerpt(self) -> str:
        """The opening words, as listings and descriptions show them."""
        first = re.sub(r"<[^>]+>", "", _markdown().render(self.truth)).split()
        return " ".join(first[:40]) + "…"


def texts() -> list[Text]:
    """All texts, oldest first."""
    return sorted([*_sample(), *_hard(), *_others()], key=lambda t: (t.day, t.slug))


def _sample() -> Iterator[Text]:
    said = comments()
    for post in sample.posts()[::EVERY]:
        yield Text(post.slug, post.title, post.date, post.tags, post.markdown, said.get(post.slug, ()))


def _hard() -> Iterator[Text]:
    said = [c for listed in comments().values() for c in listed if not c.by_author]
    for n, path in enumerate(sorted((HERE / "texts").glob("*.md"))):
        meta, body = sample.front_matter(path.read_text(encoding="utf-8"))
        few = tuple(said[n * 2 : n * 2 + n % 4])
        yield Text(path.stem, str(meta["title"]), meta["date"], tuple(meta["tags"]), body, few)


def _others() -> Iterator[Text]:
    file = DATA / "authors" / "drewdevault" / "posts.jsonl"
    if not file.is_file():
        return
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    plain = [r for r in rows if r["text"] == r["prose"] and r["n_words"] > 200 and _is_plain(r["text"])]
    for row in plain[:: len(plain) // OTHERS][:OTHERS]:
        day = date.fromisoformat(row["date"])
        yield Text(slugify(row["title"]), row["title"], day, ("guests",), row["text"].strip() + "\n", ())


def _is_plain(text: str) -> bool:
    """Whether a text of which only the words are known can be written as Markdown without a change."""
    return all(_PLAIN_PARAGRAPH.match(p) and not _MARKUP.search(p) for p in text.strip().split("\n\n"))


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")
