from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from libipld import decode_dag_cbor, encode_dag_cbor

from llm_twin.collect.exports import bluesky
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

DID = "did:plc:ann"
POSTS = "app.bsky.feed.post"


def record(text: Any = "Hello.", **changes: Any) -> dict[str, Any]:
    return {"$type": POSTS, "text": text, "createdAt": "2024-01-02T03:04:05.678Z", "langs": ["en"], **changes}


def answering(parent: str, root: str | None = None, text: str = "Yes.") -> dict[str, Any]:
    ends = {"root": root or parent, "parent": parent}
    return record(text, reply={end: {"uri": f"at://{uri}", "cid": "bafy"} for end, uri in ends.items()})


def mine(name: str) -> str:
    return f"{DID}/{POSTS}/{name}"


class Repository:
    """Writes the blocks of a repository as a server does, but unsigned."""

    def __init__(self) -> None:
        self.blocks: dict[bytes, bytes] = {}

    def add(self, value: Any) -> bytes:
        data = value if isinstance(value, bytes) else encode_dag_cbor(value)
        cid = b"\x01\x71\x12\x20" + hashlib.sha256(data).digest()
        self.blocks[cid] = data
        return cid

    def tree(self, records: list[tuple[str, Any]], width: int = 3) -> bytes:
        """A search tree: every `width`-th entry stays in the node, those between go into trees below it."""
        groups = [records[n : n + width] for n in range(0, len(records), width)]
        below = [self.tree(group[:-1], width) if group[:-1] else None for group in groups]
        entries, last = [], ""
        for n, (key, value) in enumerate(group[-1] for group in groups):
            alike = [a == b for a, b in zip(last, key, strict=False)]
            shared = [*alike, False].index(False)
            after = below[n + 1] if n + 1 < len(groups) else None
            entries.append({"p": shared, "k": key[shared:].encode(), "v": self.add(value), "t": after})
            last = key
        return self.add({"l": below[0], "e": entries} if below else {"l": None, "e": []})

    def car(self, root: bytes) -> bytes:
        header = encode_dag_cbor({"roots": [root], "version": 1})
        blocks = [(root, self.blocks[root])] if root in self.blocks else []
        blocks += [(cid, data) for cid, data in reversed(self.blocks.items()) if cid != root]
        frames = [cid + data for cid, data in blocks]
        return b"".join(varint(len(part)) + part for part in (header, *frames))


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def car(records: dict[str, Any], did: Any = DID, orphans: tuple[Any, ...] = ()) -> bytes:
    repository = Repository()
    tree = repository.tree(sorted((k if "/" in k else f"{POSTS}/{k}", v) for k, v in records.items()))
    root = repository.add(
        {"did": did, "version": 3, "data": tree, "rev": "3k", "prev": None, "sig": b"x" * 64}
    )
    for orphan in orphans:
        repository.add(orphan)
    return repository.car(root)


def opened(path: Path) -> tuple[Export | None, list[Item]]:
    with Archive(path) as archive:
        export = bluesky.read(archive)
        return export, list(export.items) if export else []


def read(tmp_path: Path, body: bytes) -> tuple[Export | None, list[Item]]:
    path = tmp_path / "repo.car"
    path.write_bytes(body)
    return opened(path)


def posts(items: list[Item]) -> dict[str, str]:
    return {p.url.rpartition("/")[2]: p.markdown for p in items if isinstance(p, Post)}


def reasons(items: list[Item]) -> list[str]:
    return [r.reason for r in items if isinstance(r, Rejected)]


def test_every_post_of_a_deep_tree_is_found_with_its_address(tmp_path: Path) -> None:
    names = [f"3k{n:04}" for n in range(200)]
    export, items = read(tmp_path, car({name: record(f"Post {name}.") for name in names}))
    assert export is not None
    assert (export.source, export.complete) == (f"bluesky:{DID}", True)
    assert posts(items) == {name: f"Post {name}." for name in names}
    first = items[0]
    assert isinstance(first, Post)
    assert (first.url, first.title, first.kind, first.published_at) == (
        f"https://bsky.app/profile/{DID}/post/3k0000",
        "",
        "note",
        "2024-01-02T03:04:05.678000+00:00",
    )


