"""What goes out comes in again as it was, and nothing else comes in."""

from __future__ import annotations

import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.contracts.manifests import MANIFEST, file_hash
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG, ModelVersion
from llm_twin.errors import IntegrityError, VersionNotFound, WorkspaceError
from llm_twin.registry import Registry, exchange
from tests.registry.made import lora, manifest


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    return Registry(tmp_path / "twin" / "models").register(lora(tmp_path / "made", 1.0), manifest())


@pytest.fixture(params=["v1", "v1.zip"])
def exported(request: pytest.FixtureRequest, tmp_path: Path, version: ModelVersion) -> Path:
    target = tmp_path / "out" / str(request.param)
    exchange.export(version, target)
    return target


def test_what_was_exported_is_imported_as_the_same_content(
    exported: Path, version: ModelVersion, tmp_path: Path
) -> None:
    other = Registry(tmp_path / "other" / "models")
    other.register(lora(tmp_path / "another", 2.0), manifest())
    with exchange.delivered(exported) as (folder, found):
        taken = other.register(folder, found)
    assert taken.name == "v2"
    assert taken.manifest.content_id == version.manifest.content_id
    assert other.get("candidate").manifest.files == version.manifest.files
    assert not list(exported.parent.glob(".building-*"))


def test_what_a_file_manager_left_stays_behind(version: ModelVersion, tmp_path: Path) -> None:
    (version.folder / ".DS_Store").write_bytes(b"view")
    (version.folder / "more").mkdir()
    for target in (tmp_path / "v1", tmp_path / "v1.zip"):
        exchange.export(version, target)
        with exchange.delivered(target) as (folder, found):
            assert {path.name for path in folder.iterdir()} == {MANIFEST, *found.files}


def test_a_target_that_exists_is_left_as_it_is(exported: Path, version: ModelVersion) -> None:
    before = exported.stat().st_mtime_ns
    with pytest.raises(WorkspaceError, match="exists already"):
        exchange.export(version, exported)
    assert exported.stat().st_mtime_ns == before


def test_equal_versions_make_equal_zips(version: ModelVersion, tmp_path: Path) -> None:
    targets = [tmp_path / "a.zip", tmp_path / "b" / "a.zip"]
    for target in targets:
        exchange.export(version, target)
    assert len({target.read_bytes() for target in targets}) == 1


def test_a_zip_made_by_hand_may_hold_the_folder(version: ModelVersion, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "hand.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("mine")
        for path in version.folder.iterdir():
            archive.write(path, f"mine/{path.name}")
    with exchange.delivered(tmp_path / "hand.zip") as (_, found):
        assert found == version.manifest


def test_nothing_at_a_path_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing at"), exchange.delivered(tmp_path / "none"):
        pass


Spoil = Callable[[Path], None]


def edited(name: str, **changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | changes))

    return spoil


def resealed(spoil: Spoil) -> Spoil:
    """As an attacker would: every hash of the manifest is made true again."""

    def and_seal(folder: Path) -> None:
        spoil(folder)
        found = manifest()
        hashes = {p.name: file_hash(p) for p in folder.iterdir() if p.name != MANIFEST and p.is_file()}
        sealed = found.model_copy(update={"files": hashes}).sealed()
        (folder / MANIFEST).write_text(sealed.model_dump_json())

    return and_seal


def pickled(folder: Path) -> None:
    (folder / ADAPTER).unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"weights": 1}))


