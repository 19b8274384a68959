"""A newsletter as mail: an mbox file (RFC 4155), or a folder of .eml files (RFC 5322).

Its author is whose name is asked for, from whatever addresses, else who sent most of the letters that say
that they went to a list (RFC 2369, RFC 2919). Only their letters count, and of those only what went to all:
an answer, or a message without a list's header where others have one, is private. So is a letter to a list
that its readers can write to, such as a family's, where a name is asked for or the mailbox has a newsletter.
Where no message has such a header, only letters to several receivers are taken, of which none was shown to
the others.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header
from email.message import EmailMessage
from email.utils import parseaddr
from functools import partial
from itertools import compress
from pathlib import PurePosixPath
from urllib.parse import quote

from llm_twin.collect import dates, item, urls
from llm_twin.collect.exports import letters
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.files import heads
from llm_twin.collect.item import Export, Item, Rejected, same_author

_MAX_LETTER = 30_000_000  # bytes: what mail servers let through, pictures included
_MAX_HEADERS = 64_000
_SNIFFED = 5  # .eml files that are looked at, since one may be broken
# The date makes the difference to a paragraph that begins with "From".
_FROM_LINE = re.compile(rb"^From \S+ [^\r\n]{0,60}\d\d:\d\d[^\r\n]{0,40}\d{4}[^\r\n]*\r?\n", re.MULTILINE)
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_LIST_HEADERS = ("list-id", "list-unsubscribe", "list-post")
_ANSWER = re.compile(r"^\s*(?:re|fwd?|aw|wg|sv|tr|rv)\s*(?:\[\d+\]\s*)?:", re.IGNORECASE)
_RECEIVERS = ("to", "cc", "bcc")
_UNDISCLOSED = re.compile(r"undisclosed|recipients?:\s*;", re.IGNORECASE)
# Wherever it stands: a header that is broken names its receivers all the same.
_MAILBOX = re.compile(r"(?<![^\s<>()\[\],;:\"'])[^\s<>()\[\],;:\"']+@[^\s<>()\[\],;:\"']+")
_URL = re.compile(r"<?\s*(https?://[^\s<>,]+)")
_SHOWN = 6  # senders that are told of
# Substack's List-Post is the letter on the web; that of others is one address for a whole list.
_SUBSTACK_POST = re.compile(r"<?\s*(https?://[^\s<>,/]+/p/[\w-]+)\s*+>?\s*$")

Headers = dict[str, str]
IsPublic = Callable[[Headers], bool]
Senders = dict[str, Counter[str]]  # addresses, the most frequent first, and the names that letters give them


def read(archive: Archive, author: str | None = None) -> Export | None:
    """The letters of a newsletter, in the order that they lie in; None where an archive has no mail.

    `author` is the name that its letters come under; they are taken from every address that has it.
    """
    names = _mailboxes(archive)
    if not names:
        return None
    everyone, listed, newsletters = _senders(archive, names)
    named = (_named(author, senders) for senders in (newsletters, everyone) if author)
    chosen = next(filter(None, named), [])
    own = chosen or list(newsletters or listed or everyone)[:1]
    is_public: IsPublic = _is_newsletter if author or newsletters else _is_bulk
    if not listed:
        is_public = partial(_hides_receivers, own=frozenset(own))
    source = f"mailbox:{own[0] if own else archive.label}"
    told = newsletters if listed else everyone
    note = _note(told) if len(told) > 1 and (listed or author) and not chosen else ""
    # A mailbox holds what was kept of a newsletter.
    return Export(source, False, _items(archive, names, frozenset(own), is_public), note)


def _senders(archive: Archive, names: list[str]) -> list[Senders]:
    """Who sent letters, who sent some to a list, and who to a list that its readers cannot write to."""
    kinds: list[Senders] = [{}, {}, {}]
    for _, raw in _messages(archive, names):
        headers = _headers(raw) if isinstance(raw, bytes) else {}
        if sender := _sender(headers):
            for senders in compress(kinds, (True, _is_bulk(headers), _is_newsletter(headers))):
                senders.setdefault(sender, Counter())[_name(headers)] += 1
    return [dict(sorted(s.items(), key=lambda sent: -sent[1].total())) for s in kinds]


def _named(author: str, senders: Senders) -> list[str]:
    """The addresses whose letters mostly bear a name: some addresses send in the names of many."""
    return [a for a, names in senders.items() if same_author(author, names.most_common(1)[0][0])]


def _note(senders: Senders) -> str:
    shown = [f"{n.most_common(1)[0][0]} <{a}> ({n.total()})".strip() for a, n in senders.items()]
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    others = f"{', '.join(shown[1:_SHOWN])}{more}"
    return f"The letters are of {shown[0]}; others are of {others}. Take one: --author NAME"


def _mailboxes(archive: Archive) -> list[str]:
    """Files with mail: mailboxes by their first line, single letters by their headers."""
    # Mail programs name mailboxes "x.mbox", or "Inbox" without any suffix.
    found = [n for n, head in heads(archive, ".mbox", ".mbx", "") if _FROM_LINE.match(head)]
    if found:
        return found
    letters_found = [n for n in archive.names if PurePosixPath(n).suffix.lower() == ".eml"]
    if len(archive.names) == 1:
        letters_found = list(archive.names)
    for name in letters_found[:_SNIFFED]:
        try:
            if _is_letter(_headers(archive.read(name, _MAX_LETTER))):
                return letters_found
        except Unreadable:
            continue
    return []


def _is_letter(headers: Headers) -> bool:
    return "@" in _sender(headers) and ("date" in headers or "message-id" in headers)


def _messages(archive: Archive, names: list[str]) -> Iterator[tuple[str, bytes | Rejected]]:
    """Every message with a name for it."""
    for name in names:
        try:
            content = archive.read(name)
        except Unreadable as unreadable:
            yield name, Rejected(name, str(unreadable))
            continue
        marks = list(_FROM_LINE.finditer(content))
        if not marks or marks[0].start():
            yield name, content
            continue
        ends = [mark.start() for mark in marks[1:]] + [len(content)]
        for number, (mark, end) in enumerate(zip(marks, ends, strict=True), 1):
            yield f"{name}#{number}", _QUOTED_FROM.sub(rb"\1", content[mark.end() : end])


def _items(archive: Archive, names: list[str], own: frozenset[str], is_public: IsPublic) -> Iterator[Item]:
    for where, raw in _messages(archive, names):
        if isinstance(raw, Rejected):
            yield raw
            continue
        try:
            yield _read(where, raw, own, is_public)
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            MessageError,
            RecursionError,
            AssertionError,
        ):
            # The standard library's parser raises all of these on mail that is broken enough.
            yield Rejected(where, "broken message")


def _read(where: str, raw: bytes, own: frozenset[str], is_public: IsPublic) -> Item:
    headers = _headers(raw)
    if reason := _why_not(raw, headers, own, is_public):
        return Rejected(where, reason)
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)  # what this policy makes
    title = " ".join(headers.get("subject", "").split())
    markdown = letters.to_markdown(message, title)
    if not markdown:
        return Rejected(where, "no text")
    author = _name(headers) or None
    return item.post(_address(headers), title, markdown, dates.iso(headers.get("date")), author=author)


def _why_not(raw: bytes, headers: Headers, own: frozenset[str], is_public: IsPublic) -> str | None:
    if len(raw) > _MAX_LETTER:
        return "too large"
    if not (sender := _sender(headers)):
        return "broken message"
    if sender not in own:
        return "from someone else"
    labels = headers.get("x-gmail-labels", "").lower()
    if "draft" in labels:
        return "draft"
    if headers.get("in-reply-to") or headers.get("references") or _ANSWER.match(headers.get("subject", "")):
        return "private message"
    return None if is_public(headers) else "private message"


def _hides_receivers(headers: Headers, own: frozenset[str]) -> bool:
    """Whether a letter went to several and shows none of them.

    One receiver makes it private in whatever header they stand, and so does none: it is a note to oneself.
    """
    shown = _addresses(headers, "to", "cc") - own
    hidden = _addresses(headers, "bcc") - own
    several = len(hidden) > 1 if hidden else bool(_UNDISCLOSED.search(headers.get("to", "")))
    return several and not shown


def _addresses(headers: Headers, *names: str) -> set[str]:
    return {address.lower() for name in names for address in _MAILBOX.findall(headers.get(name, ""))}


def _headers(raw: bytes) -> Headers:
    """The headers by name in lower case, unfolded and decoded; of each name the first, but all receivers."""
    end = _HEADERS_END.search(raw, 0, _MAX_HEADERS)
    lines = re.sub(rb"\r?\n[ \t]+", b" ", raw[: end.start()] if end else raw[:_MAX_HEADERS]).splitlines()
    found: Headers = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        named = name.strip().decode("latin-1").lower()
        if colon and named in found and named in _RECEIVERS:
            found[named] += f", {_decoded(value.strip())}"
        elif colon:
            found.setdefault(named, _decoded(value.strip()))
    return found


def _decoded(value: bytes) -> str:
    """A header's text: encoded words (RFC 2047), else UTF-8 or windows-1252 as it stands."""
    text = letters.decode(value, None)
    try:
        parts = decode_header(text) if "=?" in text else [(text, None)]
    except (MessageError, ValueError):
        return text
    return "".join(p if isinstance(p, str) else letters.decode(p, charset) for p, charset in parts)


def _sender(headers: Headers) -> str:
    return parseaddr(headers.get("from", ""))[1].lower()


def _name(headers: Headers) -> str:
    return parseaddr(headers.get("from", ""))[0]


def _is_bulk(headers: Headers) -> bool:
    return any(headers.get(name) for name in _LIST_HEADERS) or headers.get("precedence", "").lower() in (
        "bulk",
        "list",
    )


def _is_newsletter(headers: Headers) -> bool:
    """Whether a letter went to a list that its readers cannot write to."""
    return _is_bulk(headers) and "mailto:" not in headers.get("list-post", "").lower()


def _address(headers: Headers) -> str:
    """Where the letter can be read on the web, or else its Message-ID (RFC 2392).

    Links in letters to their web version lead through counters, other ones for each receiver.
    """
    archived = _URL.match(headers.get("archived-at", ""))  # RFC 5064
    post = _SUBSTACK_POST.match(headers.get("list-post", ""))
    if (link := archived or post) and (url := urls.clean(link[1])):
        return url
    if identity := headers.get("message-id", "").strip(" <>"):
        return f"mid:{quote(identity, safe='@!$&*+=:._~-')}"
    seed = "\n".join(headers.get(name, "") for name in ("from", "date", "subject"))
    return f"mail:{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
