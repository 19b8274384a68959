"""Markdown files: one, a folder, a vault or a repository of them, with front matter in YAML, TOML or JSON.

Jekyll, Hugo, Pelican and Obsidian folders are read by their own habits: drafts stay out by folder (`_drafts`)
or front matter, and so does what is private or scheduled. Parts of a site that are no posts (layouts,
templates, section pages) and the documents that every repository has are named and left out. HTML files count
where they have front matter, as Jekyll's do; all others are templates, or pages that were built of the
Markdown.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

import yaml

from llm_twin.collect import dates, item, plaintext, urls
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.dialects import normal, without_scripts
from llm_twin.collect.item import Export, Item, Rejected

MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx"})
_HTML = frozenset({".html", ".htm"})
_FRONT = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n(.*?)^\1[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
# Pelican's: lines up to an empty one. Old Hexo's: YAML that only ends with a rule.
_HEADER = re.compile(
    r"\A((?:[A-Za-z][\w-]*:(?:[ \t].*)?\r?\n(?:(?:[ \t]|-[ ]).*\r?\n)*)++)(?:(-{3,})[ \t]*)?(?:\r?\n|\Z)"
)
_FIELD = re.compile(r"^([A-Za-z][\w-]*):(.*(?:\n[ \t].*)*)", re.MULTILINE)
# A header without a rule has two of a title, a date and one of these; other texts begin with "Note:", with a
# mail's head or with a book's, which may say "Published: 1937".
_OF_POSTS = frozenset(
    str.split("slug category categories tag tags summary status draft private publish publishdate visibility")
)
_OF_MAILS = frozenset({"from", "subject"})
# Of engines whose Markdown needs no front matter.
_CONFIGURATIONS = frozenset(
    str.split(
        "mkdocs.yml mkdocs.yaml pelicanconf.py book.toml hugo.toml hugo.yaml hugo.json eleventy.config.js "
        "eleventy.config.mjs eleventy.config.cjs docusaurus.config.js docusaurus.config.ts"
    )
)
_NAMED = re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})[-_ ]?(.*)$")
_MAX_BYTES = 5_000_000  # a longer file is no post
_MAX_FRONT = 100_000  # characters; a file of YAML is no post either, and takes minutes to read
_MAX_TAGS = 1000
_STATUSES = {
    "draft": "draft",
    "pending": "draft",
    "private": "private",
    "hidden": "private",
    "future": "scheduled",
    "scheduled": "scheduled",
}
_DRAFTS = frozenset({"_drafts", "drafts"})
_PARTS = frozenset({"layouts", "archetypes", "themes", "templates", "partials", "shortcodes", "vendor"})
_DOCUMENTS = frozenset(
    str.split(
        "readme contributing contributors license licence copying changelog changes history news authors "
        "code_of_conduct code-of-conduct security support governance maintainers todo roadmap codeowners "
        "pull_request_template issue_template agents claude summary"
    )
)


class _Loader(yaml.SafeLoader):
    """YAML in which "<<" is a key like any other: mappings that merge in others write out to gigabytes."""

    yaml_constructors = {  # noqa: RUF012
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:merge": yaml.SafeLoader.construct_yaml_str,
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        pass


def read(archive: Archive) -> Export | None:
    """The posts of Markdown files, in the order of their paths; None where there are none.

    A folder with more HTML than Markdown is one of HTML, such as a saved site with a note about it, unless a
    site is made of it. A post's address is what its front matter says, else "file:" with the path below the
    folder's own name, so that the collection keeps its identity where the folder is moved.
    """
    pages = [n for n in archive.names if PurePosixPath(n).suffix.lower() in _HTML]
    files = [n for n in archive.names if PurePosixPath(n).suffix.lower() in MARKDOWN]
    posts, others = ([n for n in names if not _why_not(PurePosixPath(n))] for names in (files, pages))
    if not files or (len(others) > len(posts) and not _is_source(archive, posts, others)):
        return None
    # One file says nothing of what else its author has published.
    complete = archive.path.is_dir()
    return Export(f"folder:{archive.path.resolve()}", complete, _items(archive, sorted([*files, *pages])))


def _is_source(archive: Archive, posts: Sequence[str], pages: Sequence[str]) -> bool:
    """Whether a site is made of these files: by the configuration of its engine, or by front matter."""
    configured = bool(posts) and not _CONFIGURATIONS.isdisjoint(archive.names)
    return configured or any(_has_front(archive, name) for name in (*posts, *pages[:1]))


def _has_front(archive: Archive, name: str) -> bool:
    try:
        text = archive.text(name, _MAX_BYTES)
    except Unreadable:
        return False
    return bool(_FRONT.match(text) or _json_front_matter(text) or _header(text))


def _items(archive: Archive, names: list[str]) -> Iterator[Item]:
    seen: set[str] = set()
    for name in names:
        # Names that are no UTF-8 may differ in nothing else.
        address = f"file:{archive.label}/{name}".encode("utf-8", "backslashreplace").decode()
        if reason := _why_not(PurePosixPath(name)):
            yield Rejected(address, reason)
            continue
        try:
            found = _read(archive.text(name, _MAX_BYTES), PurePosixPath(name), address, seen)
        except Unreadable as unreadable:
            found = Rejected(address, str(unreadable))
        if found:
            yield found


def _why_not(path: PurePosixPath) -> str | None:
    """Why a file is no post, by where it lies."""
    folders = {part.lower() for part in path.parts[:-1]}
    if folders & _DRAFTS:
        return "draft"
    if folders & _PARTS or any(f.startswith("_") and f != "_posts" for f in folders):
        return "part of a site"
    if path.stem.lower() in ("_index", "404"):
        return "listing"
    return "project document" if path.stem.lower() in _DOCUMENTS else None


def _read(text: str, path: PurePosixPath, address: str, seen: set[str]) -> Item | None:
    """The post of a file; None for an HTML file without front matter, which is a page of something else.

    Args:
        seen: identities of the addresses that files before this one have named as theirs.
    """
    front, body = _front_matter(text)
    if front is None:
        return Rejected(address, "broken front matter")
    if path.suffix.lower() in _HTML and body is text:
        return None
    published = _published(front, path)
    if reason := _unpublished(front, published):
        # A canonical address may be that of a public post, which a draft of a copy takes nothing back of.
        own = (urls.clean(_scalar(front.get(key))) for key in ("url", "permalink"))
        return Rejected(next(filter(None, own), address), reason)
    if path.suffix.lower() == ".mdx":
        body = without_scripts(body)
    title, body = _title(front, body.strip(), path)
    markdown = normal(body)
    if not markdown:
        return Rejected(address, "no text")
    return item.post(
        _address(front, seen) or address,
        title,
        markdown,
        published,
        author=_author(front.get("author") or front.get("authors")),
        tags=_tags(front.get("tags") or front.get("tag")),
    )


def _address(front: dict[str, Any], seen: set[str]) -> str | None:
    """Where a post is on the web; an address that an earlier file has is no address of this one."""
    for key in ("url", "permalink", "canonical_url"):
        url = urls.clean(_scalar(front.get(key)))
        if url and (identity := urls.canonical(url)) not in seen:
            seen.add(identity)
            return url
    return None


def _unpublished(front: dict[str, Any], published: str | None) -> str | None:
    def says(key: str, value: str) -> bool:
        return _scalar(front.get(key)).casefold() == value

    if says("draft", "true") or says("published", "false"):
        return "draft"
    if says("private", "true") or says("publish", "false") or says("visibility", "private"):
        return "private"
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # where today's date may be already
    coming = max(published or "", _day(front.get("publishdate")) or "") > tomorrow
    return _STATUSES.get(_scalar(front.get("status")).casefold()) or ("scheduled" if coming else None)


def _front_matter(text: str) -> tuple[dict[str, Any] | None, str]:
    """Front matter, its names in lower case, and body; None for front matter that cannot be read."""
    found = _FRONT.match(text)
    if not found:
        front, body = _json_front_matter(text) or _header(text) or ({}, text)
    elif len(found[2]) > _MAX_FRONT:
        return None, text
    else:
        front, body = _loaded(found[2], toml=found[1] == "+++"), text[found.end() :]
    if front is None:
        return None, text
    if not isinstance(front, dict):
        return {}, text  # a text between two rules
    return {key.lower(): value for key, value in front.items() if isinstance(key, str)}, body


def _loaded(front: str, toml: bool = False) -> Any:
    """What front matter says, {} where it is empty; None where it is broken."""
    try:
        return (tomllib.loads(front) if toml else yaml.load(front, _Loader)) or {}
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None


def _json_front_matter(text: str) -> tuple[dict[str, Any], str] | None:
    """Hugo's third kind: an object on lines of its own. A brace may as well begin a tag, or the text."""
    opening = re.match(r"\ufeff?(?=\{\s*\")", text)
    if not opening:
        return None
    try:
        front, end = json.JSONDecoder().raw_decode(text, opening.end())
    except (ValueError, RecursionError):
        return None
    return (front, text[end:]) if re.match(r"[ \t]*(?:\r?\n|\Z)", text[end:]) else None


