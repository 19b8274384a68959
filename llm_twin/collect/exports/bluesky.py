"""Bluesky's export: a CAR file with every record of an account, all public (the AT Protocol's repository).

A CAR file (version 1) is blocks named by the hash of their content. The commit at its root names the account
and a Merkle search tree, whose keys say what each record is ("app.bsky.feed.post/3kabc"); what the tree does
not reach is no record of the account any more and is not taken. Likes, follows and blocks are never read.

Texts stay as they were written, shortened addresses too, since that is what their readers see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from llm_twin.collect import dates
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.collect.exports.short import BROKEN, Short, items, to_markdown, without_labels
from llm_twin.collect.item import Export, Rejected

_POST = "app.bsky.feed.post"
_REPOST = "app.bsky.feed.repost"
_LINK = "app.bsky.richtext.facet#link"
_CID_BYTES = 36  # the AT Protocol's only kind: version 1, a codec, sha2-256 of 32 bytes
_CID_STARTS = (b"\x01\x71\x12\x20", b"\x01\x55\x12\x20")  # of DAG-CBOR, of raw bytes
_VARINT_BYTES = 9  # the multiformats' bound


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of a CAR file, decoded when asked for; `whole` says that the file was not cut off."""

    body: bytes
    at: dict[bytes, tuple[int, int]]
    whole: bool

    def get(self, cid: object) -> dict[str, Any] | None:
        """The map of a block; None where it is missing, is none or is not what its name says."""
        from libipld import decode_dag_cbor

        if not isinstance(cid, bytes) or cid not in self.at:
            return None
        data = self.body[slice(*self.at[cid])]
        if hashlib.sha256(data).digest() != cid[4:]:
            return None
        try:
            found = decode_dag_cbor(data)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def read(archive: Archive) -> Export | None:
    """The posts of a repository, own threads joined, answers to others as replies; None for other archives.

    The export is complete where all of its tree is there: a repository holds every post that was not deleted.
    """
    names = archive.names if len(archive.names) == 1 else archive.find("*.car")
    for name in names:
        try:
            opened = _open(archive.read(name))
        except Unreadable:
            continue
        if opened is None:
            continue
        commit, blocks = opened
        keys, whole = _walk(commit.get("data"), blocks)
        found = [_sort(key, blocks.get(cid), commit["did"]) for key, cid in keys if _is_read(key)]
        broken = any(isinstance(f, Rejected) and f.reason == BROKEN for f in found)
        if not whole:
            found.append(Rejected(name, "part of the repository is missing"))
        return Export(f"bluesky:{commit['did']}", whole and blocks.whole and not broken, items(found))
    return None


def _is_read(key: str) -> bool:
    return key.startswith((f"{_POST}/", f"{_REPOST}/"))


def _open(body: bytes) -> tuple[dict[str, Any], _Blocks] | None:
    """The commit of a repository and its blocks; None for what is no CAR file of one."""
    from libipld import decode_dag_cbor

    size, start = _varint(body, 0)
    if not 0 < size <= len(body) - start:
        return None
    try:
        header = decode_dag_cbor(body[start : start + size])
    except (ValueError, RecursionError):
        return None
    roots = header.get("roots") if isinstance(header, dict) and header.get("version") == 1 else None
    if not isinstance(roots, list) or not roots:
        return None
    blocks = _blocks(body, start + size)
    commit = blocks.get(roots[0])
    did = commit.get("did") if commit else None
    return (commit, blocks) if commit and isinstance(did, str) and did.startswith("did:") else None


def _blocks(body: bytes, start: int) -> _Blocks:
    at: dict[bytes, tuple[int, int]] = {}
    while start < len(body):
        size, start = _varint(body, start)
        cid = body[start : start + _CID_BYTES]
        if not _CID_BYTES <= size <= len(body) - start or not cid.startswith(_CID_STARTS):
            return _Blocks(body, at, whole=False)
        at[cid] = (start + _CID_BYTES, start + size)
        start += size
    return _Blocks(body, at, whole=True)


