"""What stands around every command: output that cannot take all characters, or anything; and Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.front_door import environment, told
from tests.story import BIN

TITLE = "Schleuse \u2014 \u6c34\u9580 na\u00efve"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one post, whose title no small encoding can print."""
    folder = tmp_path_factory.mktemp("main")
    text = "I did not open the gate before breakfast, for the captain had walnuts aboard. " * 3
    (folder / "post.md").write_text(f"---\ntitle: {json.dumps(TITLE)}\ndate: 2020-01-15\n---\n{text}\n")
    told(folder, "init", ".")
    told(folder, "collect", "post.md")
    return folder


def shell(folder: Path, line: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", f"exec {BIN / 'llm-twin'} {line}"],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_character_that_cannot_be_printed_ends_nothing(folder: Path, encoding: str) -> None:
    listed = shell(folder, "posts list", PYTHONIOENCODING=encoding)
    assert (listed.returncode, listed.stderr) == (0, b"")
    assert "Schleuse " in listed.stdout.decode(encoding)
    found = shell(folder, "posts list --json", PYTHONIOENCODING=encoding).stdout.decode(encoding)
    assert json.loads(found)["posts"][0]["title"] == TITLE


@pytest.mark.parametrize("command", ["posts list", "posts list --json", "--help", "--version"])
def test_a_full_output_is_one_clear_line(folder: Path, command: str) -> None:
    done = shell(folder, f"{command} >/dev/full")
    assert done.returncode == 1
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("llm-twin: The output cannot be written (No space left on device).")


@pytest.mark.parametrize("command", ["posts list", "models list", "posts list --json"])
def test_a_closed_output_is_none(folder: Path, command: str) -> None:
    done = shell(folder, f"{command} >&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    errors = shell(folder, "posts show none --json 2>&-")
    assert (errors.returncode, errors.stdout) == (1, b"")


def test_a_reader_that_goes_away_is_told_nothing(folder: Path) -> None:
    done = shell(folder, "posts list | true; exit ${PIPESTATUS[0]}")
    assert done.returncode in (0, 1)
    assert done.stderr == b""


def test_ctrl_c_before_the_commands_are_loaded(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = shell(tmp_path, "posts list", PYTHONPATH=str(tmp_path))
    assert done.returncode == 130
    assert done.stderr.decode().startswith("\nllm-twin: stopped; what was done is kept.")
    assert b"Traceback" not in done.stderr


def test_ctrl_c_that_falls_into_a_callback_is_not_lost() -> None:
    """As those of Python's import locks, which cannot raise: it would be printed and the command go on."""
    code = """
        import signal, time, weakref
        from llm_twin.cli import main
        from llm_twin.cli.app import app

        class Lock: pass

        @app.command()
        def load() -> None:
            lock = Lock()
            noticed = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGINT))
            del lock
            for _ in range(600):
                time.sleep(0.05)

        main.main()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), "load"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.startswith("Aborted.\n\nllm-twin: stopped") or done.stderr.startswith(
        "\nllm-twin: stopped"
    )