def _header(text: str) -> tuple[Any, str] | None:
    """Names and values on the first lines of a text, without a rule before them."""
    found = _HEADER.match(text)
    if not found:
        return None
    fields = {name.lower(): " ".join(value.split()) for name, value in _FIELD.findall(found[1])}
    if not _is_of_post(fields, ruled=bool(found[2])):
        return None
    ruled = found[2] and len(found[1]) <= _MAX_FRONT
    return (ruled and _loaded(found[1])) or fields, text[found.end() :]


def _is_of_post(fields: dict[str, str], ruled: bool) -> bool:
    """Whether names and values are a post's; those that withhold it always are."""
    if _unpublished(fields, _said(fields)):
        return True
    titled = "title" in fields
    if not titled and not _OF_MAILS.isdisjoint(fields):
        return False
    if ruled:
        return titled or "date" in fields
    dated = bool(re.search(r"\d", fields.get("date", "")))  # whether or not it is a date that is known
    return titled + dated + (not _OF_POSTS.isdisjoint(fields)) > 1


def _title(front: dict[str, Any], body: str, path: PurePosixPath) -> tuple[str, str]:
    """The title, and the body without a first heading that only repeats it."""
    heading = re.match(r"#[ \t]++(.+?)(?<![ \t#])[ \t#]*(?:\n+|\Z)", body)
    named = _scalar(front.get("title"))
    if heading and (not named or heading[1].strip() == named):
        return named or heading[1].strip(), body[heading.end() :].strip()
    dated = _NAMED.match(path.stem)
    stem = (dated[4] if dated else "") or path.stem
    if stem == "index" and len(path.parts) > 1:  # Hugo's page bundles
        stem = path.parts[-2]
    return named or stem.replace("-", " ").replace("_", " ").strip(), body


