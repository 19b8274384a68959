"""Over real HTTP: the application under uvicorn on a free loopback port, asked with httpx."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from doubles import ScriptedEngine
from starlette.testclient import TestClient

from llm_twin.errors import (
    DiskFull,
    EngineError,
    IntegrityError,
    MismatchError,
    MissingDependency,
    StoreError,
    Tainted,
    TwinError,
    VersionNotFound,
    WorkspaceLocked,
)
from llm_twin.inference.guard import allowed, holds, is_loopback
from llm_twin.inference.server import create_app, listen, serve, server
from llm_twin.inference.writer import Writer

ANSWERED = "How did you mend the spout of the brass kettle?"
SAID = "I read the board by hand. It says 1.82 m."
ASK: dict[str, Any] = {"model": "twin", "messages": [{"role": "user", "content": ANSWERED}]}


@contextmanager
def running(
    make_writer: Callable[..., Writer], engine: ScriptedEngine, key: str | None = None
) -> Iterator[httpx.Client]:
    def provider(name: str | None) -> Writer:
        if name not in (None, "base", "v1", "v3"):
            raise VersionNotFound(f"No model {name}", "See them: llm-twin models list")
        return make_writer(name or "v3", engine=engine)

    app = create_app(provider, lambda: ("base", "v1", "v3"), hosts=("twin.example",), key=key)
    with listen("127.0.0.1", 0) as bound:
        serving = server(app)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=20) as client:
                yield client
        finally:
            serving.should_exit = True
            thread.join(timeout=20)
    assert not thread.is_alive()


@pytest.fixture
def client(make_writer: Callable[..., Writer], engine: ScriptedEngine) -> Iterator[httpx.Client]:
    with running(make_writer, engine) as client:
        yield client


def events(text: str) -> list[str]:
    parts = text.split("\n\n")
    assert parts.pop() == ""
    assert all(p.startswith("data: ") and "\n" not in p for p in parts)
    return [p.removeprefix("data: ") for p in parts]


def ended(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 15
    while not check() and time.monotonic() < deadline:
        time.sleep(0.01)
    return check()


def error_of(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    found: dict[str, Any] = body["error"]
    return found


def test_a_completion_has_the_official_shape_and_names_its_sources(
    client: httpx.Client, engine: ScriptedEngine
) -> None:
    response = client.post("/v1/chat/completions", json=ASK)
    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"id", "object", "created", "model", "choices", "usage", "llm_twin"}
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "twin"
    assert abs(body["created"] - time.time()) < 60
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": SAID, "refusal": None}
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, "stop", None)
    usage = body["usage"]
    assert usage["prompt_tokens"] == len(engine.requests[0][0])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    twin = body["llm_twin"]
    assert (twin["model"], twin["features"], twin["refused"]) == ("v3", "F0001", False)
    assert twin["citations"][0]["title"] == "The brass kettle"
    assert twin["citations"][0]["end"] > twin["citations"][0]["start"]
    assert set(twin["timings_ms"]) == {"embed", "retrieve", "first_token", "total"}


def test_a_stream_is_role_deltas_finish_and_done(client: httpx.Client) -> None:
    response = client.post("/v1/chat/completions", json=ASK | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *parsed, done = events(response.text)
    assert done == "[DONE]"
    chunks = [json.loads(p) for p in parsed]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({c["id"] for c in chunks}) == 1
    choices = [c["choices"][0] for c in chunks]
    assert choices[0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["delta"]["content"] for c in choices[1:-1]) == SAID
    assert [c["finish_reason"] for c in choices] == [None] * (len(choices) - 1) + ["stop"]
    assert len(choices) > 5, "it comes in pieces"
    last = chunks[-1]
    assert last["choices"][0]["delta"] == {}
    assert last["usage"]["completion_tokens"] > 0
    assert last["llm_twin"]["citations"]


def test_usage_comes_apart_where_the_client_asks_for_it(client: httpx.Client) -> None:
    body = ASK | {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = events(client.post("/v1/chat/completions", json=body).text)
    assert done == "[DONE]"
    last, before = json.loads(chunks[-1]), json.loads(chunks[-2])
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0
    assert "usage" not in before
    assert before["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(("name", "version"), [("twin", "v3"), ("base", "base"), ("v1", "v1")])
def test_the_model_asked_for_answers(client: httpx.Client, name: str, version: str) -> None:
    body = client.post("/v1/chat/completions", json=ASK | {"model": name}).json()
    assert body["llm_twin"]["model"] == version
    assert body["model"] == name


def test_an_unknown_model_is_404_in_the_official_form(client: httpx.Client, engine: ScriptedEngine) -> None:
    for stream in (False, True):
        response = client.post("/v1/chat/completions", json=ASK | {"model": "gpt-4", "stream": stream})
        assert response.status_code == 404
        assert error_of(response)["code"] == "model_not_found"
        assert error_of(response)["param"] == "model"
        said = error_of(response)["message"]
        assert said == "There is no model 'gpt-4' here. Ask for one of: twin, base, v1, v3."
    assert engine.requests == []


def test_earlier_messages_are_history_and_system_messages_are_left_out(
    client: httpx.Client, engine: ScriptedEngine
) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": [{"type": "text", "text": ANSWERED}]},
        {"role": "assistant", "content": "With silver solder."},
        {"role": "user", "content": "And why?"},
    ]
    body = client.post("/v1/chat/completions", json={"messages": messages}).json()
    assert body["llm_twin"]["citations"][0]["title"] == "The brass kettle"
    shown = bytes(i - 8 for i in engine.requests[0][0] if i >= 8).decode()
    assert "With silver solder." in shown
    assert "pirate" not in shown


def test_sampling_is_honoured_and_bounded(client: httpx.Client, engine: ScriptedEngine) -> None:
    given = {"temperature": 0, "top_p": 0.5, "seed": 11, "stop": ["\n", "END"], "max_tokens": 4}
    body = client.post("/v1/chat/completions", json=ASK | given).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 4
    used = engine.requests[0][2]
    assert (used.temperature, used.top_p, used.seed, used.stop) == (0, 0.5, 11, ("\n", "END"))
    client.post("/v1/chat/completions", json=ASK | {"max_completion_tokens": 10**9})
    assert engine.requests[1][2].max_tokens == engine.context // 2
    client.post("/v1/chat/completions", json=ASK)
    assert engine.requests[2][2].temperature == pytest.approx(0.7), "the configuration's"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "I"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
    ],
)
def test_what_cannot_be_done_is_400_naming_the_field(
    client: httpx.Client, engine: ScriptedEngine, change: dict[str, Any], param: str
) -> None:
    response = client.post("/v1/chat/completions", json=ASK | change)
    assert response.status_code == 400
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)
    assert engine.requests == []


HALF = "half \ud800"  # of a surrogate pair


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": [{"role": "user", "content": HALF}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": HALF}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": HALF}, *ASK["messages"]]}, "messages"),
        ({"model": HALF}, "model"),
        ({"stop": [HALF]}, "stop"),
    ],
)
def test_half_of_a_surrogate_pair_is_400(
    client: httpx.Client, engine: ScriptedEngine, change: dict[str, Any], param: str
) -> None:
    headers, body = {"Content-Type": "application/json"}, json.dumps(ASK | change)  # in ASCII
    response = client.post("/v1/chat/completions", content=body, headers=headers)
    assert response.status_code == 400
    assert error_of(response)["param"].startswith(param)
    assert "only text" not in error_of(response)["message"]  # it is text, of which a half is missing
    assert engine.requests == []


def test_what_may_be_null_in_the_official_api_may_be_null(
    client: httpx.Client, engine: ScriptedEngine
) -> None:
    names = ("stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens")
    nulls = dict.fromkeys((*names, "seed", "stop", "n"))
    called = {"role": "assistant", "content": None, "tool_calls": []}
    messages = [{"role": "user", "content": "Which spout?"}, called, *ASK["messages"]]
    response = client.post("/v1/chat/completions", json=ASK | nulls | {"messages": messages})
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"] == SAID


def test_bad_bodies_and_paths_have_the_official_form(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    torn = client.post("/v1/chat/completions", content=b'{"messages": [', headers=headers)
    assert torn.status_code == 400
    assert error_of(torn)["message"] == "The body is not JSON: Expecting value at character 15."
    assert error_of(torn)["param"] is None
    listed = client.post("/v1/chat/completions", json=[ASK])
    assert listed.status_code == 400
    assert error_of(listed)["message"].startswith("The body is no JSON object.")
    assert client.get("/v1/chat/completions").status_code == 405
    missing = client.get("/v1/nothing")
    assert missing.status_code == 404
    assert error_of(missing)["type"] == "invalid_request_error"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", None])
def test_json_that_a_foreign_page_could_send_unasked_is_not_read(
    client: httpx.Client, engine: ScriptedEngine, kind: str | None
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = client.post("/v1/chat/completions", content=json.dumps(ASK), headers=headers)
    assert response.status_code == 400
    assert "Send Content-Type: application/json" in error_of(response)["message"]
    assert engine.requests == []


def test_a_body_over_the_bound_is_413_with_or_without_its_length(client: httpx.Client) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 1_100_000}]}).encode()
    headers = {"Content-Type": "application/json"}
    named = client.post("/v1/chat/completions", content=body, headers=headers)
    assert named.status_code == 413
    error_of(named)
    pieces = (body[n : n + 60_000] for n in range(0, len(body), 60_000))
    chunked = client.post("/v1/chat/completions", content=pieces, headers=headers)
    assert chunked.status_code == 413
    error_of(chunked)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", ""])
def test_a_foreign_host_is_refused(client: httpx.Client, engine: ScriptedEngine, host: str) -> None:
    for path in ("/", "/v1/models", "/healthz"):
        response = client.get(path, headers={"Host": host})
        assert response.status_code in (400, 403)
    assert client.post("/v1/chat/completions", json=ASK, headers={"Host": host}).status_code in (400, 403)
    assert engine.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8017", "127.0.0.1:1", "[::1]:8017", "twin.example"])
def test_its_own_names_are_not(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).json() == {"status": "ok"}


def test_a_page_of_another_origin_may_not_ask(client: httpx.Client, engine: ScriptedEngine) -> None:
    response = client.post("/v1/chat/completions", json=ASK, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert error_of(response)["code"] == "origin_refused"
    for none in ("null", "http://[", "http://[::1", ""):
        assert client.post("/v1/chat/completions", json=ASK, headers={"Origin": none}).status_code == 403
    assert engine.requests == []
    own = client.post("/v1/chat/completions", json=ASK, headers={"Origin": "http://localhost:8017"})
    assert own.status_code == 200
    assert "access-control-allow-origin" not in own.headers


def test_a_server_with_a_key_answers_only_who_brings_it(
    make_writer: Callable[..., Writer], engine: ScriptedEngine
) -> None:
    with running(make_writer, engine, key="open sesame") as client:
        for path in ("/", "/v1/models", "/healthz"):
            refused = client.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Basic realm=")
            assert error_of(refused)["code"] == "invalid_api_key"
            assert client.get(path, auth=("anyone", "open sesame")).status_code == 200
        wrong, right = ({"Authorization": f"Bearer {key}"} for key in ("open", "open sesame"))
        assert client.post("/v1/chat/completions", json=ASK, headers=wrong).status_code == 401
        assert engine.requests == []
        assert client.post("/v1/chat/completions", json=ASK, headers=right).status_code == 200


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Basic", "Basic %", "Basic /w==", "Basic a2V5", "Digest key"]
)
def test_what_brings_no_key(authorization: str) -> None:
    assert not holds(authorization, "key")


def test_a_key_may_be_of_any_letters() -> None:
    password = b64encode("anyone:clé ☂".encode()).decode()
    for header in ("bearer clé ☂", f"Basic {password}"):
        sent = header.encode().decode("latin-1")  # as it comes over the wire
        assert holds(sent, "clé ☂")
        assert not holds(sent, "cle ☂")


def test_models_and_health(client: httpx.Client) -> None:
    body = client.get("/v1/models").json()
    assert body["object"] == "list"
    assert [m["id"] for m in body["data"]] == ["twin", "base", "v1", "v3"]
    assert all(m["object"] == "model" and m["owned_by"] for m in body["data"])
    assert client.get("/v1/models/v3").json() == body["data"][-1]
    missing = client.get("/v1/models/v2")
    assert missing.status_code == 404
    assert error_of(missing)["code"] == "model_not_found"


def test_the_page_is_whole_in_itself_and_its_policy_lets_nothing_else_in(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    for loader in ("src=", "@import", "url(", "<link", "http://", "innerHTML ="):
        assert loader not in page.text


def test_a_client_that_goes_away_stops_the_generation(make_writer: Callable[..., Writer]) -> None:
    gone = threading.Event()

    def until_gone(n: int) -> None:
        if n > 3:
            gone.wait(timeout=15)
            time.sleep(0.002)

    engine = ScriptedEngine(text="word " * 5000, before=until_gone)
    with running(make_writer, engine) as client:
        for stream in (True, False):
            stopped = engine.stopped
            body = ASK | {"stream": stream, "max_tokens": 2000}
            gone.clear()
            if stream:
                with client.stream("POST", "/v1/chat/completions", json=body) as response:
                    next(response.iter_text())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    client.post("/v1/chat/completions", json=body, timeout=0.5)
            gone.set()
            assert ended(lambda before=stopped: engine.stopped == before + 1)  # type: ignore[misc]
        assert engine.finished == 0
        assert client.get("/healthz").status_code == 200


def test_only_a_few_generations_run_side_by_side_and_all_end(make_writer: Callable[..., Writer]) -> None:
    lock, level, most = threading.Lock(), 0, 0

    class Counting(ScriptedEngine):
        def _pieces(self, sampling: Any) -> Iterator[Any]:
            nonlocal level, most
            with lock:
                level += 1
                most = max(most, level)
            try:
                time.sleep(0.03)
                yield from super()._pieces(sampling)
            finally:
                with lock:
                    level -= 1

    with running(make_writer, Counting()) as client:
        answers: list[int] = []

        def ask(stream: bool) -> None:
            answers.append(client.post("/v1/chat/completions", json=ASK | {"stream": stream}).status_code)

        threads = [threading.Thread(target=ask, args=(n % 2 == 0,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [200] * 12
    assert 1 < most <= 4


def test_an_engine_that_fails_is_an_error_before_and_within_a_stream(
    make_writer: Callable[..., Writer],
) -> None:
    def fail(n: int) -> None:
        if n == 3:
            raise EngineError("The engine ended", "Start it again")

    with running(make_writer, ScriptedEngine(before=fail)) as client:
        plain = client.post("/v1/chat/completions", json=ASK)
        assert plain.status_code == 503
        assert "The engine ended" in error_of(plain)["message"]
        streamed = events(client.post("/v1/chat/completions", json=ASK | {"stream": True}).text)
        assert "The engine ended" in json.loads(streamed[-1])["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError, 503),
        (WorkspaceLocked, 503),
        (IntegrityError, 500),
        (MismatchError, 500),
        (MissingDependency, 500),
        (VersionNotFound, 500),
        (DiskFull, 500),
        (Tainted, 403),
        (TwinError, 400),
    ],
)
def test_what_is_wrong_with_the_server_is_not_the_clients_fault(
    make_writer: Callable[..., Writer], error: type[TwinError], status: int
) -> None:
    def fail(n: int) -> None:
        raise error("It went wrong", "See to it")

    with running(make_writer, ScriptedEngine(before=fail)) as client:
        response = client.post("/v1/chat/completions", json=ASK)
    assert response.status_code == status
    assert error_of(response)["message"] == "It went wrong. See to it."
    assert error_of(response)["type"] == ("server_error" if status >= 500 else "invalid_request_error")


def test_features_that_are_missing_are_not_the_clients_fault() -> None:
    def provider(name: str | None) -> Writer:
        raise VersionNotFound("There is no feature version 'F9999'", "Build one: llm-twin features build")

    client = TestClient(create_app(provider, lambda: ("base",)), base_url="http://localhost")
    for name, status in (("twin", 500), ("base", 500), ("v1", 404)):
        assert client.post("/v1/chat/completions", json=ASK | {"model": name}).status_code == status


def test_the_network_is_not_listened_on_unless_asked() -> None:
    with pytest.raises(TwinError, match=r"serve\.host = 0\.0\.0\.0 would open .*--allow-remote .*_API_KEY"):
        listen("0.0.0.0", 0)
    listen("0.0.0.0", 0, allow_remote=True).close()
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(TwinError, match="cannot be listened on"):
            listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(("system", "reused"), [("posix", True), ("nt", False)])
def test_on_windows_no_other_program_may_take_the_port(
    monkeypatch: pytest.MonkeyPatch, system: str, reused: bool
) -> None:
    monkeypatch.setattr("llm_twin.inference.server.os", SimpleNamespace(name=system))
    with listen("127.0.0.1", 0) as bound:
        assert bool(bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) == reused


def test_serve_says_its_address_and_answers_there(make_writer: Callable[..., Writer]) -> None:
    app = create_app(lambda name: make_writer(), lambda: ())
    said: list[str] = []
    # A daemon: `serve` has no stop but a signal, which only a main thread receives.
    thread = threading.Thread(
        target=serve, args=(app, "127.0.0.1", 0), kwargs={"listening": said.append}, daemon=True
    )
    thread.start()
    assert ended(lambda: bool(said))
    assert httpx.get(f"{said[0]}healthz", timeout=20).json() == {"status": "ok"}


def test_what_does_not_start_is_not_listened_on() -> None:
    def start() -> Writer:
        raise EngineError("The engine did not start", "See its log")

    said: list[str] = []
    with pytest.raises(EngineError):
        serve(create_app(lambda name: start(), lambda: ()), "127.0.0.1", 0, False, said.append, start)
    assert said == []


@pytest.mark.parametrize(
    ("authority", "hosts", "fine"),
    [
        ("192.168.1.7:8017", ("0.0.0.0",), True),
        ("[fe80::1]:80", ("::",), True),
        ("evil.example", ("0.0.0.0",), False),
        ("192.168.1.7", (), False),
        ("0.0.0.0", (), False),
        ("localhost@evil.example", (), False),
        ("localhost/x", (), False),
        ("localhost:port", (), False),
        ("Twin.Example:1", ("twin.example",), True),
    ],
)
def test_which_names_are_this_machine(authority: str, hosts: tuple[str, ...], fine: bool) -> None:
    assert allowed(authority, hosts) is fine


def test_loopback() -> None:
    assert all(is_loopback(h) for h in ("localhost", "127.0.0.1", "127.0.0.9", "::1", "[::1]"))
    assert not any(
        is_loopback(h) for h in ("0.0.0.0", "::", "10.0.0.1", "example.org", socket.gethostname() + ".")
    )
