"""Long requests and answers, over a real server."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from servers import Server
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def test_echo_digests_a_streamed_body(server: Server) -> None:
    """The load harness checks each byte of its POSTs by this."""
    part = b"0123456789abcdef" * 4096

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield part

    answer = server.http.post("/echo", content=parts()).json()
    assert answer["length"] == 100 * len(part)
    assert answer["sha256"] == hashlib.sha256(part * 100).hexdigest()
    assert answer["release"] == "release-1"


def test_events_tick(server: Server) -> None:
    """Events arrive as they happen, name the release, and end at the limit."""
    with server.http.stream("GET", "/events?limit=2") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        data = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert [(event["tick"], event["release"]) for event in data] == [(1, "release-1"), (2, "release-1")]
    assert len({event["pid"] for event in data}) == 1


def test_stream_is_complete_and_can_be_verified(server: Server) -> None:
    """A download that was cut short is told from one that was not."""
    answer = server.get("/stream?seconds=1")
    body, _, last = answer.content[:-1].rpartition(b"\n")
    body += b"\n"
    stated = dict(word.split("=") for word in last.decode().split()[1:])
    assert last.startswith(b"complete ")
    assert len(body) == int(stated["bytes"]) == int(answer.headers["x-stream-bytes"]) == 40_960
    assert hashlib.sha256(body).hexdigest() == stated["sha256"]
    assert stated["release"] == "release-1"


@pytest.mark.parametrize(
    "path", ["/stream?seconds=601", "/stream?seconds=-1", "/events?limit=0", "/events?limit=3601"]
)
def test_long_answers_are_bounded(server: Server, path: str) -> None:
    """No client can hold a worker for ever."""
    assert server.get(path).status_code == 422


def test_websocket_echoes(server: Server) -> None:
    """Each message comes back with the release that has it."""
    with connect(server.url.replace("http", "ws") + "/ws") as websocket:
        for text in ("one", "zwei ü", ""):
            websocket.send(text)
            answer = json.loads(websocket.recv(timeout=10))
            assert (answer["echo"], answer["release"]) == (text, "release-1")


def test_websocket_refuses_binary(server: Server) -> None:
    """What it does not understand is closed with the code for that."""
    with connect(server.url.replace("http", "ws") + "/ws") as websocket:
        websocket.send(b"\x00")
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003
