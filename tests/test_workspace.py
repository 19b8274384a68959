"""The workspace: how it is found, locked and written."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llm_twin import compose, workspace
from llm_twin.errors import DiskFull, WorkspaceError, WorkspaceLocked
from llm_twin.workspace import Workspace, atomic_folder, atomic_write, sweep, translate_disk_full


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_TWIN_WORKSPACE", raising=False)


def test_it_is_found_in_a_parent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compose.init(tmp_path / "twin")
    inside = tmp_path / "twin" / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert Workspace.find().root == tmp_path / "twin"


def test_what_is_given_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        compose.init(tmp_path / name)
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", str(tmp_path / "one"))
    assert Workspace.find().root == tmp_path / "one"
    assert Workspace.find(tmp_path / "two").root == tmp_path / "two"


def test_the_environment_may_name_a_folder_of_the_users_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose.init(tmp_path / "one")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", "~/one")
    assert Workspace.find().root == tmp_path / "one"
    monkeypatch.setenv("LLM_TWIN_WORKSPACE", "~nosuchuser/one")
    with pytest.raises(WorkspaceError, match="~nosuchuser/one is not a workspace"):
        Workspace.find()


def test_without_one_the_error_names_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkspaceError, match="llm-twin init"):
        Workspace.find()
    with pytest.raises(WorkspaceError, match="llm-twin init nowhere"):
        Workspace.find(Path("nowhere"))


def test_init_keeps_what_is_there(tmp_path: Path) -> None:
    compose.init(tmp_path, author='Ada "the first"')
    with pytest.raises(WorkspaceError, match="already"):
        compose.init(tmp_path)
    assert compose.open_workspace(tmp_path).config.author.name == 'Ada "the first"'


def test_a_workspace_may_bound_its_trainings(tmp_path: Path) -> None:
    compose.init(tmp_path, minutes=5)
    assert compose.open_workspace(tmp_path).config.training.minutes == 5


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    compose.init(tmp_path)
    workspace = Workspace.find(tmp_path)
    code = (
        "import sys; from pathlib import Path; from llm_twin.workspace import Workspace\n"
        "from llm_twin.errors import WorkspaceLocked\n"
        f"w = Workspace(Path({str(tmp_path)!r}))\n"
        "try:\n    with w.lock('library'): print('taken')\n"
        "except WorkspaceLocked as error: print(error)\n"
    )
    with workspace.lock("library"):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert f"locked for library by process {os.getpid()}" in out
        with workspace.lock("training"):
            pass
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "taken\n"


def test_the_lock_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    compose.init(tmp_path)
    code = (
        "import os, signal; from pathlib import Path; from llm_twin.workspace import Workspace\n"
        f"with Workspace(Path({str(tmp_path)!r})).lock('library'): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Workspace.find(tmp_path).lock("library"):
        pass


def test_who_holds_a_lock_may_let_go_while_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder takes its name away before it lets go: whoever looks for the name may be too late."""
    with Workspace(tmp_path).lock("library"):
        read = Path.read_text
        monkeypatch.setattr(Path, "read_text", lambda path: path.unlink() or read(path))
        with (
            pytest.raises(WorkspaceLocked, match="by process unknown"),
            Workspace(tmp_path).lock("library"),
        ):
            pass


