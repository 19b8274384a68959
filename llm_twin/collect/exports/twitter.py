"""X's (Twitter's) archive: JavaScript files below `data/` that assign JSON to `window.YTD.<kind>.part<n>`.

`tweets.js` and its parts (`tweet.js` before 2022) hold what its author has posted; `note-tweet.js` holds the
whole of each longer text, of which the tweet shows the beginning. Long texts name no tweet, so they are found
by their beginning; one without a tweet may have been deleted or sent to a circle, and is refused. X Articles
are counted but not read. Direct messages, likes and deleted tweets are never opened.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from llm_twin.collect import dates, jsontext
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.short import (
    BROKEN,
    Short,
    items,
    to_markdown,
    without_greeting,
    without_labels,
)
from llm_twin.collect.item import Export, Rejected
from llm_twin.collect.jsontext import dicts, string

_FILES = ("tweet*.js", "twitter-circle-tweet*.js", "note-tweet*.js", "article*.js", "account.js")
_ASSIGNED = re.compile(rb"(?:\xef\xbb\xbf)?\s*window\.YTD\.(\w+)\.part\d+\s*=\s*")
_KINDS = {
    "tweet": "tweet",
    "tweets": "tweet",
    "twitter_circle_tweet": "circle",
    "note_tweet": "note",
    "article": "article",
    "account": "account",
}
_SHORTENED = re.compile(r"(?<![ \t])([ \t]*)(https?://t\.co/\w+)")
_ESCAPED = re.compile(r"&(?:amp|lt|gt);")
_UNESCAPED = re.compile(r"[<>]|&(?!(?:amp|lt|gt);)")
_ADDRESSED = re.compile(r"@\w+\s")
# Before there were quote tweets: my words RT @name: their words, or “@name: their words” my words.
_RETOLD = re.compile(r"(?<!\s)\s*\b(?:RT|MT) @\w+:.*|[“\"]@\w+: (?:.*[”\"]|.*)", re.DOTALL)
_OPENING = 30  # characters by which a long text is looked up
_CUT = 100  # a tweet of fewer characters shows all of its text: a full one has 280, 140 in wide scripts


@dataclass(slots=True)
class _Archived:
    """The records of an archive by their kind, and what of its files could not be read."""

    records: dict[str, list[tuple[str, dict[str, Any]]]] = field(
        default_factory=lambda: {kind: [] for kind in _KINDS.values()}
    )
    seen: set[str] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)


def read(archive: Archive) -> Export | None:
    """The tweets of an account, own threads joined, answers to others as replies; None for other archives.

    The export is complete where it is a whole archive with nothing broken in it: X writes all that an account
    has posted, but `tweets.js` alone may be one part of several.
    """
    alone = len(archive.names) == 1
    names = archive.names if alone else sorted({n for pattern in _FILES for n in archive.find(pattern)})
    archived = _Archived()
    for name in names:
        _load(archive, name, archived)
    if "tweet" not in archived.seen:
        return None
    account = next((r for _, r in archived.records["account"]), {})
    found = list(_sorted(archived, account))
    whole = not any(r.reason == BROKEN for r in found if isinstance(r, Rejected)) and not archived.rejected
    identity = string(account.get("accountId")) or string(account.get("username"))
    complete = bool(identity) and whole and bool(archived.records["tweet"])
    source = f"x:{identity}" if identity else "x"
    return Export(source, complete, items([*archived.rejected, *found]))


def _load(archive: Archive, name: str, archived: _Archived) -> None:
    try:
        body = archive.read(name)
    except Unreadable as error:
        archived.rejected.append(Rejected(name, str(error)))
        return
    assigned = _ASSIGNED.match(body)
    kind = _KINDS.get(assigned[1].decode()) if assigned else None
    if assigned is None or kind is None:
        return
    archived.seen.add(kind)
    values = jsontext.load(body[assigned.end() :].rstrip(b" ;\r\n\t"))
    if values is None:
        archived.rejected.append(Rejected(name, "not JSON"))
        return
    inner = {"circle": "tweet", "note": "noteTweet"}.get(kind, kind)
    for n, value in enumerate(values if isinstance(values, list) else [values]):
        record = value.get(inner, value) if isinstance(value, dict) else None
        if isinstance(record, dict):
            archived.records[kind].append((f"{name}#{n}", record))
        else:
            archived.rejected.append(Rejected(f"{name}#{n}", BROKEN))


def _sorted(archived: _Archived, account: dict[str, Any]) -> Iterator[Short | Rejected]:
    private = {_id(r) for _, r in archived.records["circle"]} - {""}
    yield from (Rejected(_id(r) or where, "circle tweet") for where, r in archived.records["circle"])
    yield from (
        Rejected(string(r.get("id")) or where, "X article") for where, r in archived.records["article"]
    )
    tweets = [(where, r) for where, r in archived.records["tweet"] if _id(r) not in private]
    newest = _newest_versions([r for _, r in tweets])
    own = {_id(r) for _, r in tweets} - {""}
    latest = [r for _, r in tweets if _id(r) and _id(r) not in newest]
    whole = _whole_texts([r for _, r in archived.records["note"]], latest)
    used = {id(note) for note in whole.values()}
    for where, note in archived.records["note"]:
        if id(note) not in used:
            yield Rejected(string(note.get("noteTweetId")) or where, "long text without its tweet")
    for where, tweet in tweets:
        if reason := _why_not(tweet):
            yield Rejected(_id(tweet) or where, reason)
        elif _id(tweet) in newest:
            yield Rejected(_id(tweet), "older version")
        else:
            yield _short(tweet, whole.get(_id(tweet)), account, own, newest)


def _why_not(tweet: dict[str, Any]) -> str | None:
    """Why a record is no tweet of the author; `retweeted` is also set where authors retweet their own."""
    if not _id(tweet) or not isinstance(tweet.get("full_text", tweet.get("text")), str):
        return BROKEN
    return "retweet" if "retweeted_status" in tweet or _text(tweet).startswith("RT @") else None


def _short(
    tweet: dict[str, Any],
    note: dict[str, Any] | None,
    account: dict[str, Any],
    own: set[str],
    newest: dict[str, str],
) -> Short:
    key = _id(tweet)
    answered = string(tweet.get("in_reply_to_status_id_str")) or string(tweet.get("in_reply_to_status_id"))
    user = string(tweet.get("in_reply_to_user_id_str")) or string(tweet.get("in_reply_to_user_id"))
    name = string(tweet.get("in_reply_to_screen_name")).lower()
    me = {string(account.get("accountId")), string(account.get("username")).lower()} - {""}
    goes_on = answered in own or bool({user, name} & me)
    answers = bool(answered or user or name or _ADDRESSED.match(_text(tweet)))
    return Short(
        key=key,
        parent=newest.get(answered, answered) if goes_on else "",
        rank=key.zfill(20),
        # An address without the handle, which may change, leads to the same tweet.
        address=f"https://x.com/i/status/{key}",
        published_at=_date(string(tweet.get("created_at"))),
        kind="reply" if answers and not goes_on else "note",
        words=partial(_words, tweet, note, answers),
        tags=tuple(t for h in _entities(tweet, "hashtags") if (t := string(h.get("text")))),
    )


def _words(tweet: dict[str, Any], note: dict[str, Any] | None, answers: bool) -> str:
    text = _unescaped(_core(note) if note else _text(tweet))
    text = _RETOLD.sub("", _expanded(text, _addresses(tweet, note)))
    return to_markdown(without_labels(without_greeting(text) if answers else text))


def _whole_texts(notes: list[dict[str, Any]], tweets: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the id of a tweet, the long text whose beginning it shows; of several, the one sent with it."""
    by_opening: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for note in notes:
        words = _compared(_core(note))
        by_opening.setdefault(words[:_OPENING], []).append((words, note))
    found: dict[str, dict[str, Any]] = {}
    for tweet in tweets if notes else []:
        shown = _compared(_text(tweet))
        cut = shown.removesuffix("…").rstrip()
        fitting = [note for words, note in by_opening.get(cut[:_OPENING], []) if words.startswith(cut)]
        if fitting and (cut != shown or len(shown) >= _CUT):
            found[_id(tweet)] = min(fitting, key=lambda note: abs(_number(note) - int(_id(tweet))))
    return found


