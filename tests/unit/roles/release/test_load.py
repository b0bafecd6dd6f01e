"""The clients of a measurement: what counts as an answer, and what as a failure."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from farrier_release.load import Load, load

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
SECONDS = 0.3


@contextmanager
def server(path: Path, pieces: list[bytes], *, cuts: bool) -> Iterator[list[int]]:
    """A server that answers each request with the pieces; yields a list that grows with each connection."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen(64)
    connections: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        with connection:
            while connection.recv(65536):
                for piece in pieces:
                    connection.sendall(piece)
                if cuts:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connections.append(1)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield connections
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


def asked(directory: Path, *pieces: bytes, cuts: bool = False, status: int = 200) -> tuple[Load, int]:
    """What two clients see of a server, and how many connections they needed."""
    with server(directory / "http.sock", list(pieces), cuts=cuts) as connections:
        seen = load(directory / "http.sock", REQUEST, status, connections=2, seconds=SECONDS)
        return seen, len(connections)


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234", b"56789"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"oding: chunked\r\n\r\n3\r\nabc\r\n", b"0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ],
)
def test_a_connection_is_kept_from_answer_to_answer(directory: Path, pieces: list[bytes]) -> None:
    """However an answer says where it ends, and in however many pieces it comes."""
    seen, connections = asked(directory, *pieces)
    assert (seen.failed, connections) == (0, 2)
    assert len(seen.answers) > 20
    assert all(0 < seconds < SECONDS + 1 for seconds in seen.answers)
    assert SECONDS <= seen.seconds < SECONDS + 5


def test_a_server_that_closes_is_asked_on_another_connection(directory: Path) -> None:
    """Announced or not; an answer without a length ends with its connection."""
    announced = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"
    seen, connections = asked(directory, announced, cuts=True)
    assert seen.failed == 0
    assert connections == len(seen.answers) > 20


def test_an_answer_that_ends_with_its_connection(directory: Path) -> None:
    """HTTP/1.0 needs no length."""
    seen, connections = asked(directory, b"HTTP/1.0 200 OK\r\n\r\nall of it", cuts=True)
    assert seen.failed == 0
    assert connections == len(seen.answers) > 20


def test_what_fails(directory: Path) -> None:
    """Another status, an answer that is cut, and no answer."""
    wrong, _ = asked(directory, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
    assert wrong.failed > 20
    assert wrong.answers == []
    (directory / "http.sock").unlink()
    cut, _ = asked(directory, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", cuts=True)
    assert cut.failed > 20
    assert cut.answers == []
    (directory / "http.sock").unlink()
    nobody = load(directory / "http.sock", REQUEST, 200, connections=1, seconds=0.2)
    assert nobody.failed > 1
    assert nobody.answers == []