def test_the_lock_of_one_process_is_not_entered_twice(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.lock("library"), pytest.raises(WorkspaceLocked), workspace.lock("library"):
        pass


def test_a_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "versions" / "F0001"

    def interrupted() -> None:
        with atomic_folder(target) as building:
            (building / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(target.parent.iterdir()) == []
    with atomic_folder(target) as building:
        (building / "whole").write_text("x")
    assert (target / "whole").read_text() == "x"


def test_what_is_made_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "version") as building:
        (building / "file").touch()
    atomic_write(tmp_path / "new", "x")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").touch()
    folder, file = (stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "plain", tmp_path / "plain" / "file"))
    assert stat.S_IMODE((tmp_path / "version").stat().st_mode) == folder
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == file


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_who_may_read_a_file_stays_when_it_is_written_anew(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "file"
    target.touch()
    target.chmod(mode)
    atomic_write(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == mode


def test_what_windows_refuses_is_not_asked_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There a folder cannot be opened, nor a file be flushed that was opened for reading."""
    opened, flush = os.open, os.fsync

    def opens(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, mode)

    def flushes(handle: int) -> None:
        import fcntl

        if not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(handle)

    monkeypatch.setattr(workspace, "_WINDOWS", True)
    monkeypatch.setattr(os, "open", opens)
    monkeypatch.setattr(os, "fsync", flushes)
    with atomic_folder(tmp_path / "version") as building:
        (building / "file").write_text("x")
    assert (tmp_path / "version" / "file").read_text() == "x"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from llm_twin.workspace import atomic_folder\n"
        f"with atomic_folder(Path({str(tmp_path / 'F0001')!r})) as b:\n"
        "    (b / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert not (tmp_path / "F0001").exists()
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "file"
    atomic_write(target, "old")
    with pytest.raises(UnicodeEncodeError):
        atomic_write(target, "\ud800")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_and_the_file_that_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, file = tmp_path / "link", tmp_path / "elsewhere" / "file"
    link.symlink_to(Path("elsewhere") / "file")
    for text in ("made", "replaced"):
        atomic_write(link, text)
        assert link.is_symlink()
        assert file.read_text() == text
    assert [p.name for p in file.parent.iterdir()] == ["file"]


def test_a_fifo_is_written_to_as_it_is(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE, text=True) as reader:
        try:
            atomic_write(fifo, "said")
            assert fifo.is_fifo()
            assert reader.communicate(timeout=20)[0] == "said"
        finally:
            reader.kill()


@pytest.mark.parametrize("name", ["folder", "file/below", "file/far/below", "n" * 300])
def test_a_path_of_a_wrong_kind_is_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=r"cannot be used \(.+\)\. Name another"):
        atomic_write(tmp_path / name, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_clear_line(tmp_path: Path, code: int) -> None:
    for file, told in ((None, str(tmp_path)), ("/srv/x", "/srv/x")):
        with pytest.raises(DiskFull, match=f"the disk of {told}. Free"), translate_disk_full(tmp_path):
            raise OSError(code, os.strerror(code), file)


@pytest.mark.parametrize(
    ("code", "file", "told"),
    [
        (errno.EACCES, "posts.jsonl", r"^posts\.jsonl cannot be used \(Permission denied\)\. Check its"),
        (errno.ENOSPC, None, r"^No space left on the disk of .*/twin\. Free"),
    ],
)
def test_what_goes_wrong_under_a_lock_is_not_told_of_the_locks(
    tmp_path: Path, code: int, file: str | None, told: str
) -> None:
    with pytest.raises(WorkspaceError, match=told), Workspace(tmp_path / "twin").lock("library"):
        raise OSError(code, os.strerror(code), file)


def test_a_copy_is_another_workspace_and_one_that_moved_is_not(tmp_path: Path) -> None:
    original = Workspace(tmp_path / "twin")
    known = original.identity()
    shutil.copytree(original.root, tmp_path / "staging")
    copy = Workspace(tmp_path / "staging")
    assert original.identity() == known
    own = copy.identity()
    assert own == copy.identity() != known
    (tmp_path / "twin").rename(tmp_path / "moved")
    assert Workspace(tmp_path / "moved").identity() == known
    assert copy.identity() == own


def test_an_identity_of_before_is_kept_and_learns_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "twin").mkdir()
    (tmp_path / "twin" / "workspace.id").write_text("0123456789ab\n")
    assert Workspace(tmp_path / "twin").identity() == "0123456789ab"
    shutil.copytree(tmp_path / "twin", tmp_path / "staging")
    assert Workspace(tmp_path / "staging").identity() != "0123456789ab"


def test_a_workspace_that_is_reached_by_two_paths_is_one(tmp_path: Path) -> None:
    known = Workspace(tmp_path / "twin").identity()
    (tmp_path / "other").symlink_to(tmp_path / "twin")
    assert Workspace(tmp_path / "other").identity() == known
    assert Workspace(tmp_path / "twin").identity() == known


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_workspace_that_may_only_be_read_keeps_its_identity_where_it_moved(tmp_path: Path) -> None:
    known = Workspace(tmp_path / "twin").identity()
    (tmp_path / "twin").rename(tmp_path / "moved")
    folders = [tmp_path / "moved" / "locks", tmp_path / "moved"]
    for folder in folders:
        folder.chmod(0o500)
    try:
        assert Workspace(tmp_path / "moved").identity() == known
    finally:
        for folder in folders[::-1]:
            folder.chmod(0o700)
