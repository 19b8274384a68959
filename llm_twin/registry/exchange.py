"""Versions out of the registry and into it: a folder, or a zip of one, that PEFT and vLLM load as it is.

What comes in is from strangers. A zip is unpacked within bounds, no path and no link in it is followed, and
nothing is registered before every hash of its manifest was found true. An adapter without our manifest is
refused: nothing would say which posts, prompt and base are behind its answers.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from llm_twin.contracts.bits import BitsPerByte
from llm_twin.contracts.manifests import MANIFEST, ModelManifest, file_hash, verify
from llm_twin.contracts.versions import ADAPTER, ADAPTER_CONFIG, CARD, ModelVersion
from llm_twin.errors import IntegrityError, VersionNotFound, WorkspaceError
from llm_twin.registry.files import check_adapter, check_names
from llm_twin.workspace import atomic_folder, translate_disk_full

ZIP = ".zip"
_MOST_FILES = 32  # a version has five
_MOST_BYTES = 8 * 2**30  # an adapter of rank 256 for a base of 70 billion weights has about 6 GB
_MOST_TEXT = 64 * 2**20  # of a JSON or Markdown file; a manifest of 5,000 measured posts has 1 MB
_MOST_GROWTH = 100  # times the archive's own size; JSON deflates by 10, weights hardly at all
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip: equal versions give equal bytes
_FIX = "Export it again: llm-twin models export"


def export(version: ModelVersion, target: Path, note: str = "") -> None:
    """Copy a version as it is; with a note under its card it is other content, and is sealed as such.

    Raises WorkspaceError where something is at `target` already.
    """
    with delivery(target) as folder:
        for path in version.files:
            shutil.copyfile(path, folder / path.name)
        if note:
            _seal_with(note, folder, version.manifest)


def _seal_with(note: str, folder: Path, manifest: ModelManifest) -> None:
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    card.write_text(f"{text}\n{note}\n", encoding="utf-8")
    sealed = manifest.model_copy(update={"files": manifest.files | {CARD: file_hash(card)}}).sealed()
    (folder / MANIFEST).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")


@contextmanager
def delivery(target: Path) -> Iterator[Path]:
    """A folder to fill; when the block ends it appears at `target`, as a zip where that is its suffix.

    Raises WorkspaceError where something is there already.
    """
    refuse_existing(target)
    if target.suffix != ZIP:
        with atomic_folder(target) as folder:
            yield folder
        return
    with translate_disk_full(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as name:
            folder, made = Path(name) / "files", Path(name) / target.name
            folder.mkdir()
            yield folder
            with zipfile.ZipFile(made, "w") as archive:
                for path in sorted(folder.iterdir()):
                    with path.open("rb") as source, archive.open(_entry(path), "w") as out:
                        shutil.copyfileobj(source, out)
            made.rename(target)


def refuse_existing(target: Path) -> None:
    """Raises WorkspaceError where something is at `target`."""
    if target.exists() or target.is_symlink():
        raise WorkspaceError(f"{target} exists already", "Name something that does not")


def _entry(path: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path.name, _EPOCH)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = path.stat().st_size  # more than 4 GB must be announced
    if path.suffix in (".json", ".md"):
        entry.compress_type = zipfile.ZIP_DEFLATED  # weights do not get smaller
    return entry


@contextmanager
def delivered(source: Path) -> Iterator[tuple[Path, ModelManifest]]:
    """A folder with the files of an exported version, all verified, and its manifest.

    Raises WorkspaceError where nothing is at `source`, VersionNotFound where it holds no manifest, and
    IntegrityError for anything in it that is not as it was sealed, or that no version may hold.
    """
    if source.is_dir():
        yield source, _verified(source)
    elif source.is_file():
        with tempfile.TemporaryDirectory(prefix="llm-twin-import-") as name:
            with translate_disk_full(Path(name)):
                _unpack(source, Path(name))
            yield Path(name), _verified(Path(name), str(source))
    else:
        raise WorkspaceError(f"There is nothing at {source}", "Name a folder or a zip of an exported version")


def _unpack(source: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            _check_bounds(members, source)
            names = _names(members, source)
            for member, name in zip(members, names, strict=True):
                # Of each member zipfile gives no more than its announced size, and checks its CRC.
                with archive.open(member) as packed, (folder / name).open("xb") as out:
                    shutil.copyfileobj(packed, out)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise IntegrityError(f"{source} is no zip that can be read ({reason})", _FIX) from error


def _check_bounds(members: Sequence[zipfile.ZipInfo], source: Path) -> None:
    if len(members) > _MOST_FILES:
        raise IntegrityError(f"{source} holds {len(members)} files, a version at most {_MOST_FILES}", _FIX)
    size = sum(member.file_size for member in members)
    if size > min(_MOST_BYTES, _MOST_GROWTH * source.stat().st_size):
        raise IntegrityError(f"{source} would unpack to {size / 1e6:.0f} MB, which no version does", _FIX)
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise IntegrityError(f"{source} holds {member.filename!r}, which is not packed by deflate", _FIX)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise IntegrityError(f"{source} holds {member.filename!r}, which is a link or a device", _FIX)


def _names(members: Sequence[zipfile.ZipInfo], source: Path) -> list[str]:
    """The files' names, without the one folder that all of them may lie in."""
    paths = [member.filename for member in members]
    tops = {path.partition("/")[0] for path in paths}
    if len(tops) == 1 and all("/" in path for path in paths):
        paths = [path.partition("/")[2] for path in paths]
    check_names(paths, source)
    if len(set(paths)) < len(paths):
        raise IntegrityError(f"{source} holds two files of one name", _FIX)
    return paths


def _verified(folder: Path, named: str = "") -> ModelManifest:
    where = Path(named or folder)
    found = list(folder.iterdir())
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise IntegrityError(f"{where} holds {path.name!r}, which is no plain file", _FIX)
        if path.suffix in (".json", ".md") and path.stat().st_size > _MOST_TEXT:
            raise IntegrityError(f"{where} holds {path.name!r} of more than {_MOST_TEXT >> 20} MB", _FIX)
    names = {path.name for path in found}
    check_names(sorted(names), where)
    manifest = _manifest(folder, names, where)
    if names - {MANIFEST} != set(manifest.files) or not {ADAPTER, ADAPTER_CONFIG} <= names:
        odd = sorted((names - {MANIFEST}) ^ set(manifest.files) | {ADAPTER, ADAPTER_CONFIG} - names)
        raise IntegrityError(f"{where} does not hold the files of its manifest: {', '.join(odd)}", _FIX)
    verify(folder, manifest.files)
    if manifest.sealed().content_id != manifest.content_id:
        raise IntegrityError(f"The manifest in {where} was changed after it was sealed", _FIX)
    check_adapter(folder)
    return manifest


def _manifest(folder: Path, names: set[str], where: Path) -> ModelManifest:
    if MANIFEST not in names:
        raise VersionNotFound(
            f"{where} holds no {MANIFEST}: nothing says on which posts, prompt and base it was trained",
            "Import what llm-twin models export wrote",
        )
    try:
        manifest = ModelManifest.model_validate_json((folder / MANIFEST).read_bytes())
        for measures in manifest.scores.values():  # the lists read them all
            for measure in measures.values():
                BitsPerByte.model_validate(measure)
        for split in ("validation", "test"):  # what the gate compares
            if not {"base", "adapter"} <= manifest.scores[split].keys():
                raise ValueError(f"{split}: not of base and adapter")
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise IntegrityError(f"The manifest in {where} cannot be read ({reason})", _FIX) from error
    return manifest