def _published(front: dict[str, Any], path: PurePosixPath) -> str | None:
    if said := _said(front):
        return said
    named = _NAMED.match(path.stem) or (_NAMED.match(path.parts[-2]) if len(path.parts) > 1 else None)
    return dates.iso(f"{named[1]}-{named[2]:0>2}-{named[3]:0>2}") if named else None


def _said(front: dict[str, Any]) -> str | None:
    days = (_day(front.get(key)) for key in ("date", "published_at", "pubdate", "publishdate", "created"))
    return next(filter(None, days), None)


def _day(value: Any) -> str | None:
    if isinstance(value, date):  # set by hand: no number that only looks like a date, but 1 and 9999 are none
        return value.isoformat() if 1000 <= value.year < 9999 else None
    return dates.iso(_scalar(value))


def _author(value: Any) -> str | None:
    found = value if isinstance(value, list) else [value]
    return plaintext.names(a.get("name") if isinstance(a, dict) else a for a in found)


def _tags(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split("," if "," in value else None)
    plain = map(_scalar, value[:_MAX_TAGS]) if isinstance(value, list) else ()
    return tuple(tag for tag in plain if tag)


def _scalar(value: Any) -> str:
    """A word, number or date as text, "" for all else: nested lists with aliases write out to gigabytes."""
    if not isinstance(value, str | int | float | date):
        return ""
    try:
        return str(value).strip()
    except ValueError:  # a whole number of more digits than Python writes
        return ""