def test_own_threads_are_joined_and_answers_to_others_are_apart(tmp_path: Path) -> None:
    theirs = f"did:plc:bob/{POSTS}/3kz"
    records = {
        "3k1": record("One."),
        "3k2": answering(mine("3k1"), text="Two."),
        "3k3": answering(mine("3k2"), mine("3k1"), "Three."),
        "3k4": answering(theirs, text="Yes."),
        "3k5": answering(mine("3k4"), theirs, "And more."),
        "3k6": answering(f"did:plc:bob/{POSTS}/3ky", mine("3k1"), "To an answer below my own post."),
        "3k7": answering(mine("3k0"), text="Goes on from one that was deleted."),
        "3k8": record("Answers something odd.", reply={"root": 3}),
        "3k9": answering(mine("3k0"), theirs, "Goes on from an answer that was deleted."),
    }
    _, items = read(tmp_path, car(records))
    assert posts(items) == {
        "3k1": "One.\n\nTwo.\n\nThree.",
        "3k4": "Yes.\n\nAnd more.",
        "3k6": "To an answer below my own post.",
        "3k7": "Goes on from one that was deleted.",
        "3k8": "Answers something odd.",
        "3k9": "Goes on from an answer that was deleted.",
    }
    kinds = {p.url.rpartition("/")[2]: p.kind for p in items if isinstance(p, Post)}
    assert {name for name, kind in kinds.items() if kind == "note"} == {"3k1", "3k7"}
    assert {name for name, kind in kinds.items() if kind == "reply"} == {"3k4", "3k6", "3k8", "3k9"}


def test_only_posts_that_the_tree_reaches_are_taken(tmp_path: Path) -> None:
    subject = {"uri": f"at://did:plc:bob/{POSTS}/3k", "cid": "bafy"}
    records = {
        "3k1": record("Mine."),
        "app.bsky.feed.repost/3k1": {"$type": "app.bsky.feed.repost", "subject": subject},
        "app.bsky.feed.like/3k1": {"$type": "app.bsky.feed.like", "subject": subject},
        "app.bsky.graph.follow/3k1": record("No post, whatever it says."),
        "app.bsky.feed.postgate/3k1": record("Nor this."),
    }
    export, items = read(tmp_path, car(records, orphans=(record("Deleted."),)))
    assert posts(items) == {"3k1": "Mine."}
    assert reasons(items) == ["repost"]
    assert export is not None
    assert export.complete


def test_a_quote_post_gives_only_the_authors_own_words(tmp_path: Path) -> None:
    quoted = {"$type": "app.bsky.embed.record", "record": {"uri": "at://did:plc:bob/x/1", "text": "Theirs."}}
    assert posts(read(tmp_path, car({"3k1": record("So true.", embed=quoted)}))[1]) == {"3k1": "So true."}


def test_the_text_stays_as_its_readers_see_it(tmp_path: Path) -> None:
    text = "Thé — a.example/lon... says @bob.example\n\n#tea\nNow."
    start = len("Thé — ".encode())
    facet = {
        "index": {"byteStart": start, "byteEnd": start + len("a.example/lon...")},
        "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example/longer"}],
    }
    _, items = read(tmp_path, car({"3k1": record(text, facets=[facet], tags=["tea", 3])}))
    [post] = items
    assert isinstance(post, Post)
    assert (post.markdown, post.tags) == (
        "Thé — a.example/lon... says @bob.example\n\n#tea  \nNow.",
        ("tea",),
    )


def test_a_post_of_nothing_but_an_address_or_a_picture_is_none(tmp_path: Path) -> None:
    facet = {
        "index": {"byteStart": 0, "byteEnd": 13},
        "features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://a.example/b"}],
    }
    odd = [3, {"index": []}, {"index": {"byteStart": -1, "byteEnd": 2**63}, "features": facet["features"]}]
    records = {
        "3k1": record("a.example/b.. #tea", facets=[facet]),
        "3k2": record(""),
        "3k3": record("Words.", facets=odd),
        "3k4": record("Words.", facets={"a": 1}),
    }
    _, items = read(tmp_path, car(records))
    assert posts(items) == {"3k3": "Words.", "3k4": "Words."}
    assert reasons(items) == ["no text"] * 2


def test_a_zip_a_folder_and_a_renamed_file_give_the_same_posts(tmp_path: Path) -> None:
    body = car({"3k1": record("One."), "3k2": record("Two.")})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "repo.car").write_bytes(body)
    (folder / "blob.jpeg").write_bytes(b"\xff\xd8")
    renamed = tmp_path / "mine.bin"
    renamed.write_bytes(body)
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("bluesky/repo.car", body)
        file.writestr("bluesky/notes.txt", "mine")
    found = [opened(path)[1] for path in (folder, renamed, packed)]
    assert found[0] == found[1] == found[2] != []


def test_broken_records_are_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    records = {
        "3k1": record("Kept.", createdAt=3, reply=None, tags="x"),
        "3k2": record(3),
        "3k3": {"text": "No type."},
        "3k4": b"\xff\xff no record",
        "3k5": b"\x81" * 100_000,
        "3k6": [1],
        "3k7": encode_dag_cbor(record("Cut off."))[:-1],
    }
    export, items = read(tmp_path, car(records))
    assert posts(items) == {"3k1": "Kept."}
    assert reasons(items) == ["broken record"] * 6
    assert export is not None
    assert not export.complete


