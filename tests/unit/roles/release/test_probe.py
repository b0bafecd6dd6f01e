"""Questions to an application that answers in its own way, or never."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from farrier_release.application import Application
from farrier_release.config import Edge
from farrier_release.probe import Answer, ask, ask_edge
from farrier_release.verify import VerificationError, wait_until_serving

from tests.unit.roles.release.conftest import make_live
from tests.unit.roles.release.machine import FakeHost

LIVE = "20260103T000000Z-v3"

HEAD = b"HTTP/1.1 200 OK\r\nX-Release: r1\r\n"
GOOD = HEAD + b"Content-Length: 2\r\n\r\nok"

Serve = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture
def serve(directory: Path) -> Iterator[Serve]:
    """Listens on a unix socket and hands each connection to a function; returns the socket's path."""
    with contextlib.ExitStack() as stack:

        def start(answer: Callable[[socket.socket], None]) -> str:
            listening = stack.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(str(directory / "web.sock"))
            listening.listen()

            def run() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = listening.accept()
                        with connection, contextlib.suppress(OSError):
                            answer(connection)

            threading.Thread(target=run, daemon=True).start()
            return str(directory / "web.sock")

        yield start


def sends(data: bytes, *, every_seconds: float = 0.0) -> Callable[[socket.socket], None]:
    """Answers with some bytes, all at once or one by one."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        for byte in data if every_seconds else ():
            connection.sendall(bytes([byte]))
            time.sleep(every_seconds)
        connection.sendall(b"" if every_seconds else data)

    return answer


@pytest.mark.parametrize(
    "data",
    [GOOD, HEAD + b"Content-Length: 99\r\n\r\n" + b"x" * 99, b"HTTP/1.1 100 Continue\r\n\r\n" * 9],
    ids=["head", "body", "never comes to the point"],
)
def test_an_answer_that_drips(serve: Serve, data: bytes) -> None:
    """The limit is for all of it: each byte for itself comes soon enough."""
    path = serve(sends(data, every_seconds=0.05))
    started = time.monotonic()
    answer = ask(path, "/healthz", "shop.example", timeout_seconds=0.5)
    assert time.monotonic() - started < 2
    assert answer == Answer(0, error="gave no complete answer within 0.5 s")


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"X-Fill: " + b"x" * 60_000 + b"\r\nX-More: " + b"x" * 60_000 + b"\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000 + GOOD,
    ],
    ids=["long lines", "many heads"],
)
def test_a_head_without_end(serve: Serve, data: bytes) -> None:
    """nginx would refuse it, too."""
    answer = ask(serve(sends(data)), "/healthz", "shop.example", timeout_seconds=5)
    assert answer.status == 0
    assert answer.error == "answered with more than 98304 bytes"


@pytest.mark.parametrize(
    "body", [b"Content-Length: 9\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nha"]
)
def test_an_answer_that_breaks_off(serve: Serve, body: bytes) -> None:
    """Its head alone is no good answer."""
    answer = ask(serve(sends(HEAD + body)), "/healthz", "shop.example", timeout_seconds=5)
    assert (answer.status, answer.error[:14]) == (0, "IncompleteRead")


def test_a_large_body_is_not_read_to_its_end(serve: Serve) -> None:
    """Whoever answers with a page of a megabyte is well."""
    data = HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    assert ask(serve(sends(data)), "/healthz", "shop.example", timeout_seconds=5) == Answer(200, "r1")


@pytest.mark.parametrize(("tls", "scheme", "port"), [(True, "https", "443"), (False, "http", "80")])
def test_the_application_is_asked_as_nginx_asks_it(serve: Serve, tls: bool, scheme: str, port: str) -> None:
    """An app that redirects http to https, or wants to know the client's address, finds what nginx tells."""
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(GOOD)

    assert ask(serve(answer), "/healthz?a=b", "shop.example", timeout_seconds=5, tls=tls) == Answer(200, "r1")
    first, *headers = asked[0].decode().split("\r\n")
    assert first == "GET /healthz?a=b HTTP/1.1"
    found = dict(line.split(": ", 1) for line in headers if line)
    assert len(found.pop("X-Request-ID")) == 32
    assert found == {
        "Host": "shop.example",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Port": port,
        "X-Forwarded-Proto": scheme,
        "User-Agent": "farrier-release",
        "Connection": "close",
    }


def test_the_headers_are_those_that_nginx_sets() -> None:
    """All that it tells the app about a client, and nothing else; what it empties is not sent."""
    repository = Path(__file__).parents[4]
    template = repository / "roles/nginx/templates/etc/nginx/farrier/proxy.conf.j2"
    lines = [
        line.split() for line in template.read_text().splitlines() if line.startswith("proxy_set_header")
    ]
    told = {name for _, name, value, *_ in lines if value != '"";' and name not in ("Upgrade", "Connection")}
    source = (repository / "roles/release/files/farrier_release/probe.py").read_text()
    assert {name for name in told if f'"{name}":' not in source} == set()


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_no_answer_at_all(serve: Serve, answer: bytes) -> None:
    """Is a fault with a reason."""
    found = ask(serve(sends(answer)), "/healthz", "shop.example", timeout_seconds=5)
    assert (found.status, bool(found.error)) == (0, True)


def test_a_probe_never_outlasts_its_phase(
    application: Application, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A health path that hangs keeps nobody waiting beyond the limit."""
    make_live(host, LIVE)

    def hangs(*_: object, timeout_seconds: float, **__: object) -> Answer:
        time.sleep(timeout_seconds)
        return Answer(0, error="hung")

    monkeypatch.setattr("farrier_release.verify.ask", hangs)
    started = time.monotonic()
    with pytest.raises(VerificationError, match="hung"):
        wait_until_serving(application, LIVE, 2)
    assert time.monotonic() - started < 3.5


def test_nobody_listens(directory: Path) -> None:
    """On a unix socket, on a port, or through nginx."""
    found = [
        ask(str(directory / "absent.sock"), "/", "shop.example", timeout_seconds=5),
        ask("127.0.0.1:1", "/", "shop.example", timeout_seconds=5),
        ask("[::1]:1", "/", "shop.example", timeout_seconds=5),
        ask_edge(Edge("127.0.0.1", 1, "shop.example", tls=True), "/", timeout_seconds=5),
        ask_edge(Edge("127.0.0.1", 1, "shop.example", tls=False), "/", timeout_seconds=5),
    ]
    assert [answer.status for answer in found] == [0] * 5
    assert all(answer.error for answer in found)