def _varint(body: bytes, start: int) -> tuple[int, int]:
    """An unsigned LEB128 number and where it ends; 0 where there is none."""
    value = 0
    for n, byte in enumerate(body[start : start + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, start + n + 1
    return 0, start


def _walk(root: object, blocks: _Blocks) -> tuple[list[tuple[str, object]], bool]:
    """The keys of a Merkle search tree with the names of their records, sorted, and whether all are there.

    An entry's key shares its first `p` bytes with the key before it; `l` and `t` are the trees around it.
    """
    found: dict[str, object] = {}
    whole, waiting = True, [root]
    seen: set[bytes] = set()
    while waiting:
        cid = waiting.pop()
        node = blocks.get(cid)
        entries = node.get("e") if node else None
        if node is None or not isinstance(cid, bytes) or not isinstance(entries, list):
            whole = False
            continue
        if cid in seen:
            continue
        seen.add(cid)
        waiting += [t for t in (node.get("l"), *(e.get("t") for e in entries if isinstance(e, dict))) if t]
        key = b""
        for entry in entries:
            shared, rest = (entry.get("p"), entry.get("k")) if isinstance(entry, dict) else (None, None)
            if not isinstance(shared, int) or not isinstance(rest, bytes) or not 0 <= shared <= len(key):
                whole = False
                break
            key = key[:shared] + rest
            found[key.decode("ascii", "replace")] = entry.get("v")
    return sorted(found.items()), whole


def _sort(key: str, record: dict[str, Any] | None, did: str) -> Short | Rejected:
    """A post of the account, or why a record is none; `key` is its collection and its name within it."""
    where = f"at://{did}/{key}"
    if key.startswith(f"{_REPOST}/"):
        return Rejected(where, "repost")
    if record is None or record.get("$type") != _POST or not isinstance(record.get("text"), str):
        return Rejected(where, BROKEN)
    answered = record.get("reply")
    root, parent = (_uri(answered, end) for end in ("root", "parent"))
    own = f"at://{did}/"
    to_others = answered is not None and not (root.startswith(own) and parent.startswith(own))
    created = record.get("createdAt")
    return Short(
        key=key,
        parent=parent.removeprefix(own) if parent.startswith(own) else "",
        rank=key,  # names of records are timestamps that sort as text
        address=f"https://bsky.app/profile/{did}/post/{key.rpartition('/')[2]}",
        published_at=dates.iso(created) if isinstance(created, str) else None,
        kind="reply" if to_others else "note",
        words=partial(_words, record),
        tags=tuple(t for t in _listed(record.get("tags")) if isinstance(t, str)),
    )


def _uri(answered: object, end: str) -> str:
    """The address of the post that a reply's thread begins with ("root") or that it answers ("parent")."""
    reference = answered.get(end) if isinstance(answered, dict) else None
    uri = reference.get("uri") if isinstance(reference, dict) else None
    return uri if isinstance(uri, str) else ""


def _words(record: dict[str, Any]) -> str:
    """The text as its readers see it; "" where it is nothing but addresses and hashtags."""
    text = record["text"].encode()
    for facet in _listed(record.get("facets")):
        span = facet.get("index") if isinstance(facet, dict) else None
        start, end = (span.get("byteStart"), span.get("byteEnd")) if isinstance(span, dict) else (None, None)
        kinds = (
            [f.get("$type") for f in _listed(facet.get("features")) if isinstance(f, dict)] if span else []
        )
        if (
            _LINK in kinds
            and isinstance(start, int)
            and isinstance(end, int)
            and 0 <= start <= end <= len(text)
        ):
            text = text[:start] + b" " * (end - start) + text[end:]
    return to_markdown(record["text"]) if without_labels(text.decode("utf-8", "replace")) else ""


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
