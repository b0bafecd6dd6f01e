"""A request that fails ends no connection that the proxy may have given to somebody else by then."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.harness.load import misbehaving
from tests.unit.roles.app_server.host import Host, wait_for

# An answer of which the client knows that it is not whole: whoever reads it must not take it for one.
CUT = {"raise_within", "longer_at_once", "shorter", "unfinished"}
STATUS_500 = {"raise_before", "raise_after_empty", "raise_after_no_content", "no_answer", "bad_length"} | {
    *("bad_header", "bad_status", "informational")
}
WHOLE = misbehaving.WAYS.keys() - CUT - STATUS_500 - {"never_end", "raise_after"}
# How long an innocent request may wait behind a connection's former one.
INNOCENT_SECONDS = 2.0


@pytest.fixture(scope="module", params=["handover", "handover_h11"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One master for all of them, whose app misbehaves."""
    with Host(tmp_path_factory.mktemp("host"), worker_class=request.param, workers=1) as host:
        project = host.add_release("1", prologue="from misbehaving import Misbehaving") / "source/project"
        (project / "misbehaving.py").write_text(Path(misbehaving.__file__).read_text())
        with (project / "example.py").open("a") as code:
            code.write("\napp = Misbehaving(app)\n")
        host.activate("1")
        host.start()
        yield host


def post_echo(connection: http.client.HTTPConnection) -> None:
    """The innocent request. A connection that was closed under it raises here."""
    connection.sock.settimeout(INNOCENT_SECONDS)
    connection.request("POST", "/echo", b"innocent")
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read()) == {"sha256": sha256(b"innocent").hexdigest()}


def check_next_request(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
    """The connection lives, unless the answer has said that it does not."""
    time.sleep(0.05)  # for a server that closes it a moment later
    if response.getheader("Connection") == "close":
        assert connection.sock is None
    else:
        assert connection.sock is not None
        post_echo(connection)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("way", sorted(WHOLE))
def test_an_answer_that_is_whole_closes_nothing(host: Host, way: str, method: str) -> None:
    """Whatever the app does afterwards: the proxy has given the connection to somebody else."""
    with host.connection() as connection:
        connection.request(method, misbehaving.PREFIX + way, b"x" if method == "POST" else None)
        response = connection.getresponse()
        content = response.read()
        assert response.status < 400
        assert content == (b"" if response.status in (204, 304) else b"0123456789")
        check_next_request(connection, response)


@pytest.mark.parametrize("way", sorted(STATUS_500 | {"raise_after"}))
def test_what_fails_before_its_answer_is_answered_500(host: Host, way: str) -> None:
    """By the worker, with the whole body taken in: a proxy that is cut off while it sends says 502."""
    with host.connection() as connection:
        connection.request("POST", misbehaving.PREFIX + way, b"x" * 300_000)
        response = connection.getresponse()
        assert response.status == 500
        assert response.getheader("X-Release") == "1"
        response.read()
        check_next_request(connection, response)


@pytest.mark.parametrize("way", sorted(CUT))
def test_an_answer_that_is_not_whole_is_cut(host: Host, way: str) -> None:
    """Half a file must not look like the file."""
    with host.connection() as connection:
        connection.request("GET", misbehaving.PREFIX + way)
        with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
            connection.getresponse().read()


@pytest.mark.parametrize("way", sorted(WHOLE | {"raise_within", "unfinished", "never_end"}))
def test_an_answer_to_head_is_whole_with_its_header(host: Host, way: str) -> None:
    """The proxy does not wait for the end of a body that never comes."""
    with host.connection() as connection:
        connection.request("HEAD", misbehaving.PREFIX + way)
        response = connection.getresponse()
        response.read()
        assert response.status < 400
        check_next_request(connection, response)


def test_who_never_ends_its_answer_is_alone_with_it(host: Host) -> None:
    """The client concerned gets what there is."""
    with host.connection() as connection, host.connection() as other:
        connection.request("GET", misbehaving.PREFIX + "never_end")
        response = connection.getresponse()
        assert response.read1(1) == b"x"
        post_echo(other)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_sends_to_nobody_is_told_so(host: Host, method: str) -> None:
    """The client goes, the answer never ends: each stop and each deploy would wait for it in vain."""
    request_id = f"nobody-{method}"
    with host.connection() as connection:
        connection.request(method, misbehaving.PREFIX + "never_end", headers={"X-Request-ID": request_id})
        connection.getresponse().read1(1)
    # The access log has a line when the app has ended.
    wait_for(lambda: request_id in host.log.read_text(), "the app has ended", host)


def test_the_log_says_which_request_it_was(host: Host) -> None:
    """Of thousands, and where the exception came from."""
    with host.connection() as connection:
        headers = {"X-Request-ID": "4711"}
        connection.request("GET", misbehaving.PREFIX + "raise_after?token=s3cr3t", headers=headers)
        connection.getresponse().read()
    told = "Exception in ASGI application, request 4711: GET /misbehave/raise_after\n"
    wait_for(lambda: "RuntimeError: after" in host.log.read_text().partition(told)[2], "it is logged", host)
    log = host.log.read_text()
    assert "s3cr3t" not in log


@pytest.mark.parametrize("way", sorted(misbehaving.WEBSOCKET_WAYS.keys() - {"raise_after_accepting"}))
def test_a_websocket_that_is_refused_announces_the_end(host: Host, way: str) -> None:
    """uvicorn closes the connection of a refusal, which is an answer like any other to a proxy."""
    with host.websocket(misbehaving.PREFIX + way) as (_, head):
        pass
    assert int(head[0].split()[1]) >= 400
    connection = [line.lower() for line in head if line.lower().startswith(b"connection:")]
    assert connection == [b"connection: close\r\n"]


def test_a_bad_request_is_told_that_the_connection_ends(make_host: Callable[..., Host]) -> None:
    """What the app never sees is uvicorn's to answer."""
    host = make_host(workers=1)
    host.add_release("1")
    host.activate("1")
    host.start()
    with socket.socket(socket.AF_UNIX) as client, client.makefile("rwb") as stream:
        client.settimeout(5)
        client.connect(str(host.socket))
        stream.write(b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stream.flush()
        answer = stream.read().lower()
    assert answer.startswith(b"http/1.1 400 ")
    assert b"connection: close\r\n" in answer
