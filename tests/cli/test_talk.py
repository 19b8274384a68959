"""`search`, `batch` and `serve` at the front door, in a workspace without a model of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.cli.test_versions import write
from tests.front_door import environment, llm_twin, told
from tests.story import BIN


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """F0001 of five posts."""
    folder = tmp_path_factory.mktemp("talk")
    write(folder, 1, 2, 3, 4, 5)
    told(folder, "init", ".")
    told(folder, "collect", "posts")
    told(folder, "features", "build")
    return folder


def test_a_batch_with_a_line_that_failed_says_so_by_its_exit_code(folder: Path) -> None:
    (folder / "in.jsonl").write_text("not json\n")
    done = llm_twin(folder, "batch", "in.jsonl", "out.jsonl", "-m", "base", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failed"] == 1
    assert done.stderr.splitlines()[-1].startswith(
        "llm-twin: 1 lines could not be answered, and out.jsonl says why."
    )
    (folder / "in.jsonl").write_text("\n")
    assert llm_twin(folder, "batch", "in.jsonl", "out.jsonl", "-m", "base").returncode == 0


def test_answers_of_another_model_that_stay_are_told_of(folder: Path) -> None:
    line = '{"ask": "What of the walnuts?"}'
    (folder / "asked.jsonl").write_text(f"{line}\n")
    answer = {"line": 1, "id": None, "input": hashlib.sha256(line.encode()).hexdigest()[:16], "task": "ask"}
    answer |= {"text": "Paid for.", "model": "v1", "features": "F0001"}
    (folder / "answered.jsonl").write_text(json.dumps(answer) + "\n")
    words = ("batch", "asked.jsonl", "answered.jsonl", "-m", "base")
    said = told(folder, *words)
    assert said.startswith("0 answered, 1 were there already (1 by v1 with F0001), 0 failed; answered.jsonl")
    assert "name another file" in said
    assert json.loads(told(folder, *words, "--json"))["others"] == {"v1 with F0001": 1}


def test_a_site_is_searched_with_or_without_its_www(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    for n, host in ((1, "www.lock.example"), (2, "gate.example")):
        path = tmp_path / "posts" / f"{n}.md"
        path.write_text(path.read_text().replace("---\n", f"---\nurl: https://{host}/{n}/\n", 1))
    told(tmp_path, "init", ".")
    told(tmp_path, "collect", "posts")
    told(tmp_path, "features", "build")
    for named, title in (("lock.example", "Gate 1"), ("WWW.Gate.example", "Gate 2")):
        hits = json.loads(told(tmp_path, "search", "walnuts", "--source", named, "--json"))["hits"]
        assert [hit["title"] for hit in hits] == [title]


def test_replies_cannot_be_searched_for(tmp_path: Path) -> None:
    done = llm_twin(tmp_path, "search", "walnuts", "--kind", "reply")
    assert done.returncode == 2
    assert "'reply' is neither post nor note" in done.stderr


def test_an_index_that_is_made_again_is_told_of(folder: Path) -> None:
    told(folder, "search", "walnuts")
    shutil.rmtree(folder / "index")
    done = llm_twin(folder, "search", "walnuts", "--json")
    assert json.loads(done.stdout)["hits"]
    assert done.stderr == "The index of F0001 is missing and made again.\n"
    assert llm_twin(folder, "search", "walnuts").stderr == ""


def test_serve_tells_machines_its_address(folder: Path) -> None:
    with subprocess.Popen(
        [BIN / "llm-twin", "serve", "--port", "0", "--json"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout
        url = json.loads(server.stdout.readline())["url"]
        assert httpx.get(f"{url}healthz", timeout=20).json() == {"status": "ok"}
        server.send_signal(signal.SIGINT)
        assert server.stdout.read() == ""


def test_the_doctors_examples_are_there_for_machines_too(folder: Path) -> None:
    found = json.loads(llm_twin(folder, "features", "doctor", "--json").stdout)
    assert found["version"] == "F0001"
    first = found["examples"][0]
    assert first["completion"] in llm_twin(folder, "features", "doctor").stdout
    assert first["messages"][-1]["role"] == "user"