def _newest_versions(tweets: list[dict[str, Any]]) -> dict[str, str]:
    """For each tweet that was edited later, the id of its last version; each version lists all of them."""
    known = {_id(tweet) for tweet in tweets}
    newest: dict[str, str] = {}
    for tweet in tweets:
        info = tweet.get("edit_info")
        for state in (info.get("initial"), info.get("edit")) if isinstance(info, dict) else ():
            control = state.get("editControlInitial", state) if isinstance(state, dict) else None
            listed = control.get("editTweetIds") if isinstance(control, dict) else None
            named = {string(v) for v in listed} if isinstance(listed, list) else set()
            versions = sorted((v for v in named if v and v in known), key=int)
            newest.update(dict.fromkeys(versions[:-1], versions[-1] if versions else ""))
    return newest


def _id(tweet: dict[str, Any]) -> str:
    """The id of a tweet, a number of at most 64 bits; "" where it has none."""
    found = string(tweet.get("id_str")) or string(tweet.get("id"))
    return found if re.fullmatch(r"[0-9]{1,20}", found) else ""


def _number(note: dict[str, Any]) -> int:
    found = string(note.get("noteTweetId"))
    return int(found) if re.fullmatch(r"[0-9]{1,20}", found) else 0


def _text(tweet: dict[str, Any]) -> str:
    return string(tweet.get("full_text", tweet.get("text")))


