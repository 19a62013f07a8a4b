"""The gate before the web server: nobody gets a byte of what is behind it without being let in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer import gate
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.gate import Gate, listen
from lsm_perception.viewer.token import Guard
from waiting import wait_until

TOKEN = "a-long-enough-token"
SECRET = b"what only the known may see"


class Inner:
    """A server on loopback that answers each line with a secret, and counts who came."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.visits += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(65536):
                connection.sendall(SECRET + b"|" + data)


@pytest.fixture
def inner() -> Iterator[Inner]:
    server = Inner()
    yield server
    server.socket.close()


@pytest.fixture
def port(inner: Inner) -> Iterator[int]:
    listener = listen("127.0.0.1", 0)
    number = listener.getsockname()[1]
    door = Gate(listener, Guard(TOKEN, number), inner.port)
    yield number
    door.close()


def talk(port: int, data: bytes) -> bytes:
    """Send bytes, and return what comes back until the other side ends or falls silent."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        connection.settimeout(1.0)
        out = b""
        try:
            while part := connection.recv(65536):
                out += part
        except TimeoutError:
            pass
        return out


def get(port: int, target: str = "/", *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", f"Host: localhost:{port}", *headers]
    return talk(port, "\r\n".join([*lines, "", ""]).encode())


def test_a_stranger_gets_a_reason_and_nothing_else(port: int, inner: Inner) -> None:
    for answer in (
        get(port),
        get(port, "/?token=wrong"),
        get(port, "/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Protocol: viser-v1.1.1"),
        get(port, "/anything/../index.html"),
    ):
        assert answer.startswith(b"HTTP/1.1 403 ") and b"token" in answer and SECRET not in answer
    assert inner.visits == 0


def test_the_token_gives_a_cookie_and_the_cookie_lets_bytes_through_both_ways(port: int, inner: Inner) -> None:
    first = get(port, f"/?token={TOKEN}")
    assert first.startswith(b"HTTP/1.1 303 ") and b"Location: /\r\n" in first and inner.visits == 0
    cookie = next(line for line in first.decode().split("\r\n") if line.startswith("Set-Cookie: "))
    cookie = cookie.removeprefix("Set-Cookie: ").partition(";")[0]
    answer = get(port, "/", f"Cookie: {cookie}")
    assert answer.startswith(SECRET) and b"GET / HTTP/1.1" in answer


def test_noise_does_not_get_through_or_stop_the_gate(
    port: int, inner: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "HEAD_S", 0.3)
    assert talk(port, b"\x16\x03\x01 no http \r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert talk(port, b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000).startswith(b"HTTP/1.1 400 ")
    # A browser opens connections in advance: what is said on a silent one it would take for its next answer.
    assert talk(port, b"") == b"" and talk(port, b"GET / HTTP/1.1\r\n") == b""
    assert inner.visits == 0
    assert get(port).startswith(b"HTTP/1.1 403 ")


def test_more_connections_than_it_takes_are_turned_away(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "MAX_CONNECTIONS", 2)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    assert wait_until(lambda: get(port).startswith(b"HTTP/1.1 503 "), 5)
    for connection in silent:
        connection.close()
    assert wait_until(lambda: get(port).startswith(b"HTTP/1.1 403 "), 5)


def test_a_port_in_use_and_a_foreign_address_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(ViewerError, match=rf"127\.0\.0\.1:{taken}.*in use"):
            listen("127.0.0.1", taken)
    with pytest.raises(ViewerError, match=r"203\.0\.113\.7"):
        listen("203.0.113.7", 0)
