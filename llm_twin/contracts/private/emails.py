"""E-mail addresses, plain and as people hide them from robots ("name [at] host [dot] org").

Not taken: logins in ssh, scp and git commands (`git@host:path`), Mastodon handles (@user@host), packages with
a version (name@1.2.3), message ids, addresses within a web address, and what is no one's: the names that
RFC 2606 reserves for documentation, `noreply` senders, and the usual stand-ins (you@yourdomain.com).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from llm_twin.contracts.records import Span

_LETTER = (
    "A-Za-z0-9\u00c0-\u024f"  # Latin: RFC 6531 allows more, but running text has no blanks in some scripts
)
_IS_LOCAL = re.compile(rf"[{_LETTER}._%+-]").fullmatch
_LABEL = rf"[{_LETTER}](?:[{_LETTER}-]{{0,61}}[{_LETTER}])?"  # RFC 1035, section 2.3.4
_MAX_LOCAL = 64  # RFC 5321, section 4.5.3.1.1
_LOOK_BACK = 200

# A host after a plain "@", up to the end of the address; a ":" or "/" with more makes it scp's or XMPP's.
_HOST = re.compile(
    rf"((?:{_LABEL}\.){{1,8}}[A-Za-z]{{2,24}})"
    rf"(?![{_LETTER}@-]|[./]\w|_\w|:(?:[~/.\d]|[\w.-]{{0,64}}[/.]\w))"
)
_DOT = r"(?:[ \t]{0,2}[\[({][ \t]?(?:dot|\.)[ \t]?[\])}][ \t]{0,2}|[ \t]{1,2}dot[ \t]{1,2}|\.)"
_HIDDEN_AT = re.compile(
    r"[ \t]{0,2}(?:[\[({][ \t]?(?:at|@)[ \t]?[\])}]|&#(?:64|x40);)[ \t]{0,2}", re.IGNORECASE
)
_HIDDEN_HOST = re.compile(rf"({_LABEL}(?:{_DOT}{_LABEL}){{1,5}})(?![{_LETTER}@-])", re.IGNORECASE)
_SPOKEN = re.compile(
    rf"(?<=[{_LETTER}])\s{{1,2}}at\s{{1,2}}({_LABEL}(?:\s{{1,2}}dot\s{{1,2}}{_LABEL}){{1,4}})(?![{_LETTER}@-])",
    re.IGNORECASE,
)
_SPOKEN_LOCAL = re.compile(rf"([{_LETTER}_+-]{{1,30}})(?:{_DOT})\Z", re.IGNORECASE)
_SPLIT = re.compile(_DOT, re.IGNORECASE)
# "Find me at example dot org" speaks of a site: words that stand before "at" in such sentences are no names.
_NO_NAMES = frozenset(
    str.split(
        "me us him her it them you that this these those one here there out up in on is are was be been "
        "now live lives look looking looked find found available hosted host online page site website "
        "blog post home code project read more see seen stay visit posted published work works working "
        "meet start started and or not"
    )
)
# Top-level domains that people have addresses under (IANA root zone); those of two letters are countries',
# but for some endings of file names. Anything else after an "@" is code.
_TOP = frozenset(
    str.split(
        "com net org edu gov mil int info biz name pro mobi coop aero museum jobs tel asia cat post eu "
        "app dev page blog email mail cloud online site tech xyz club shop store space website design "
        "studio agency life live world today news media digital systems solutions software engineering "
        "engineer codes computer network consulting academy school education institute foundation "
        "community social chat zone wiki works ninja rocks fun guru expert one link top vip icu art photo "
        "photos photography gallery graphics audio video music band games team group company ltd gmbh inc "
        "llc ventures capital finance health care family house land city berlin london nyc paris "
        "amsterdam wien hamburg koeln tokyo quebec scot wales cymru swiss africa bayern eus gal bzh horse "
        "earth green eco pub ink press book review plus run sh science services technology tools "
        "university hosting host domains moe party pizza coffee cafe bike garden lgbt gay cool"
    )
)
_NO_COUNTRY = frozenset(str.split("js ts go hs el kt jl vb db ui os ko gz xz bz rc"))
# What stands in for a host in instructions, with the top-level domains that it stands with.
_STAND_INS = frozenset(
    str.split(
        "domain yourdomain your-domain mydomain yourcompany company foo bar baz qux foobar somewhere host "
        "yourhost hostname server yourserver mail-server site yoursite website email-provider provider "
        "xyz abc"
    )
)
_NO_REPLY = re.compile(r"(?:no|do-?not|dont)[._-]?reply", re.IGNORECASE)
_LOGIN = re.compile(
    r"(?:\A|[\s`$(|])(?:ssh|sftp|mosh|sshfs|ssh-copy-id|telnet)(?:\s+-\S+(?:\s+[^\s@-]\S{0,60})?){0,6}\s+\Z"
)
_MESSAGE_ID = re.compile(r"\W{0,8}(?:message-id|in-reply-to|references|content-id)\s?:", re.IGNORECASE)
_ENDS_URL = re.compile(r"[\s<>\"')\]]")


def find(text: str) -> Iterator[Span]:
    """Spans of e-mail addresses; angle brackets and a link to the same address belong to them."""
    if "@" in text:
        for at in re.finditer("@", text):
            host, start = _HOST.match(text, at.end()), _local(text, at.start())
            if host is None or start is None or not _is_mail(text, start, host[1]):
                continue
            if _is_someones(text[start : at.start()], host[1].split(".")):
                yield _with_link(text, start, host.end(1))
    for at in _HIDDEN_AT.finditer(text):
        if host := _HIDDEN_HOST.match(text, at.end()):
            yield from _hidden(text, at.start(), host, frozenset())
    for at in _SPOKEN.finditer(text):
        yield from _hidden(text, at.start(), at, _NO_NAMES)


def _local(text: str, end: int) -> int | None:
    """Where the part before an "@" at `end` begins; None where there is none."""
    start, first = end, max(0, end - _MAX_LOCAL - 1)
    while start > first and _IS_LOCAL(text[start - 1]):
        start -= 1
    if end - start > _MAX_LOCAL:
        return None
    while start < end and not text[start].isalnum():
        start += 1
    return start if start < end else None


def _is_mail(text: str, start: int, host: str) -> bool:
    """Whether what looks like an address is one of mail, by what stands before it."""
    before = text[max(0, start - _LOOK_BACK) : start]
    url = before.rfind("://")
    return not (
        before.endswith(("@", "/", "$", "~"))
        or re.match(r"\d+\.\d", host)
        or (url >= 0 and not _ENDS_URL.search(before, url))
        or _LOGIN.search(before)
        or _MESSAGE_ID.match(before.rpartition("\n")[2])
    )


def _is_someones(local: str, host: list[str]) -> bool:
    labels = [label.lower() for label in host]
    top = labels[-1]
    if top not in _TOP and (len(top) != 2 or not top.isascii() or not top.isalpha() or top in _NO_COUNTRY):
        return False
    if "example" in labels or (labels[0] in _STAND_INS and len(labels) == 2 and top in ("com", "net", "org")):
        return False
    # A masked key that an "@" follows is no name.
    if local == "git" or "key-or-token" in local:
        return False
    return not any(_NO_REPLY.match(part) for part in (local, *labels))


def _hidden(text: str, end: int, host: re.Match[str], no_names: frozenset[str]) -> Iterator[Span]:
    start = _local(text, end)
    if start is None or text[start:end].lower() in no_names or text[start - 1 : start] in ("@", "/"):
        return
    for _ in range(3):  # "first dot last at host dot org"
        before = max(0, start - 40)
        if not (more := _SPOKEN_LOCAL.search(text[before:start])):
            break
        start = before + more.start()
    if _is_someones(text[start:end], _SPLIT.split(host[1])):
        yield start, host.end(1)


def _with_link(text: str, start: int, end: int) -> Span:
    """The span with the marks of an autolink, or of a link that has the address as its text."""
    address = text[start:end]
    for before, after in (("<mailto:", ">"), ("<", ">"), ("[", f"](mailto:{address})")):
        if text.endswith(before, max(0, start - len(before)), start) and text.startswith(after, end):
            return start - len(before), end + len(after)
    return start, end
