from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from llm_twin.adapters.hub import fetch, push
from llm_twin.contracts.versions import ADAPTER, ADAPTER_GGUF, CARD, ModelVersion
from llm_twin.errors import MissingDependency, PushError
from llm_twin.registry import Registry
from tests.registry.made import lora, manifest

TOKEN = "hf_of_a_test"


@dataclass
class Hub:
    """As much of the Hub as an upload asks for: it keeps what was committed, and lists it."""

    url: str = ""
    made: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    summaries: list[str] = field(default_factory=list)

    def listed(self, path: str) -> list[dict[str, Any]]:
        assert path == "/api/models/ada/twin/tree/main", path
        return [{"type": "file", "path": name, "size": 1, "oid": "0" * 40} for name in self.files]

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            self.made.append(json.loads(body))
            return {"url": f"{self.url}/ada/twin"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path == "/api/models/ada/twin/preupload/main":
            names = [f["path"] for f in json.loads(body)["files"]]
            return {"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]}
        assert path == "/api/models/ada/twin/commit/main", path
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "header":
                self.summaries.append(line["value"]["summary"])
            elif line["key"] == "deletedFile":
                del self.files[line["value"]["path"]]
            else:
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        return {"commitUrl": f"{self.url}/ada/twin/commit/1", "commitOid": "1", "success": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(found.listed)

        def do_POST(self) -> None:
            self.reply(found.answer, self.rfile.read(int(self.headers["Content-Length"])))

        def reply(self, answered: Callable[..., Any], *body: bytes) -> None:
            known = self.headers.get("authorization") == f"Bearer {TOKEN}"
            sent = answered(self.path.partition("?")[0], *body) if known else {"error": "who are you?"}
            answer = json.dumps(sent).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    return Registry(tmp_path / "models").register(lora(tmp_path / "made", 0.5), manifest())


def test_a_version_is_uploaded_as_it_lies_and_stays_private(hub: Hub, version: ModelVersion) -> None:
    sealed = {path.name: path.read_bytes() for path in version.folder.iterdir()}
    (version.folder / ".DS_Store").write_bytes(b"of a file manager")
    where = push(version, "ada/twin", endpoint=hub.url)
    assert where == f"{hub.url}/ada/twin/commit/1"
    assert hub.files == sealed
    assert {ADAPTER, CARD} < set(hub.files)
    assert hub.summaries == [f"v1, content id {version.manifest.content_id}"]
    assert [(m["organization"], m["name"], m["visibility"]) for m in hub.made] == [("ada", "twin", "private")]


def test_a_version_takes_the_place_of_one_before_and_leaves_what_a_person_added(
    hub: Hub, version: ModelVersion
) -> None:
    hub.files = {ADAPTER_GGUF: b"of another version", CARD: b"old", "LICENSE": b"mine", "notes.md": b"mine"}
    push(version, "ada/twin", endpoint=hub.url)
    uploaded = {path.name: path.read_bytes() for path in version.folder.iterdir()}
    assert ADAPTER_GGUF not in uploaded
    assert hub.files == uploaded | {"LICENSE": b"mine", "notes.md": b"mine"}


def test_only_who_asks_for_it_makes_a_public_repository(hub: Hub, version: ModelVersion) -> None:
    push(version, "ada/twin", public=True, endpoint=hub.url)
    assert hub.made[0]["visibility"] == "public"


def test_a_token_that_is_not_known_is_named_and_not_shown(
    hub: Hub, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    with pytest.raises(PushError, match=r"did not take v1.*HF_TOKEN") as caught:
        push(version, "ada/twin", endpoint=hub.url)
    assert "hf_of_nobody" not in str(caught.value)
    assert not hub.files


def test_what_is_no_repository_is_told(hub: Hub, version: ModelVersion) -> None:
    with pytest.raises(PushError, match=r"'a b' is no repository.*hub:user/name"):
        push(version, "a b", endpoint=hub.url)


def test_a_hub_that_does_not_answer(hub: Hub, version: ModelVersion) -> None:
    with pytest.raises(PushError, match="did not take v1"):
        push(version, "ada/twin", endpoint="http://127.0.0.1:9")


def test_a_model_that_cannot_be_fetched_is_told_with_its_setting() -> None:
    with pytest.raises(MissingDependency, match=r"base\.id is 'ada/none'.*downloaded.*a folder") as caught:
        fetch("ada/none", "base.id", "Give a folder", endpoint="http://127.0.0.1:9")
    assert "\n" not in str(caught.value)


def test_a_download_that_breaks_off_is_told_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class BreaksOff(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            sent = b"{" + b" " * 1000 + b"}"
            if "/tree/" in self.path:
                file = {"type": "file", "path": "config.json", "size": len(sent), "oid": "e"}
                sent = json.dumps([file]).encode()
            elif self.path.startswith("/api/"):
                sent = json.dumps({"id": "ada/none", "sha": "c" * 40, "siblings": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("ETag", '"e"')
            self.send_header("X-Repo-Commit", "c" * 40)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(sent if self.path.startswith("/api/") else sent[:100])

        do_GET = do_HEAD  # noqa: N815  as the server calls it

        def log_message(self, *args: object) -> None:
            return None

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between its tries
    with HTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(MissingDependency, match=r"base\.id is 'ada/none'.*could not be downloaded"):
            fetch("ada/none", "base.id", "", endpoint=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(("there", "complete"), [(["a-1"], False), (["a-1", "a-2"], True), ([], False)])
def test_a_download_that_was_interrupted_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], complete: bool
) -> None:
    snapshot = tmp_path / "models--ada--twin" / "snapshots" / "c0ffee"
    (snapshot.parent.parent / "refs").mkdir(parents=True)
    (snapshot.parent.parent / "refs" / "main").write_text("c0ffee")
    snapshot.mkdir(parents=True)
    shards = {"layer.1": "a-1.safetensors", "layer.2": "a-2.safetensors"}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    for name in there:
        (snapshot / f"{name}.safetensors").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    if complete:
        assert fetch("ada/twin", "base.id", "", endpoint="http://127.0.0.1:9") == snapshot
    else:
        with pytest.raises(MissingDependency):
            fetch("ada/twin", "base.id", "", endpoint="http://127.0.0.1:9")