def test_a_block_that_is_not_what_its_name_says_is_not_taken(tmp_path: Path) -> None:
    body = car({"3k1": record("True words."), "3k2": record("Other.")})
    export, items = read(tmp_path, body.replace(b"True words.", b"Fake words."))
    assert posts(items) == {"3k2": "Other."}
    assert reasons(items) == ["broken record"]
    assert export is not None
    assert not export.complete


def test_part_of_a_repository_never_says_what_is_gone(tmp_path: Path) -> None:
    body = car({f"3k{n}": record(f"Post {n}.") for n in range(9)})
    whole = posts(read(tmp_path, body)[1])
    least = len(body) // 4  # header, commit and the top of the tree
    for cut in range(len(body) - 1, least, -31):
        export, items = read(tmp_path, body[:cut])
        assert export is not None
        assert not export.complete
        assert posts(items).items() <= whole.items()
        assert len(items) >= 9 or "part of the repository is missing" in reasons(items)


def test_a_file_that_ends_in_half_a_block_is_not_complete(tmp_path: Path) -> None:
    export, items = read(tmp_path, car({"3k1": record("Mine.")}) + varint(100) + b"\x01\x71\x12\x20")
    assert posts(items) == {"3k1": "Mine."}
    assert export is not None
    assert not export.complete


def test_a_tree_that_leads_back_to_itself_or_is_no_tree_ends(tmp_path: Path) -> None:
    repository = Repository()
    post = repository.add(record("Mine."))
    leaf = repository.add({"l": None, "e": [{"p": 0, "k": f"{POSTS}/3k1".encode(), "v": post, "t": None}]})
    odd = [
        {"p": 9, "k": b"x", "v": post, "t": None},
        {"p": 0, "k": "text", "v": post, "t": [1]},
        {"p": -1, "k": b"", "v": post, "t": leaf},
        7,
    ]
    nodes = [repository.add({"l": leaf, "e": [entry]}) for entry in odd]
    nodes += [repository.add({"l": leaf, "e": None}), repository.add([1])]
    top = repository.add(
        {"l": leaf, "e": [{"p": 0, "k": b"z", "v": post, "t": node} for node in [*nodes, leaf]]}
    )
    root = repository.add({"did": DID, "version": 3, "data": top, "rev": "3k", "prev": None, "sig": b""})
    export, items = read(tmp_path, repository.car(root))
    assert posts(items) == {"3k1": "Mine."}
    assert export is not None
    assert not export.complete


def test_a_tree_whose_nodes_share_what_is_below_them_is_walked_once(tmp_path: Path) -> None:
    repository = Repository()
    post = repository.add(record("Mine."))
    node = repository.add({"l": None, "e": [{"p": 0, "k": f"{POSTS}/3k1".encode(), "v": post, "t": None}]})
    for _ in range(60):
        node = repository.add({"l": node, "e": [{"p": 0, "k": b"z", "v": post, "t": node}]})
    root = repository.add({"did": DID, "version": 3, "data": node, "rev": "3k", "prev": None, "sig": b""})
    assert posts(read(tmp_path, repository.car(root))[1]) == {"3k1": "Mine."}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"\xff" * 40,
        b"\x80" * 9,
        b"not a car",
        varint(2**62) + b"\xa0",
        varint(1) + b"\xa0",
        varint(100_000) + b"\x81" * 100_000,
        Repository().car(b"\x01\x71\x12\x20" + b"x" * 32),
        car({"3k1": record()}, did=3),
        car({"3k1": record()}, did="plc:ann"),
    ],
)
def test_other_files_are_not_taken_for_a_repository(tmp_path: Path, body: bytes) -> None:
    assert read(tmp_path, body)[0] is None


def test_an_empty_repository_is_complete_and_has_no_posts(tmp_path: Path) -> None:
    export, items = read(tmp_path, car({}))
    assert export is not None
    assert (export.complete, items) == (True, [])


def test_other_archives_are_not_recognised(test_data: Path, tmp_path: Path) -> None:
    for other in ("exports/medium", "export-social-synthetic/mastodon", "export-social-synthetic/linkedin"):
        assert opened(test_data / other)[0] is None
    empty = tmp_path / "empty"
    empty.mkdir()
    assert opened(empty)[0] is None


def test_the_writer_of_these_tests_writes_what_the_format_says() -> None:
    # The example of the CAR specification: a length, then the header {"roots": [CID], "version": 1}.
    body = Repository().car(b"\x01\x71\x12\x20" + b"x" * 32)
    assert body[0] == len(body) - 1 == 58
    assert decode_dag_cbor(body[1:]) == {"roots": [b"\x01\x71\x12\x20" + b"x" * 32], "version": 1}