def _core(note: dict[str, Any]) -> str:
    core = note.get("core")
    return string(core.get("text")) if isinstance(core, dict) else ""


def _compared(text: str) -> str:
    """A text by its words alone: greetings, addresses and spaces differ between a tweet and its long text."""
    text = re.sub(r"https?://\S+", "", without_greeting(_unescaped(text)))
    return " ".join(text.split())


def _unescaped(text: str) -> str:
    """The text as it was typed. X escapes &, < and >; a text that has one of them bare is not escaped."""
    return text if _UNESCAPED.search(text) else _ESCAPED.sub(lambda m: html.unescape(m[0]), text)


def _addresses(tweet: dict[str, Any], note: dict[str, Any] | None) -> dict[str, str]:
    """What X's short addresses stand for: the address that was typed, or nothing for a picture."""
    core = note.get("core") if note else None
    long = dicts(core.get("urls")) if isinstance(core, dict) else []
    return {
        **{string(u.get("shortUrl")): string(u.get("expandedUrl")) for u in long},
        **{string(u.get("url")): string(u.get("expanded_url")) for u in _entities(tweet, "urls")},
        **{string(m.get("url")): "" for m in _entities(tweet, "media")},
    }


def _expanded(text: str, addresses: dict[str, str]) -> str:
    def expand(match: re.Match[str]) -> str:
        found = addresses.get(match[2], match[2])
        return match[1] + found if found else ""

    return _SHORTENED.sub(expand, text)


def _entities(tweet: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for part in ("entities", "extended_entities"):
        entities = tweet.get(part)
        found += dicts(entities.get(kind)) if isinstance(entities, dict) else []
    return found


def _date(text: str) -> str | None:
    """The date of "Mon Mar 01 00:00:00 +0000 2021"."""
    try:
        return dates.iso(datetime.strptime(text, "%a %b %d %H:%M:%S %z %Y").isoformat())
    except ValueError:
        return None
