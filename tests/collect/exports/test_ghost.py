from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from llm_twin.collect.exports import ghost
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

WORDS = {"type": "extended-text", "text": "It's lexical.", "format": 0}
LEXICAL = {"root": {"type": "root", "children": [{"type": "paragraph", "children": [WORDS]}]}}
MOBILEDOC = {"version": "0.3.1", "markups": [], "atoms": [], "cards": [], "sections": [
    [1, "p", [[0, [], 0, "It's mobiledoc."]]]]}  # fmt: skip


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"5ddc{number}",
        "uuid": f"uuid-{number}",
        "title": f"Post {number}",
        "slug": f"post-{number}",
        "mobiledoc": None,
        "lexical": None,
        "html": f"<p>It’s post <em>{number}</em>.</p>",
        "plaintext": "not read",
        "type": "post",
        "status": "published",
        "visibility": "public",
        "published_at": "2023-04-05T06:07:08.000Z",
        "canonical_url": None,
        **changes,
    }


def tables(*posts: Any, **more: Any) -> dict[str, Any]:
    return {
        "posts": list(posts),
        "tags": [
            {"id": "t1", "name": "Tea", "visibility": "public"},
            {"id": "t2", "name": "#internal", "visibility": "internal"},
            {"id": "t3", "name": "Bees", "visibility": "public"},
        ],
        "posts_tags": [
            {"post_id": "5ddc1", "tag_id": "t1", "sort_order": 1},
            {"post_id": "5ddc1", "tag_id": "t2", "sort_order": 2},
            {"post_id": "5ddc1", "tag_id": "t3", "sort_order": 0},
        ],
        "users": [
            {"id": "u1", "name": "Ann Author", "email": "ann@blog.example"},
            {"id": "u2", "name": "Bob"},
        ],
        "posts_authors": [
            {"post_id": "5ddc1", "author_id": "u2", "sort_order": 1},
            {"post_id": "5ddc1", "author_id": "u1", "sort_order": 0},
        ],
        "members": [{"email": "reader@mail.example"}],
        "settings": [{"key": "title", "value": "Blog"}],
        **more,
    }


def write(path: Path, data: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"db": [{"meta": {"exported_on": 1, "version": "5.80.0"}, "data": data}]}))
    return path


def read(path: Path) -> tuple[Export, list[Item]]:
    with Archive(path) as archive:
        export = ghost.read(archive)
        assert export
        return export, list(export.items)


def reasons(items: list[Item]) -> list[str]:
    return [i.reason if isinstance(i, Rejected) else i.markdown for i in items]


def test_a_post_with_its_authors_and_tags(tmp_path: Path) -> None:
    path = write(tmp_path / "blog.ghost.json", tables(row(1), row(2, author_id="u2")))
    export, (first, second) = read(path)
    assert (export.source, export.complete) == ("ghost:Blog", True)
    assert isinstance(first, Post)
    assert isinstance(second, Post)
    assert (first.title, first.markdown, first.url) == ("Post 1", "It’s post *1*.", "ghost:post-1")
    assert (first.author, first.tags) == ("Ann Author, Bob", ("Bees", "Tea"))
    assert first.published_at == "2023-04-05T06:07:08+00:00"
    assert (second.author, second.tags) == ("Bob", ())


def test_the_body_comes_from_html_then_lexical_then_mobiledoc(tmp_path: Path) -> None:
    posts = (
        row(1, lexical=json.dumps(LEXICAL)),
        row(2, html=None, lexical=json.dumps(LEXICAL), mobiledoc=json.dumps(MOBILEDOC)),
        row(3, html="", mobiledoc=json.dumps(MOBILEDOC)),
        row(4, html=None),
        row(5, html=None, lexical="{"),
    )
    assert reasons(read(write(tmp_path / "x.json", tables(*posts)))[1]) == [
        "It’s post *1*.", "It's lexical.", "It's mobiledoc.", "no text", "broken record",
    ]  # fmt: skip


def test_what_was_published_to_some_readers_is_taken_and_the_rest_is_counted(tmp_path: Path) -> None:
    posts = [row(n, visibility=v, html="<p>Text.</p>") for n, v in enumerate(("members", "paid", "tiers"))]
    posts += [row(5, status=s) for s in ("draft", "scheduled", "sent", None)]
    posts += [row(6, type="page"), row(7, page=1)]
    found = reasons(read(write(tmp_path / "x.json", tables(*posts)))[1])
    assert found == ["Text."] * 3 + ["draft", "scheduled", "only mailed", "draft", "page", "page"]


def test_addresses(tmp_path: Path) -> None:
    data = tables(row(1, canonical_url="https://else.example/tea/"), row(2, slug="té"))
    data["settings"].append({"key": "url", "value": "https://blog.example"})
    export, items = read(write(tmp_path / "x.json", data))
    assert export.source == "ghost:https://blog.example/"
    assert [i.url for i in items if isinstance(i, Post)] == [
        "https://else.example/tea/",
        "https://blog.example/t%C3%A9/",
    ]


def test_old_exports_have_no_outer_list_and_dates_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(
        json.dumps(
            {"meta": {}, "data": tables(row(1, published_at=1388318240000), row(2, published_at=10**30))}
        )
    )
    assert [i.published_at for i in read(path)[1] if isinstance(i, Post)] == [
        "2013-12-29T11:57:20+00:00",
        None,
    ]


def test_a_zip_is_the_same_as_its_folder_and_its_file(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    path = write(tmp_path / "a" / "b" / "blog.json", tables(row(1), row(2)))
    with zipfile.ZipFile(tmp_path / "blog.zip", "w") as packed:
        packed.write(path, "data/blog.json")
    renamed = write(tmp_path / "renamed.txt", tables(row(1), row(2)))
    assert read(tmp_path / "a")[1] == read(tmp_path / "blog.zip")[1] == read(path)[1] == read(renamed)[1]


def test_broken_rows_cost_only_themselves(tmp_path: Path) -> None:
    data = tables(
        row(1), 7, None, row(2, title=None, html=5, lexical=[1], slug=None), row(3, html="<p>Fine.</p>")
    )
    data["posts_tags"] = [None, {"post_id": "5ddc1", "tag_id": ["t1"], "sort_order": "x"}, 3]
    data["users"] = "none"
    assert reasons(read(write(tmp_path / "x.json", data))[1]) == ["It’s post *1*.", "no text", "Fine."]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"posts": []}',
        '{"db": [], "x": "posts"}',
        '{"data": {"posts": [{"id": 1}]}}',
        '{"data": {"posts": [{"slug": "x"}]}}',
        '{"posts"' + "[" * 100_000,
    ],
)
def test_other_json_is_no_export(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with Archive(tmp_path / "x.json") as archive:
        assert ghost.read(archive) is None
