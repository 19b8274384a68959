from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpcore
import pytest

from llm_twin.collect.web.addresses import AddressRefused, Pinned
from llm_twin.collect.web.dial import Dialer, Overdue

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def pool(allow_private: bool, *addresses: str, tls: ssl.SSLContext | None = None) -> httpcore.ConnectionPool:
    pinned = Pinned(allow_private, lambda host, port: addresses)
    return httpcore.ConnectionPool(network_backend=Dialer(pinned), ssl_context=tls)


def port(base: str) -> int:
    return int(base.rsplit(":", 1)[1])


def test_the_pinned_address_is_connected_to_and_the_name_is_sent(raw_server) -> None:
    base = raw_server(lambda c: c.sendall(HELLO))
    with pool(True, "127.0.0.1") as connections:
        assert connections.request("GET", f"http://blog.example:{port(base)}/").content == b"hello"


def test_a_refused_address_is_not_connected_to(raw_server) -> None:
    heard: list[object] = []
    base = raw_server(heard.append)
    with pool(False, "127.0.0.1") as connections, pytest.raises(AddressRefused):
        connections.request("GET", f"http://blog.example:{port(base)}/")
    assert heard == []


def test_the_next_address_is_tried_where_one_does_not_answer(raw_server) -> None:
    base = raw_server(lambda c: c.sendall(HELLO))
    with pool(True, "127.0.0.2", "127.0.0.1") as connections:
        assert connections.request("GET", f"http://blog.example:{port(base)}/").content == b"hello"
    with pool(True, "127.0.0.2", "127.0.0.3") as connections, pytest.raises(httpcore.ConnectError):
        connections.request("GET", f"http://blog.example:{port(base)}/")


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n"]
)
def test_a_byte_now_and_then_does_not_hold_an_exchange(raw_server, beginning: bytes) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    base = raw_server(drip)
    dialer = Dialer(Pinned(True, lambda host, port: ["127.0.0.1"]))
    started = time.monotonic()
    with (
        httpcore.ConnectionPool(network_backend=dialer) as connections,
        pytest.raises(Overdue),
        dialer.within(0.4),
    ):
        connections.request("GET", base, extensions={"timeout": {"read": 60.0}})
    assert time.monotonic() - started < 30


def test_what_is_cut_ends_at_once_and_nothing_is_opened_any_more(raw_server) -> None:
    dialer = Dialer(Pinned(True, lambda host, port: ["127.0.0.1"]))
    base = raw_server(lambda c: dialer.cut())
    with httpcore.ConnectionPool(network_backend=dialer) as connections:
        with pytest.raises((httpcore.RemoteProtocolError, httpcore.ReadError)):
            connections.request("GET", base)
        with pytest.raises(httpcore.ConnectError, match="ended"):
            connections.request("GET", base)


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server that is blog.example, and for clients that trust it."""
    if not shutil.which("openssl"):
        reason = "no openssl to make a certificate with"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
         "-subj", "/CN=blog.example", "-addext", "subjectAltName=DNS:blog.example", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    return ours, ssl.create_default_context(cafile=certificate)


def test_the_certificate_is_checked_for_the_name(certified) -> None:
    server, trusting = certified
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = listener.getsockname()[1]

        def serve() -> None:
            for _ in range(3):
                plain, _ = listener.accept()
                try:
                    with server.wrap_socket(plain, server_side=True) as secure:
                        secure.recv(4096)
                        secure.sendall(HELLO)
                except (ssl.SSLError, OSError):
                    plain.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pool(True, "127.0.0.1", tls=trusting) as connections:
            assert connections.request("GET", f"https://blog.example:{here}/").content == b"hello"
            with pytest.raises(httpcore.ConnectError, match=r"[Hh]ostname mismatch"):
                connections.request("GET", f"https://other.example:{here}/")
        with (
            pool(True, "127.0.0.1") as connections,
            pytest.raises(httpcore.ConnectError, match="certificate verify failed"),
        ):
            connections.request("GET", f"https://blog.example:{here}/")
        thread.join(10)