def linked(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/hostname")


SPOILT: dict[str, tuple[Spoil, type[Exception], str]] = {
    "no manifest": (
        lambda folder: (folder / MANIFEST).unlink(),
        VersionNotFound,
        r"holds no manifest\.json: nothing says on which posts",
    ),
    "changed weights": (
        lambda folder: (folder / ADAPTER).write_bytes(b"other"),
        IntegrityError,
        r"adapter_model\.safetensors was changed",
    ),
    "a missing file": (
        lambda folder: (folder / "README.md").unlink(),
        IntegrityError,
        r"does not hold the files of its manifest: README\.md",
    ),
    "one file more": (
        lambda folder: (folder / "more.json").write_text("{}"),
        IntegrityError,
        r"does not hold the files of its manifest: more\.json",
    ),
    "a changed manifest": (edited(MANIFEST, posts=["p3"]), IntegrityError, "changed after it was sealed"),
    "a manifest without scores": (edited(MANIFEST, scores={}), IntegrityError, "cannot be read"),
    "scores that are none": (
        edited(MANIFEST, scores=manifest().scores | {"drafts": {"adapter": 3}}),
        IntegrityError,
        "cannot be read",
    ),
    "brackets within brackets": (
        resealed(lambda folder: (folder / ADAPTER_CONFIG).write_text("[" * 200_000)),
        IntegrityError,
        r"adapter_config\.json cannot be read",
    ),
    "no JSON": (
        lambda folder: (folder / MANIFEST).write_text("{"),
        IntegrityError,
        "cannot be read",
    ),
    "a pickle": (resealed(pickled), IntegrityError, r"'adapter_model\.bin'"),
    "a script": (
        resealed(lambda folder: (folder / "modeling.py").write_text("")),
        IntegrityError,
        r"'modeling\.py'",
    ),
    "a hidden file": (
        lambda folder: (folder / ".x.json").write_text("{}"),
        IntegrityError,
        r"'\.x\.json'",
    ),
    "a folder": (lambda folder: (folder / "more.json").mkdir(), IntegrityError, "no plain file"),
    "a link": (resealed(linked), IntegrityError, "no plain file"),
    "no adapter": (
        resealed(lambda folder: (folder / ADAPTER_CONFIG).unlink()),
        IntegrityError,
        r"does not hold .* adapter_config\.json",
    ),
    "weights that are none": (
        resealed(lambda folder: (folder / ADAPTER).write_bytes(b"\x80" * 40)),
        IntegrityError,
        "is no safetensors file",
    ),
    "another kind of adapter": (
        resealed(edited(ADAPTER_CONFIG, peft_type="IA3")),
        IntegrityError,
        "'IA3' adapter, not LoRA",
    ),
    "a module to import": (
        resealed(edited(ADAPTER_CONFIG, megatron_config={"a": 1}, megatron_core="os")),
        IntegrityError,
        "megatron_config, which names code to run",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_folder_is_refused_and_says_why(name: str, version: ModelVersion, tmp_path: Path) -> None:
    spoil, error, message = SPOILT[name]
    exchange.export(version, tmp_path / "v1")
    spoil(tmp_path / "v1")
    with pytest.raises(error, match=message), exchange.delivered(tmp_path / "v1"):
        pass


@pytest.mark.parametrize(
    "name", ["../v1.json", "/etc/v1.json", "a/b.json", "..\\v1.json", "C:v1.json", "a.json\n", ""]
)
def test_a_name_that_is_a_path_is_refused_and_nothing_is_written(
    name: str, version: ModelVersion, tmp_path: Path
) -> None:
    archive = tmp_path / "in" / "bad.zip"
    exchange.export(version, archive)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(zipfile.ZipInfo(name or "x"), "{}")
    if not name:
        archive.write_bytes(archive.read_bytes().replace(b"x{}", b"\0{}"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(IntegrityError), exchange.delivered(archive):
        pass
    assert sorted(tmp_path.rglob("*")) == before


def with_member(archive: Path, entry: zipfile.ZipInfo, data: bytes) -> Path:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return archive


def test_archives_that_are_none_link_or_swell_are_refused(version: ModelVersion, tmp_path: Path) -> None:
    exchange.export(version, tmp_path / "good.zip")
    good = (tmp_path / "good.zip").read_bytes()

    def fresh(name: str) -> Path:
        (tmp_path / name).write_bytes(good)
        return tmp_path / name

    link = zipfile.ZipInfo("link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    spoilt = good.replace(b"base_model.model", b"base_model.MODEL", 1)
    (tmp_path / "crc.zip").write_bytes(spoilt)
    (tmp_path / "text.zip").write_text("not a zip")
    (tmp_path / "half.zip").write_bytes(good[: len(good) // 2])
    with zipfile.ZipFile(fresh("lzma.zip"), "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr(MANIFEST, "{}")
    many = fresh("many.zip")
    for n in range(40):
        with_member(many, zipfile.ZipInfo(f"{n}.json"), b"{}")
    for archive, message in (
        (with_member(fresh("link.zip"), link, b"/etc/passwd"), "is a link"),
        (with_member(fresh("bomb.zip"), zipfile.ZipInfo("big.json"), b" " * 2_000_000), "would unpack to"),
        (many, "holds 44 files"),
        (tmp_path / "lzma.zip", "not packed by deflate"),
        (tmp_path / "crc.zip", "no zip that can be read .*CRC"),
        (tmp_path / "text.zip", "no zip that can be read"),
        (tmp_path / "half.zip", "no zip that can be read"),
    ):
        with pytest.raises(IntegrityError, match=message), exchange.delivered(archive):
            pass


def test_two_files_of_one_name_are_refused(version: ModelVersion, tmp_path: Path) -> None:
    exchange.export(version, tmp_path / "v1.zip")
    with pytest.warns(UserWarning, match="Duplicate"):
        with_member(tmp_path / "v1.zip", zipfile.ZipInfo("README.md"), b"other")
    with (
        pytest.raises(IntegrityError, match="two files of one name"),
        exchange.delivered(tmp_path / "v1.zip"),
    ):
        pass


def test_a_file_that_no_version_may_hold_is_not_registered_either(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "twin" / "models")
    folder = lora(tmp_path / "made", 1.0)
    pickled(folder)
    with pytest.raises(IntegrityError, match=r"'adapter_model\.bin'"):
        registry.register(folder, manifest())
    assert registry.entries() == []
