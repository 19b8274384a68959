"""What a run leaves in the library, whatever its source holds."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_twin.collect import item, run
from llm_twin.collect.item import Rejected, Withdrawn
from llm_twin.collect.library import Library
from llm_twin.collect.report import Tally
from llm_twin.config import Collect
from llm_twin.contracts.ports import Silent
from llm_twin.errors import NothingFound
from tests.collect.test_forgotten import thread

Shown = list[tuple[str, str]]  # addresses and their texts
SHOWN = st.builds(
    lambda addresses, texts: list(zip(addresses, texts, strict=False)),
    st.permutations("abcd"),
    st.lists(st.sampled_from("TUVW"), min_size=1, max_size=4),
)


def collect(library: Library, shown: Shown) -> Tally:
    tally = Tally(library, dry_run=False)
    missing = library.ids("notes")
    for address, text in shown:
        post = item.post(f"file:{address}", "Title", text, None)
        tally.add(post, "notes")
        missing.discard(library.stored(post) or "")
    for identity in missing:
        tally.gone(identity, for_good=True)
    return tally


@settings(max_examples=60, deadline=None)
@given(st.lists(SHOWN, min_size=1, max_size=4))
@example([[("d", "W"), ("b", "U"), ("c", "W")], [("a", "W"), ("c", "U"), ("d", "V"), ("b", "T")]])
def test_each_text_that_a_source_shows_stands_and_nothing_else(runs: Sequence[Shown]) -> None:
    with tempfile.TemporaryDirectory() as folder, Library(Path(folder) / "library.db") as library:
        for shown in runs:
            collect(library, shown)
            assert {post.markdown for post in library.posts()} == {text for _, text in shown}
            assert collect(library, shown).changes == Counter(unchanged=len(shown))


WXR = (
    '<rss xmlns:wp="http://wordpress.org/export/1.2/" xmlns:content="x"><channel>'
    "<link>https://ann.example</link>{items}</channel></rss>"
)
WXR_ITEM = (
    "<item><title>{n}</title><link>https://ann.example/{at}</link><wp:post_id>1</wp:post_id>"
    "<wp:post_type>post</wp:post_type><wp:status>{status}</wp:status>"
    "<content:encoded>On {n}.</content:encoded></item>"
)


def wordpress(status: str, at: str = "tea/") -> dict[str, str]:
    rain = WXR_ITEM.format(n="rain", at="rain/", status="publish")
    return {"blog.xml": WXR.format(items=WXR_ITEM.format(n="tea", at=at, status=status) + rain)}


def linkedin(visibility: str, link: str = "https://www.linkedin.com/feed/update/{n}") -> dict[str, str]:
    rows = [("1", "On tea.", visibility), ("2", "On rain.", "MEMBER_NETWORK")]
    lines = [f"2024-01-0{n} 03:04:05,{link.format(n=n)},{text},{seen}\n" for n, text, seen in rows]
    return {"Shares.csv": "Date,ShareLink,ShareCommentary,Visibility\n" + "".join(lines)}


def ghost(status: str) -> dict[str, str]:
    rows = [{"slug": n, "html": f"<p>On {n}.</p>", "status": "published"} for n in ("tea", "rain")]
    return {"blog.json": json.dumps({"data": {"posts": [rows[0] | {"status": status}, rows[1]]}})}


def substack(published: str) -> dict[str, str]:
    rows = f"1.tea,2022-01-02T03:04:05Z,{published},Tea\n2.rain,2022-01-02T03:04:05Z,true,Rain\n"
    bodies = {f"posts/{i}.html": f"<p>On {i[2:]}.</p>" for i in ("1.tea", "2.rain")}
    return {"posts.csv": f"post_id,post_date,is_published,title\n{rows}", **bodies}


def markdown(said: str) -> dict[str, str]:
    url = "url: https://ann.example/tea/\n"
    return {"tea.md": f"---\n{url}{said}\n---\nOn tea.", "rain.md": "On rain."}


@pytest.mark.parametrize(
    ("public", "withdrawn"),
    [
        *((wordpress("publish"), wordpress(status)) for status in ("private", "trash", "draft", "future")),
        *((wordpress("publish"), wordpress(status, "?p=1")) for status in ("trash", "draft")),
        (linkedin("MEMBER_NETWORK"), linkedin("CONNECTIONS")),
        (linkedin("MEMBER_NETWORK", ""), linkedin("CONNECTIONS", "")),
        (ghost("published"), ghost("draft")),
        (substack("true"), substack("false")),
        *((markdown(""), markdown(said)) for said in ("draft: true", "private: true")),
    ],
)
def test_what_its_author_took_back_is_removed(
    tmp_path: Path, public: dict[str, str], withdrawn: dict[str, str]
) -> None:
    paths = [tmp_path / "old" / "blog.zip", tmp_path / "new" / "blog.zip"]
    for path, files in zip(paths, (public, withdrawn), strict=True):
        path.parent.mkdir()
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
    old, new = map(str, paths)
    with Library(tmp_path / "library.db") as library:
        run([old], Collect(), library, Silent())
        assert sorted(p.markdown for p in library.posts()) == ["On rain.", "On tea."]
        dry = run([new], Collect(), library, Silent(), dry_run=True)
        report = run([new], Collect(), library, Silent())
        assert dry.posts_removed == report.posts_removed == 1
        assert {type(r) for r in report.refusals} == {Rejected}, "no trace of a private text"
        assert [p.markdown for p in library.posts()] == ["On rain."]
        assert run([new], Collect(), library, Silent()).posts_removed == 0
        assert run([old], Collect(), library, Silent()).posts == 2, "it may be public again"


def test_an_export_with_nothing_but_what_was_taken_back_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "tea.md").write_text("On tea.")
    with Library(tmp_path / "library.db") as library:
        run([str(tmp_path / "tea.md")], Collect(), library, Silent())
        (tmp_path / "tea.md").write_text("---\ndraft: true\n---\nOn tea.")
        report = run([str(tmp_path / "tea.md")], Collect(), library, Silent())
        assert (report.posts_removed, library.posts()) == (1, [])
        with pytest.raises(NothingFound):
            run([str(tmp_path / "tea.md")], Collect(), library, Silent())


def test_what_is_public_elsewhere_stays_whatever_a_draft_says(tmp_path: Path) -> None:
    here, there = "https://ann.example/tea/", "https://copy.example/tea/"
    draft = [Rejected(here, "draft")]
    with Library(tmp_path / "library.db") as library:
        tally = Tally(library, dry_run=False)
        tally.add(item.post(here, "Tea", "On tea."), "site")
        assert tally.withdrawn(draft) == set(), "this run has found it"
        assert Tally(library, dry_run=False).withdrawn(draft) == {item.id_at(here)}
        assert Tally(library, dry_run=False).withdrawn([Rejected(here, "no text")]) == set()
        copy = Withdrawn("https://copy.example/?p=1", "draft", item.post(here, "Tea", "On tea.").revision)
        assert Tally(library, dry_run=False).withdrawn([copy]) == set(), "it is a draft of another site"
        tally.add(item.post(there, "Tea", "On tea."), "copy")
        assert Tally(library, dry_run=False).withdrawn(draft) == set(), "it was last found at the other"


def tweets(name: str) -> dict[str, str]:
    account = [{"account": {"accountId": "7", "username": "ann", "accountDisplayName": name}}]
    tweet = [
        {"tweet": {"id_str": "1", "full_text": "On tea.", "created_at": "Mon Mar 01 17:00:00 +0000 2021"}}
    ]
    return {
        "data/account.js": f"window.YTD.account.part0 = {json.dumps(account)}",
        "data/tweets.js": f"window.YTD.tweets.part0 = {json.dumps(tweet)}",
    }


def toots(name: str) -> dict[str, str]:
    me, all_ = "https://social.example/users/ann", "https://www.w3.org/ns/activitystreams#Public"
    note = {"id": f"{me}/1", "type": "Note", "content": "<p>On tea.</p>", "attributedTo": me, "to": [all_]}
    activity = {"type": "Create", "actor": me, "object": note, "to": [all_]}
    outbox = {"id": "outbox.json", "type": "OrderedCollection", "orderedItems": [activity]}
    return {"actor.json": json.dumps({"id": me, "name": name}), "outbox.json": json.dumps(outbox)}


@pytest.mark.parametrize(
    "files",
    [
        tweets("Ann Lee \N{SEEDLING}"),
        toots("Ann :verified: (she/her)"),
        {**linkedin("PUBLIC"), "Profile.csv": "First Name,Last Name\nAnn,Lee \N{SEEDLING}\n"},
    ],
)
def test_whatever_an_account_calls_itself_its_posts_are_the_author_s(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name, content in files.items():
        path = tmp_path / "export" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    with Library(tmp_path / "library.db") as library:
        run([str(tmp_path / "export")], Collect(), library, Silent())
        report = run([str(tmp_path / "export")], Collect(author="Ann Lee"), library, Silent())
        assert (report.posts_unchanged, report.posts_removed) == (len(report.taken), 0)
        assert "by another author" not in report.refused


def test_whose_letters_of_a_mailbox_were_taken_is_told(tmp_path: Path) -> None:
    said: list[str] = []

    class Hearing(Silent):
        def say(self, line: str) -> None:
            said.append(line)

    letter = "From: {0} <{0}@a.example>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nList-Id: <x>\n\nOn {0}.\n"
    for name in ("Shop", "Ann"):
        (tmp_path / f"{name}.eml").write_text(letter.format(name))
    with Library(tmp_path / "library.db") as library:
        run([str(tmp_path)], Collect(), library, Hearing())
        assert [line.endswith("Take one: --author NAME") for line in said] == [True]
        run([str(tmp_path)], Collect(author="Shop"), library, Hearing())
        assert len(said) == 1
        assert "On Shop." in [p.markdown for p in library.posts()]


def folder(top: Path, **texts: str) -> str:
    """A folder "blog" with files of these names, written anew."""
    blog = top / "blog"
    shutil.rmtree(blog, ignore_errors=True)
    (blog / "posts").mkdir(parents=True)
    for name, text in texts.items():
        (blog / "posts" / f"{name}.md").write_text(text)
    return str(blog)


def test_two_folders_of_one_name_keep_their_posts_apart(tmp_path: Path) -> None:
    def collected(*sources: str) -> list[tuple[int, ...]]:
        reports = [run([source], Collect(), library, Silent()) for source in sources]
        return [(r.posts_new, r.posts_changed, r.posts_unchanged, r.posts_removed) for r in reports]

    def standing() -> list[str]:
        return sorted(p.markdown for p in library.posts())

    one = folder(tmp_path / "a", hello="Hello from a.", both="The same.")
    other = folder(tmp_path / "b", hello="Hello from b.", both="The same.")
    with Library(tmp_path / "library.db") as library:
        assert collected(one, other) == [(2, 0, 0, 0), (1, 0, 1, 0)]
        assert collected(one, other) == [(0, 0, 2, 0)] * 2
        assert standing() == ["Hello from a.", "Hello from b.", "The same."]
        first = library.get("file:blog/posts/hello.md")
        assert first.markdown == "Hello from a."
        folder(tmp_path / "a", hello="Hello again from a.", both="No more.")
        assert collected(one, other) == [(1, 1, 0, 0), (0, 0, 2, 0)]
        assert standing() == ["Hello again from a.", "Hello from b.", "No more.", "The same."]
        folder(tmp_path / "b", hello="---\ndraft: true\n---\nHello from b.", both="The same.")
        assert collected(other) == [(0, 0, 1, 1)]
        assert library.standing(first.id), "a draft of the other folder takes back its own post alone"
        shutil.rmtree(one)
        folder(tmp_path / "c", hello="Hello, moved and edited.")
        assert collected(str(tmp_path / "c" / "blog")) == [(0, 1, 0, 0)], "it moved, and is the same"
        assert library.get(first.id).markdown == "Hello, moved and edited."


@pytest.mark.parametrize("name", ["tea", "my tea", "thé", "50% & more"])
@pytest.mark.parametrize(
    ("suffix", "form"),
    [
        (".md", "{}"),
        (".html", "<article class=h-entry><h1>Tea</h1><time datetime='2020-01-01'></time><p>{}</article>"),
    ],
)
def test_files_of_one_name_in_two_folders_of_one_name_are_two_posts(
    tmp_path: Path, name: str, suffix: str, form: str
) -> None:
    texts = {top: f"It's about the tea of {top}, and I'd say so twice." for top in ("here", "there")}
    for top, text in texts.items():
        (tmp_path / top / "blog").mkdir(parents=True)
        (tmp_path / top / "blog" / f"{name}{suffix}").write_text(form.format(text), encoding="utf-8")
    with Library(tmp_path / "library.db") as library:
        for changes in ((1, 0), (0, 1)):
            for top in texts:
                report = run([str(tmp_path / top / "blog")], Collect(), library, Silent())
                assert (report.posts_new, report.posts_unchanged, report.posts_removed) == (*changes, 0)
        assert sorted(p.markdown for p in library.posts()) == sorted(texts.values())


@pytest.mark.parametrize("dry", [True, False])
def test_a_forgotten_thread_is_known_whole_once_it_was_met(tmp_path: Path, dry: bool) -> None:
    whole, rest = thread(1, 2, 3), thread(2, 3)
    with Library(tmp_path / "library.db") as library:
        library.upsert(thread(1))
        library.forget(whole.id)
        library.erase()
        tally = Tally(library, dry)
        tally.add(whole, "twitter:7")
        assert [(r.where, r.reason) for r in tally.refusals] == [(whole.url, "forgotten")]
        assert library.compare(rest) == ("new" if dry else "forgotten")


def x_archive(path: Path, *days: int) -> str:
    """An archive of X with a tweet for each of these days of a month."""
    tweets = [
        {"id_str": f"{n}", "full_text": f"On day {n}.", "created_at": f"Mon Mar {n:02} 10:00:00 +0000 2021"}
        for n in days
    ]
    files = {"tweets": [{"tweet": t} for t in tweets], "account": [{"account": {"accountId": "7"}}]}
    with zipfile.ZipFile(path, "w") as packed:
        for name, records in files.items():
            packed.writestr(f"data/{name}.js", f"window.YTD.{name}.part0 = {json.dumps(records)}")
    return str(path)


@pytest.mark.parametrize("dry", [True, False])
def test_an_older_archive_removes_nothing_that_a_newer_one_has_just_given(tmp_path: Path, dry: bool) -> None:
    new, old = x_archive(tmp_path / "new.zip", 1, 8, 15), x_archive(tmp_path / "old.zip", 1, 8)
    with Library(tmp_path / "library.db") as library:
        run([new], Collect(), library, Silent())
        report = run([new, old], Collect(), library, Silent(), dry_run=dry)
        assert (report.posts_unchanged, report.posts_removed, len(library.posts())) == (5, 0, 3)


def test_what_a_newer_archive_lacks_is_removed_though_an_older_one_has_just_given_it(tmp_path: Path) -> None:
    old, new = x_archive(tmp_path / "old.zip", 1, 8), x_archive(tmp_path / "new.zip", 1, 15)
    with Library(tmp_path / "library.db") as library:
        assert run([old, new], Collect(), library, Silent()).posts_removed == 1
        assert [p.markdown for p in library.posts()] == ["On day 1.", "On day 15."]
