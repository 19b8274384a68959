"""What only the server's store does; what every store must do is in test_stores.py."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from llm_twin.adapters.qdrant_calls import Calls, connect
from llm_twin.adapters.qdrant_server import QdrantServerStore
from llm_twin.contracts.ports import Filter
from llm_twin.errors import IntegrityError, StoreError, VersionNotFound
from tests.adapters.passages import CHUNKS, CONTENT, POSTS, VECTORS, built, ids

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
KEY = "qd-5up3r-s3cr3t"
OTHER = "d1" * 32


class Flaky:
    """qdrant-client in memory on a bad line: some calls fail so many times, before or after their work."""

    def __init__(self, error: Exception | None = None, **failures: int) -> None:
        import httpx

        self.inner = QdrantClient(":memory:")
        self.error = error or ResponseHandlingException(httpx.ConnectError("connection reset"))
        self.left, self.calls = Counter(failures), Counter[str]()
        self.after = False

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[method] += 1
            answer = (
                getattr(self.inner, method)(*args, **kwargs) if self.after or not self.left[method] else 0
            )
            if self.left[method]:
                self.left[method] -= 1
                raise self.error
            return answer

        return call


def over(client: Any, prefix: str = "twin", **kwargs: Any) -> QdrantServerStore:
    return QdrantServerStore(Calls(client, "http://qdrant.test:6333", KEY, pause_s=0), prefix, **kwargs)


@pytest.mark.parametrize("after", [False, True], ids=["requests lost", "answers lost"])
def test_a_bad_line_is_survived(after: bool) -> None:
    client = Flaky(upsert=3, create_collection=1, update_collection=2, query_batch_points=3, count=1)
    client.after = after
    if after:  # the server then finds the collection made already
        client.error = UnexpectedResponse(503, "busy", b"", None)  # type: ignore[arg-type]
        client.left.pop("create_collection")
    index = built(over(client))
    assert len(index.dense(VECTORS[0], 500)) == 400
    assert ids(index.dense(VECTORS[7], 1)) == [CHUNKS[7].id]
    assert client.calls["upsert"] == 3 + 2


def test_a_collection_made_by_another_process_meanwhile_is_used() -> None:
    client = Flaky(UnexpectedResponse(409, "Conflict", b"exists", None), create_collection=1)  # type: ignore[arg-type]
    client.after = True
    assert len(built(over(client), CHUNKS[:9], VECTORS[:9]).dense(VECTORS[0], 20)) == 9


def test_a_line_that_stays_down_is_one_line_for_people() -> None:
    import httpx

    client = Flaky(ResponseHandlingException(httpx.ReadTimeout(f"timed out\nwith {KEY}")), upsert=99)
    with pytest.raises(StoreError) as caught:
        built(over(client))
    message = str(caught.value)
    assert "http://qdrant.test:6333 did not answer, tried 4 times" in message
    assert "Check store.url" in message
    assert "\n" not in message
    assert KEY not in message
    assert client.calls["upsert"] == 4
    assert not over(client.inner).has("F0001", CONTENT)


def test_a_refusal_is_not_tried_again() -> None:
    client = Flaky(UnexpectedResponse(400, "Bad Request", b"no\nsuch thing", None), upsert=9)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"refused a request .*such thing"):
        built(over(client))
    assert client.calls["upsert"] == 1


def test_points_lost_on_the_way_are_noticed() -> None:
    class Loses(Flaky):
        def upsert(self, name: str, points: list[Any], wait: bool) -> None:
            self.inner.upsert(name, points[:-1], wait=wait)

    client = Loses()
    with pytest.raises(StoreError, match="holds 8 points, but 9 were sent"):
        built(over(client), CHUNKS[:9], VECTORS[:9])
    assert not over(client).has("F0001", CONTENT)


def test_a_server_without_metadata_is_named() -> None:
    class Old(Flaky):
        def update_collection(self, name: str, metadata: object) -> bool:
            return True

    with pytest.raises(StoreError, match=r"keeps no metadata.*Update the Qdrant server"):
        built(over(Old()), CHUNKS[:9], VECTORS[:9])


def test_points_deleted_behind_our_back_name_the_cure() -> None:
    client = Flaky()
    built(over(client), CHUNKS[:9], VECTORS[:9])
    (name,) = [c.name for c in client.inner.get_collections().collections]
    client.inner.delete(name, [3, 4])
    with pytest.raises(IntegrityError, match=r"holds 7 points of 9.*Delete that collection"):
        over(client).open("F0001", CONTENT)


def test_two_workspaces_on_one_server_do_not_meet() -> None:
    client = Flaky()
    one, two = over(client, "twin"), over(client, "twin-F0001")
    built(one, CHUNKS[:20], VECTORS[:20])
    assert not two.has("F0001", CONTENT)
    with pytest.raises(VersionNotFound, match=r"http://qdrant\.test:6333"):
        two.open("F0001", CONTENT)
    built(two, CHUNKS[20:40], VECTORS[20:40])
    one.drop("F0001")
    assert two.has("F0001", CONTENT)
    assert ids(two.open("F0001", CONTENT).dense(VECTORS[25], 1)) == [CHUNKS[25].id]


def test_the_alias_follows_the_newest_version_in_one_step() -> None:
    client = Flaky()
    store = over(client)

    def target() -> str:
        (alias,) = client.inner.get_aliases().aliases
        assert alias.alias_name == "twin-latest"
        return str(alias.collection_name)

    built(store, CHUNKS[:9], VECTORS[:9], "F0009")
    assert target().startswith("twin-F0009-")
    built(store, CHUNKS[:9], VECTORS[:9], "F10000")
    assert target().startswith("twin-F10000-")
    assert client.calls["update_collection_aliases"] == 2, "deleted and made in one request"
    built(store, CHUNKS[:9], VECTORS[:9], "F0009")  # rebuilt for a reader of an old version
    assert target().startswith("twin-F10000-")
    store.build("F10000", OTHER, CHUNKS[:9], VECTORS[:9], POSTS)
    assert target() == store._collection("F10000", OTHER)
    assert not store.has("F10000", CONTENT), "replaced"


@pytest.mark.parametrize("quantise_above", [None, 8, 9])
def test_only_large_versions_are_quantised(quantise_above: int | None) -> None:
    class Notes(Flaky):
        asked: Any = None

        def create_collection(self, name: str, quantization_config: Any, **kwargs: Any) -> None:
            self.asked = quantization_config
            self.inner.create_collection(name, quantization_config=quantization_config, **kwargs)

    client = Notes()
    built(over(client, quantise_above=quantise_above), CHUNKS[:9], VECTORS[:9])
    assert (client.asked is not None) == (quantise_above == 8)


class Refuses(BaseHTTPRequestHandler):
    """A server that knows another key."""

    keys: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.keys.append(self.headers.get("api-key"))
        body = f"Invalid API key {self.headers.get('api-key')}".encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return None


@pytest.fixture
def refusing() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Refuses)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_refused_key_is_not_shown(refusing: str) -> None:
    store = QdrantServerStore(connect(refusing, KEY), "twin")
    with pytest.raises(StoreError, match=r"refused the API key.*store\.api_key_env") as caught:
        store.has("F0001", CONTENT)
    assert KEY not in str(caught.value)
    assert Refuses.keys == [KEY], "sent once, and not tried again"


@pytest.mark.parametrize("url", ["http://qdrant.test:6333", "http://10.0.0.7:6333", "http://localhost.test"])
def test_a_key_is_not_sent_in_the_clear(url: str) -> None:
    with pytest.raises(StoreError, match="unencrypted") as caught:
        connect(url, KEY)
    assert KEY not in str(caught.value)
    connect(url)  # without a key there is nothing to hide


@pytest.mark.parametrize("url", ["https://qdrant.test", "http://localhost:6333", "http://[::1]:6333"])
def test_a_key_may_travel_encrypted_or_on_this_machine(url: str) -> None:
    connect(url, KEY)


@pytest.mark.parametrize("grpc", [False, True])
def test_every_request_can_be_put_for_the_wire(grpc: bool) -> None:
    """Nobody listens: what fails is the line, and not the making of the request."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    client = QdrantClient(url=url, prefer_grpc=grpc, grpc_port=port, timeout=2, check_compatibility=False)

    class Absent(Flaky):
        """Answers in memory, but sends everything to nobody first."""

        def __getattr__(self, method: str) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                with pytest.raises(StoreError, match=f"{url} did not answer"):
                    Calls(client, url, pause_s=0)(method, *args, **kwargs)
                self.calls[method] += 1
                return getattr(self.inner, method)(*args, **kwargs)

            return call

    absent = Absent()
    store = over(absent, quantise_above=5)
    index = built(store, CHUNKS[:9], VECTORS[:9])
    where = Filter(posts=frozenset({"p0"}), without_posts=frozenset({"p1"}), since="2019-01-01")
    assert index.hybrid(VECTORS[0], "mud", 3, where) == []
    store.drop("F0001")
    assert set(absent.calls) == {
        "collection_exists",
        "create_collection",
        "create_payload_index",
        "upsert",
        "count",
        "update_collection",
        "get_collection",
        "get_aliases",
        "update_collection_aliases",
        "query_batch_points",
        "get_collections",
        "delete_collection",
    }
    client.close()
