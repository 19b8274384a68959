"""Mastodon's archive: `outbox.json`, an ActivityStreams 2.0 collection of all that an account has sent.

It holds direct messages and followers-only notes beside the public ones, so what is taken is what says that
it is addressed to everybody (ActivityPub, section 5.6; Mastodon's "unlisted" is public too). `likes.json` and
`bookmarks.json` are the words of others and are never opened.

A content warning is a label for readers and not prose: the text below it is taken, the warning is not.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from typing import Any

from llm_twin.collect import dates, jsontext, urls
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.short import BROKEN, Short, items, without_greeting, without_labels
from llm_twin.collect.item import Export, Rejected
from llm_twin.collect.jsontext import dicts, string
from llm_twin.collect.pages.markdown import from_html

_PUBLIC = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public"})
_TEXTS = frozenset({"Note", "Question"})  # a question is the note of a poll
_QUOTED = re.compile(r"<(p|span) class=\"quote-inline\">.*?</\1>", re.DOTALL)  # "RE: address" before a quote


def read(archive: Archive) -> Export | None:
    """The public notes of an account, own threads joined, answers to others as replies; else None.

    The export is complete where nothing in it is broken: every archive has the whole outbox.
    """
    names = archive.names if len(archive.names) == 1 else archive.find("*outbox*.json")
    for name in names:
        try:
            body = archive.read(name)
        except Unreadable:
            continue
        if not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or b'"orderedItems"' not in body:
            continue
        outbox = jsontext.load(body)
        if outbox is None and b'"OrderedCollection"' in body:
            return Export("mastodon", False, iter([Rejected(name, "not JSON")]))
        if _is_outbox(outbox):
            return _export(archive, name, outbox["orderedItems"])
    return None


def _is_outbox(outbox: Any) -> bool:
    if not isinstance(outbox, dict) or outbox.get("type") != "OrderedCollection":
        return False
    items = outbox.get("orderedItems")
    if not isinstance(items, list):
        return False
    return outbox.get("id") == "outbox.json" or any(isinstance(i, dict) and "actor" in i for i in items)


def _export(archive: Archive, name: str, activities: list[Any]) -> Export:
    actor = _actor(archive, activities)
    account = string(actor.get("id"))
    own = {
        string(n.get("id"))
        for a in activities
        if isinstance(a, dict) and isinstance(n := a.get("object"), dict)
    }
    found = [_sort(a, f"{name}#{n}", actor, own) for n, a in enumerate(activities)]
    whole = bool(found) and not any(isinstance(f, Rejected) and f.reason == BROKEN for f in found)
    return Export(f"mastodon:{account}" if account else "mastodon", bool(account) and whole, items(found))


def _actor(archive: Archive, activities: list[Any]) -> dict[str, Any]:
    """Whose archive it is: the actor of most activities, with what `actor.json` says of the same."""
    senders = Counter(string(a.get("actor")) for a in activities if isinstance(a, dict))
    del senders[""]
    account = senders.most_common(1)[0][0] if senders else ""
    for name in archive.find("actor.json"):
        try:
            actor = jsontext.load(archive.read(name))
        except Unreadable:
            continue
        if isinstance(actor, dict) and (not account or actor.get("id") == account):
            return actor
    return {"id": account}


def _sort(activity: Any, where: str, actor: dict[str, Any], own: set[str]) -> Short | Rejected:
    """The note of an activity, or why it is none of the author's public ones."""
    if not isinstance(activity, dict):
        return Rejected(where, BROKEN)
    note = inner if isinstance(inner := activity.get("object"), dict) else {}
    key = string(note.get("id"))
    if reason := _why_not(activity, note, string(actor.get("id"))):
        return Rejected(key or string(activity.get("id")) or where, reason)
    answered = note.get("inReplyTo")
    goes_on = string(answered) in own or string(answered).startswith(f"{actor.get('id')}/")
    return Short(
        key=key,
        parent=string(answered) if goes_on else "",
        rank=f"{string(note.get('published'))} {key}",
        address=urls.clean(string(note.get("url"))) or key,
        published_at=dates.iso(string(note.get("published"))),
        kind="note" if goes_on or not answered else "reply",
        words=partial(_words, string(note.get("content")), bool(answered)),
        tags=_tags(note.get("tag")),
    )


def _why_not(activity: dict[str, Any], note: dict[str, Any], account: str) -> str | None:
    """Why an activity is no public note of the account."""
    if activity.get("type") != "Create":
        return "boost" if activity.get("type") == "Announce" else "other activity"
    if not string(note.get("id")):
        return BROKEN
    if activity.get("actor") != account or note.get("attributedTo", account) != account:
        return "by someone else"
    if reason := _why_private(activity, note):
        return reason
    if note.get("type") not in _TEXTS:
        return "other activity"
    return None if isinstance(note.get("content"), str | None) else BROKEN


def _why_private(activity: dict[str, Any], note: dict[str, Any]) -> str | None:
    """Why a note is not for everybody; where activity and note say different things, both must be public."""
    said = [activity, note] if "to" in note or "cc" in note else [activity]
    for readers in ({*_listed(each.get("to")), *_listed(each.get("cc"))} for each in said):
        if not readers & _PUBLIC:
            followers = any(reader.endswith("/followers") for reader in readers)
            return "followers only" if followers else "direct message"
    return None


def _listed(value: Any) -> list[str]:
    return [string(v) for v in (value if isinstance(value, list) else [value])]


def _words(content: str, answers: bool) -> str:
    text = from_html(_QUOTED.sub("", content))
    return without_labels(without_greeting(text) if answers else text)


def _tags(value: Any) -> tuple[str, ...]:
    names = (string(t.get("name")).removeprefix("#") for t in dicts(value) if t.get("type") == "Hashtag")
    return tuple(name for name in names if name)
