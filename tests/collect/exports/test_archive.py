"""Archives are read in place, within bounds, and what is wrong in them is counted."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from llm_twin.collect.exports import archive as module
from llm_twin.collect.exports.archive import Archive, Unreadable
from llm_twin.errors import CollectError

FILES = {"a.md": b"one", "deep/b.md": b"two", "deep/er/c.json": b"\xef\xbb\xbf{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "export"
    for name, body in FILES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(body)
    return top


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, body in FILES.items():
            target.writestr(name, body)
    return path


def test_a_folder_and_a_zip_file_of_it_read_alike(folder: Path, zipped: Path) -> None:
    with Archive(folder) as one, Archive(zipped) as other:
        assert one.names == other.names == tuple(sorted(FILES))
        assert one.label == other.label == "export"
        assert [one.read(n) for n in one.names] == [other.read(n) for n in other.names]
        assert one.text("deep/er/c.json") == other.text("deep/er/c.json") == "{}"
        assert one.find("b.md") == other.find("deep/*.md") == ["deep/b.md"]


def test_the_folder_that_a_zip_file_holds_is_its_top(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "export (3).zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in FILES:
            target.write(folder / name, f"export/{name}")
    with Archive(folder) as one, Archive(path) as other:
        assert one.names == other.names
        assert one.label == other.label == "export"
        assert other.read("deep/b.md") == b"two"


def test_a_single_file_is_an_archive_of_one(folder: Path) -> None:
    with Archive(folder / "a.md") as alone:
        assert (alone.names, alone.label, alone.read("a.md")) == (("a.md",), "export", b"one")


def test_hidden_folders_and_what_is_no_content_are_not_listed(folder: Path) -> None:
    for name in (".git/x.md", "node_modules/y.md", ".hidden.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no")
    with Archive(folder) as archive:
        assert archive.names == tuple(sorted(FILES))


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "secret")
    (folder / "inner.md").symlink_to(folder / "a.md")
    with Archive(folder) as archive:
        assert "link.md" not in archive.names
        assert "inner.md" in archive.names
        assert [(r.where, r.reason) for r in archive.rejected] == [("link.md", "link out of the folder")]


def test_names_that_reach_out_of_a_zip_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "slip.zip"
    link = zipfile.ZipInfo("link.md")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as target:
        for name in ("../up.md", "/etc/passwd", "a/../../b.md", "..\\win.md", "C:/x.md", "good.md"):
            target.writestr(name, "text")
        target.writestr(link, "/etc/passwd")
    with Archive(path) as archive:
        assert archive.names == ("good.md",)
        assert (
            sorted(r.reason for r in archive.rejected)
            == ["link in a zip file"] + ["path out of the archive"] * 5
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["slip.zip"]


def test_a_zip_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("bomb.json", b"0" * 30_000_000)
        target.writestr("good.md", "text")
    with Archive(path) as archive:
        assert archive.names == ("good.md",)
        assert [r.reason for r in archive.rejected] == ["zip bomb"]


def test_what_a_zip_file_says_of_its_sizes_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "liar.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("big.md", b"0123456789" * 100_000)
    real, said = (1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(real, said))
    with Archive(path) as archive, pytest.raises(Unreadable):
        archive.read("big.md", limit=1000)


def test_reading_stops_at_the_bounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(folder) as archive:
        assert archive.read("a.md", limit=3) == b"one"
        with pytest.raises(Unreadable, match="too large"):
            archive.read("a.md", limit=2)
        monkeypatch.setattr(module, "_MAX_TOTAL_BYTES", 5)
        with pytest.raises(Unreadable, match="archive too large"):
            archive.read("deep/b.md")
    monkeypatch.setattr(module, "_MAX_FILES", 2)
    with pytest.raises(CollectError, match="has 3 files"):
        Archive(folder)


def test_broken_archives_are_one_clear_error_or_a_counted_refusal(tmp_path: Path, zipped: Path) -> None:
    body = bytearray(zipped.read_bytes())
    at = body.index(b"a.md") + len(b"a.md")
    body[at] ^= 0xFF  # the first byte of what is packed
    (tmp_path / "torn.zip").write_bytes(bytes(body))
    with Archive(tmp_path / "torn.zip") as archive, pytest.raises(Unreadable, match="cannot be read"):
        archive.read("a.md")
    locked = zipped.read_bytes().replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    (tmp_path / "locked.zip").write_bytes(locked)
    with Archive(tmp_path / "locked.zip") as archive:
        assert {r.reason for r in archive.rejected} == {"encrypted"}
    (tmp_path / "latin.md").write_bytes("naïve".encode("latin-1"))
    with Archive(tmp_path / "latin.md") as archive, pytest.raises(Unreadable, match="not UTF-8"):
        archive.text("latin.md")


def test_a_zip_file_that_is_cut_off_is_said_to_be_incomplete(zipped: Path) -> None:
    zipped.write_bytes(zipped.read_bytes()[:-30])
    with pytest.raises(CollectError, match="damaged or incomplete zip file"):
        Archive(zipped)


def test_the_first_bytes_of_a_file_are_read_whatever_its_size(folder: Path, zipped: Path) -> None:
    for path in (folder, zipped):
        with Archive(path) as archive:
            assert [archive.head("a.md", n) for n in (0, 2, 3, 9)] == [b"", b"on", b"one", b"one"]
            assert archive.read("a.md", 3) == b"one"
            with pytest.raises(Unreadable, match="too large"):
                archive.read("a.md", 2)
