"""What is under way when a worker is told to go: it is answered, or told properly that it is over."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from typing import BinaryIO

import pytest
from farrier_gunicorn import status
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, unix_connect

from tests.unit.roles.app_server.host import Host, wait_for

# Opcodes of frames.
TEXT, CLOSE = 1, 8


def connect_websocket(host: Host) -> ClientConnection:
    return unix_connect(str(host.socket), "ws://localhost/websocket")


@pytest.mark.parametrize("worker_class", ["handover", "handover_h11"])
def test_websocket_is_closed_with_1012_and_reconnects_to_the_new_release(
    make_host: Callable[..., Host], worker_class: str
) -> None:
    """1012 tells a client to come back at once, and it has to meet the new release when it does."""
    host = make_host(worker_class=worker_class)
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    host.start()
    with connect_websocket(host) as connection:
        connection.send("hello")
        assert connection.recv() == "1 hello"
        assert host.deploy("2").returncode == 0
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv(timeout=5)  # at once, not when the worker ends
        assert closed.value.rcvd.code == 1012
    with connect_websocket(host) as connection:
        connection.send("hello")
        assert connection.recv() == "2 hello"


def read_frame(stream: BinaryIO) -> tuple[int, bytes]:
    """Opcode and content of a short frame from a server."""
    first, length = stream.read(2)
    return first & 0x0F, stream.read(length)


def test_websocket_is_not_closed_under_its_clients_words(host: Host) -> None:
    """A proxy that finds the socket gone while it passes a message on never reads the close frame."""
    host.start()
    with host.websocket("/websocket") as (stream, _):
        assert host.deploy("2").returncode == 0
        assert read_frame(stream) == (CLOSE, (1012).to_bytes(2, "big"))
        for opcode, content in ((TEXT, b"hello"), (CLOSE, (1012).to_bytes(2, "big"))):
            time.sleep(0.2)
            stream.write(bytes([0x80 | opcode, 0x80 | len(content)]) + bytes(4) + content)
            stream.flush()
        assert stream.read() == b""


@pytest.mark.parametrize("worker_class", ["handover", "handover_h11"])
def test_events_go_on_through_a_reload_to_their_end(
    make_host: Callable[..., Host], worker_class: str
) -> None:
    """A stream belongs to the release that began it, and gets the time to finish."""
    host = make_host(worker_class=worker_class)
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    host.start()
    with host.connection() as connection:
        connection.request("GET", "/events?30")
        response = connection.getresponse()
        assert host.deploy("2").returncode == 0
        assert host.get()["code"] == "2"
        events = response.read().decode().strip().split("\n\n")
    assert events == [f"data: {number} 1" for number in range(30)]


def test_endless_events_end_between_two_of_them_within_the_graceful_timeout(
    make_host: Callable[..., Host],
) -> None:
    """A stream without an end must not keep an old worker for ever. The heartbeat goes on in the drain."""
    host = make_host(graceful_timeout_seconds=5, timeout_seconds=2)
    host.add_release("1")
    host.add_release("2")
    host.activate("1")
    host.start()
    with host.connection() as connection:
        connection.request("GET", "/events?100000")
        response = connection.getresponse()
        assert host.deploy("2").returncode == 0
        began = time.monotonic()
        body = response.read()
        assert body.endswith(b" 1\n\n")
        assert time.monotonic() - began > host.settings["timeout_seconds"]
    wait_for(lambda: len(status.read_workers(host.run_directory)) == 2, "the old workers are gone", host)
    log = host.log.read_text()
    assert "WORKER TIMEOUT" not in log
    assert "was killed" not in log
    assert log.count("Application shutdown complete") == 2


def test_a_stop_does_not_wait_for_endless_events(host: Host) -> None:
    """While a worker waits for its streams nobody accepts: a restart would be an outage for all others."""
    host.start()
    with host.connection() as connection:
        connection.request("GET", "/events?100000")
        response = connection.getresponse()
        began = time.monotonic()
        assert host.stop() == 0
        assert time.monotonic() - began < host.settings["graceful_timeout_seconds"] / 2
        assert response.read().endswith(b" 1\n\n")


def test_slow_body_is_taken_in_through_a_reload(host: Host) -> None:
    """The body of an upload may arrive long after the old workers were told to go."""
    host.start()
    with host.connection() as connection:
        connection.putrequest("POST", "/echo")
        connection.putheader("Content-Length", "2000")
        connection.endheaders(b"a" * 1000)
        assert host.deploy("2").returncode == 0
        assert host.get()["code"] == "2"
        connection.send(b"b" * 1000)
        response = connection.getresponse()
        assert response.getheader("X-Release") == "1"
        assert response.getheader("Connection") == "close"
        assert json.loads(response.read())["sha256"] == sha256(b"a" * 1000 + b"b" * 1000).hexdigest()


def test_connection_accepted_before_a_reload_may_send_its_request_after_it(host: Host) -> None:
    """A proxy that has just connected is about to send: uvicorn would close such a connection unread."""
    host.start()
    with ExitStack() as stack:
        connections = [stack.enter_context(host.connection()) for _ in range(20)]
        time.sleep(0.2)  # until they are accepted, by workers of release 1
        assert host.deploy("2").returncode == 0
        releases = set()
        for connection in connections:
            connection.request("POST", "/echo", b"hello")
            response = connection.getresponse()
            assert response.status == 200
            releases.add(response.getheader("X-Release"))
    assert releases == {"1"}


@pytest.mark.parametrize("worker_class", ["handover", "handover_h11"])
def test_a_proxy_that_is_late_finds_its_idle_connection_open(
    make_host: Callable[..., Host], worker_class: str
) -> None:
    """On a busy machine its clock may run out long after it should: what it has not closed, it may use."""
    host = make_host(worker_class=worker_class, graceful_timeout_seconds=30)
    for release in "123":
        host.add_release(release)
    host.activate("1")
    host.start()
    with host.connection() as connection:
        connection.request("POST", "/echo", b"hello")
        assert connection.getresponse().read()
        assert host.deploy("2").returncode == 0
        assert host.deploy("3").returncode == 0  # release 1 need not stand by any more
        time.sleep(4 * host.settings["proxy_keepalive_seconds"])
        connection.request("POST", "/echo", b"hello")
        response = connection.getresponse()
        assert (response.status, response.getheader("Connection")) == (200, "close")
        assert response.getheader("X-Release") == "1"


def test_a_stop_does_not_wait_for_a_proxy_that_has_vanished(host: Host) -> None:
    """A host that was unplugged has left its connections open for ever, and nobody accepts meanwhile."""
    host.start()
    with host.connection() as connection:
        connection.request("POST", "/echo", b"hello")
        assert connection.getresponse().read()
        began = time.monotonic()
        assert host.stop() == 0
        assert time.monotonic() - began < host.settings["graceful_timeout_seconds"] * 0.7


def test_old_worker_imports_late_from_its_own_release(host: Host) -> None:
    """What a draining worker imports for the first time must not come from the release that is current."""
    host.start()
    with host.connection() as connection:
        connection.putrequest("POST", "/import-late")
        connection.putheader("Content-Length", "1")
        connection.endheaders()
        time.sleep(0.2)  # until a worker of release 1 has it
        assert host.deploy("2").returncode == 0
        connection.send(b".")
        answer = json.loads(connection.getresponse().read())
    assert answer == {"code": "1", "imported_late": "1", "dependency": "1"}


def test_stop_answers_what_is_under_way_and_refuses_nothing_before(host: Host) -> None:
    """systemctl stop, restart and a shutdown of the machine are SIGTERM to the master."""
    host.start()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(host.get, "/slow?4") for _ in range(8)]
        time.sleep(0.5)
        assert host.stop() == 0
        assert [answer.result()["release"] for answer in answers] == ["1"] * 8
    assert host.processes() == []


def test_quit_does_not_wait(host: Host) -> None:
    """SIGQUIT and SIGINT are for an operator who wants it gone, whatever is under way."""
    host.start()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(host.get, "/slow?60")
        time.sleep(0.5)
        host.signal(signal.SIGQUIT)
        assert host.wait() == 0
        with pytest.raises((ConnectionError, AssertionError)):  # cut, or 500
            answer.result()
    assert host.processes() == []
