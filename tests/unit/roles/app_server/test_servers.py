"""Servers other than uvicorn under the hand-over master: nothing is lost, and the app sees its clients."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from farrier_gunicorn import status
from farrier_gunicorn.servers import WORKER_CLASSES

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import assert_stops_cleanly, codes, codes_without_errors

WSGI_APP = """
import hashlib, json, os, sys, time
import dependency
RELEASE = os.environ["RELEASE_ID"]

def app(environ, start_response):
    def answer(value):
        body = json.dumps(value).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/echo":
        return answer({"sha256": hashlib.sha256(environ["wsgi.input"].read()).hexdigest()})
    if path == "/slow":
        time.sleep(float(query))
    if path == "/end":
        os._exit(int(query))
    if path == "/fail":
        raise RuntimeError("a mistake of the app")
    if path == "/fail-later":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (1 // (2 - number) and b"piece" for number in range(3))
    if path == "/hold":
        HELD.append(b"x" * (int(query) * 2**20))
    if path == "/pieces":
        start_response("200 OK", [("X-Accel-Buffering", query)] if query else [])
        return (b"piece" for number in range(2))
    return answer({"code": RELEASE, "pid": os.getpid(), "client": environ["REMOTE_ADDR"],
                   "scheme": environ["wsgi.url_scheme"], "prefix": environ["SCRIPT_NAME"],
                   "path": environ["SCRIPT_NAME"] + path,
                   "server": [environ["SERVER_NAME"], environ["SERVER_PORT"]],
                   "uvicorn": [name for name in sys.modules if name.startswith("uvicorn")]})

HELD = []
"""

ASGI_APP = """
import asyncio, hashlib, json, os, sys
import dependency
RELEASE = os.environ["RELEASE_ID"]

async def app(scope, receive, send):
    async def answer(value):
        body = json.dumps(value).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("the shutdown handler has run", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    path, query = scope["path"].removeprefix(scope.get("root_path", "")), scope["query_string"].decode()
    if path == "/echo":
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message["body"])
            more = message.get("more_body", False)
        return await answer({"sha256": digest.hexdigest()})
    if path == "/slow":
        await asyncio.sleep(float(query))
    if path == "/end":
        os._exit(int(query))
    if path == "/fail":
        raise RuntimeError("a mistake of the app")
    if path == "/fail-later":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"piece", "more_body": bool(2 // (2 - number))})
    if path == "/hold":
        HELD.append(b"x" * (int(query) * 2**20))
    await answer({"code": RELEASE, "pid": os.getpid(), "client": (scope["client"] or [""])[0],
                  "scheme": scope["scheme"], "prefix": scope.get("root_path", ""), "path": scope["path"],
                  "state": scope["state"], "uvicorn": [name for name in sys.modules if name == "uvicorn"]})

HELD = []
"""

WSGI = ["handover_wsgi", "handover_uwsgi"]
ASGI = ["handover_asgi", "handover_hypercorn", "handover_daphne"]
SERVERS = [*WSGI, *ASGI]
# Each of its answers asks for another connection.
NEVER_KEEPS = "handover_uwsgi"


def app_of(host: Host) -> str:
    return WSGI_APP if host.settings["worker_class"] in WSGI else ASGI_APP


@pytest.fixture(params=SERVERS)
def worker_class(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_server_host(make_host: Callable[..., Host], worker_class: str) -> Callable[..., Host]:
    """Hosts of a server other than uvicorn, release 1 live and release 2 beside it."""

    def make(**settings: object) -> Host:
        # Twisted takes its time to import.
        host = make_host(worker_class=worker_class, boot_timeout_seconds=30, **settings)
        for name in ("1", "2"):
            host.add_release(name, code=app_of(host))
        host.activate("1")
        return host

    return make


@pytest.fixture
def host(make_server_host: Callable[..., Host]) -> Host:
    return make_server_host()


def access_log(host: Host) -> list[dict[str, Any]]:
    """The lines of the access log."""
    return [json.loads(line) for line in host.log.read_text().splitlines() if line.startswith("{")]


def test_reloads_lose_nothing(host: Host) -> None:
    """Good and bad releases in turn, under POSTs on connections that are kept."""
    host.add_release("broken", code=app_of(host), prologue="import a_module_that_nobody_installed")
    host.start()
    with Load(host.socket) as load:
        for release, code in [("2", 0), ("broken", 1), ("1", 0), ("2", 0)]:
            done = host.deploy(release)
            assert done.returncode == code, done.stderr
            load.wait_for_more(100)
    assert load.failures == []
    assert set(load.releases) == {"1", "2"}
    assert {host.get()["code"] for _ in range(20)} == {"2"}
    assert host.get()["uvicorn"] == []
    assert_stops_cleanly(host)


def test_requests_under_way_are_answered_by_the_release_that_took_them(host: Host) -> None:
    """For as long as the graceful timeout says; the answer asks for another connection."""
    host.start()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(host.get, "/slow?3")
        time.sleep(0.5)
        assert host.deploy("2").returncode == 0
        assert slow.result()["code"] == "1"
        slow = threads.submit(host.get, "/slow?2")
        time.sleep(0.5)
        assert host.stop() == 0
        assert slow.result()["code"] == "2"


def test_old_workers_serve_again_when_the_new_release_dies(host: Host) -> None:
    """They stand by for ten seconds."""
    host.add_release(
        "dies", code=app_of(host), prologue="import os, threading\nthreading.Timer(2, os._exit, [7]).start()"
    )
    host.start()
    workers = {worker.pid for worker in host.ready()}
    assert host.deploy("dies").returncode == 0
    wait_for(lambda: codes_without_errors(host) == {"1"}, "release 1 serves again", host)
    wait_for(lambda: {w.pid for w in host.ready()} == workers, "its workers are the same", host)
    assert {host.get()["pid"] for _ in range(20)} <= workers


@pytest.mark.parametrize(
    ("settings", "use"),
    [
        ({"max_requests": 30}, lambda host: [host.get("/") for _ in range(200)]),
        ({"worker_memory_max_mb": 200}, lambda host: host.get("/hold?250")),
    ],
)
def test_used_up_workers_are_replaced_without_a_loss(
    make_server_host: Callable[..., Host], settings: dict[str, int], use: Callable[[Host], object]
) -> None:
    """By number of requests and by memory."""
    host = make_server_host(**settings)
    host.start()
    workers = {worker.pid for worker in host.ready()}
    with Load(host.socket, connections=2) as load:
        use(host)
        wait_for(lambda: {worker.pid for worker in host.ready()} - workers, "a worker is replaced", host)
    assert load.failures == []


def test_killed_worker_is_replaced(host: Host) -> None:
    """And SIGTERM from somebody else is a drain."""
    host.start()
    before = {worker.pid for worker in host.ready()}
    with pytest.raises(http.client.RemoteDisconnected):
        host.get("/end?7")
    wait_for(lambda: len({w.pid for w in host.ready()} & before) == 1, "one has ended", host)
    host.wait_until_serving()
    pid = host.ready()[0].pid
    with Load(host.socket) as load:
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: pid not in {w.pid for w in status.read_workers(host.run_directory)}, "it ends")
    assert load.failures == []


FORWARDED = {
    "Host": "shop.example.org",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "443",
    "X-Request-ID": "the-id",
}


def ask(host: Host, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    with host.connection() as connection:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()


def test_app_sees_the_client_as_the_proxy_does(host: Host) -> None:
    """Address, scheme and port, without a line of code; the log has them, too."""
    host.start()
    code, headers, body = ask(host, "/?secret=1", FORWARDED)
    seen = json.loads(body)
    assert (code, headers["x-release"]) == (200, "1")
    assert (seen["client"], seen["scheme"]) == ("203.0.113.7", "https")
    # What else an app may make URLs of; an ASGI app has the Host header for that.
    assert seen.get("server") in (None, ["shop.example.org", "443"])
    lines = wait_for(lambda: access_log(host), "the line is written", host)
    assert lines[-1] | {"time": "", "duration_ms": 0} == {
        "time": "",
        "request_id": "the-id",
        "client": "203.0.113.7",
        "method": "GET",
        "path": "/",
        "status": 200,
        "duration_ms": 0,
        "release": "1",
    }
    assert "secret" not in host.log.read_text()


def test_a_request_is_one_line_of_the_log(host: Host) -> None:
    """And no other line is about it."""
    host.start()
    wait_for(lambda: "release 1, serves" in host.log.read_text(), "the master has said so", host)
    before = host.log.read_text()
    for _ in range(5):
        assert ask(host, "/", FORWARDED)[0] == 200
    wait_for(lambda: len(access_log(host)) == 5, "the lines are written", host)
    said = host.log.read_text().removeprefix(before).splitlines()
    assert [line for line in said if not line.startswith("{")] == []


def test_app_below_a_prefix_knows_it(make_server_host: Callable[..., Host]) -> None:
    """nginx takes the prefix away; the URLs that the app makes, and the log, have it."""
    host = make_server_host(root_path="/shop")
    host.start()
    seen = json.loads(ask(host, "/cart", FORWARDED)[2])
    assert (seen["prefix"], seen["path"]) == ("/shop", "/shop/cart")
    lines = wait_for(lambda: access_log(host), "the line is written", host)
    assert lines[-1]["path"] == "/shop/cart"


def test_nobody_but_the_proxy_is_believed(host: Host) -> None:
    """On a TCP port that anybody on the machine reaches, from addresses that were not named."""
    host.start(FARRIER_BIND="127.0.0.1:0", FORWARDED_ALLOW_IPS="192.0.2.1")
    port = int(re.search(r"Listening at: http://127.0.0.1:(\d+)", host.log.read_text())[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=FORWARDED)
    seen = json.loads(connection.getresponse().read())
    connection.close()
    assert (seen["client"], seen["scheme"]) == ("127.0.0.1", "http")


def test_exception_is_a_500_on_a_connection_that_stays(host: Host, worker_class: str) -> None:
    """And in the log with the id of its request. In the middle of an answer, the answer is cut."""
    host.start()
    requests = 1 if worker_class == NEVER_KEEPS else 2
    with host.connection() as connection:
        for _ in range(requests):
            connection.request("POST", "/fail", body=b"x" * 100_000, headers=FORWARDED)
            response = connection.getresponse()
            assert (response.status, response.read()) == (500, b"Internal Server Error")
            assert (response.getheader("connection") == "close") == (worker_class == NEVER_KEEPS)
            assert response.getheader("x-release") == "1"
    log = host.log.read_text()
    assert re.search(r"Exception in [AW]SGI application, request the-id: POST /fail", log)
    assert "RuntimeError: a mistake of the app" in log
    wait_for(lambda: [line["status"] for line in access_log(host)] == [500] * requests, "the lines", host)
    with host.connection() as connection:
        connection.request("GET", "/fail-later")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()


def test_answer_before_the_body_has_arrived_keeps_the_connection(host: Host, worker_class: str) -> None:
    """What is on its way is another request's connection for the proxy."""
    host.start()
    requests = 1 if worker_class == NEVER_KEEPS else 2
    with host.connection() as connection:
        for _ in range(requests):
            head = b"POST /fail HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
            connection.sock.sendall(head + b"x" * 1000)
            time.sleep(0.3)
            connection.sock.sendall(b"x" * 99_000)
            response = http.client.HTTPResponse(connection.sock, method="POST")
            response.begin()
            assert (response.status, response.read()) == (500, b"Internal Server Error")


@pytest.mark.parametrize("worker_class", WSGI)
@pytest.mark.parametrize(("path", "expected"), [("/", None), ("/pieces", "no"), ("/pieces?yes", "yes")])
def test_nginx_passes_on_what_comes_piece_by_piece(host: Host, path: str, expected: str | None) -> None:
    """What has a length stays buffered: a slow client does not hold a thread."""
    host.start()
    with host.connection() as connection:
        connection.request("GET", path)
        assert connection.getresponse().getheader("X-Accel-Buffering") == expected


@pytest.mark.parametrize("worker_class", WSGI)
def test_threads_answer_at_the_same_time(make_server_host: Callable[..., Host]) -> None:
    """As many as the settings say."""
    host = make_server_host(workers=1, threads=3)
    host.start()
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: host.get("/slow?2"), range(3)))
        assert time.monotonic() - began < 3.9
        list(threads.map(lambda _: host.get("/slow?2"), range(4)))
    assert time.monotonic() - began > 5.9


@pytest.mark.parametrize("worker_class", ASGI)
def test_app_is_started_and_ended(host: Host) -> None:
    """By its own handlers, whose state the requests see; also where the server alone would run none."""
    host.start()
    assert host.get()["state"] == {"started": True}
    assert host.stop() == 0
    assert host.log.read_text().count("the shutdown handler has run") == host.settings["workers"]


@pytest.mark.parametrize("worker_class", ASGI)
def test_start_up_that_fails_says_why(host: Host) -> None:
    """And the release before it goes on."""
    host.add_release("fails", code=app_of(host))
    code = host.directory / "releases" / "fails" / "source" / "project" / "example.py"
    failing = '{"type": "lifespan.startup.failed", "message": "the database is away"}'
    code.write_text(code.read_text().replace('{"type": "lifespan.startup.complete"}', failing))
    host.start()
    done = host.deploy("fails")
    assert done.returncode == 1
    assert "release fails, startup: the database is away" in done.stderr
    assert host.get()["code"] == "1"


@pytest.mark.parametrize("worker_class", ASGI)
def test_streams_end_in_order(make_host: Callable[..., Host], worker_class: str) -> None:
    """A WebSocket is told to come again, and a stream of events ends between two of them."""
    host = make_host(worker_class=worker_class)
    for name in ("1", "2"):
        host.add_release(name)
    host.activate("1")
    host.start()
    with (
        host.websocket("/") as (stream, head),
        host.connection() as connection,
        ThreadPoolExecutor() as threads,
    ):
        assert head[0].startswith(b"HTTP/1.1 101")
        connection.request("GET", "/events?1000")
        answer = connection.getresponse()
        assert answer.readline() == b"data: 0 1\n"
        events = threads.submit(answer.read)
        assert host.deploy("2").returncode == 0
        frame = stream.read(4)
        assert (frame[0], int.from_bytes(frame[2:4], "big")) == (0x88, 1012)
        # The client's own close frame, masked by zeros.
        stream.write(b"\x88\x82\0\0\0\0" + frame[2:4])
        stream.flush()
        assert events.result().endswith(b" 1\n\n")
    assert codes(host) == {"2"}


@pytest.mark.parametrize("worker_class", SERVERS)
def test_release_keeps_the_server_that_it_was_built_for(
    make_host: Callable[..., Host], worker_class: str
) -> None:
    """Whatever the settings say by now: another server comes with another release, by another master."""
    host = make_host(worker_class="handover")
    host.add_release("1")
    host.settings["worker_class"] = worker_class
    host.add_release("2", code=app_of(host))
    server = WORKER_CLASSES[worker_class].server
    for release, name in (("1", "uvicorn"), ("2", server)):
        (host.directory / "releases" / release / ".farrier.json").write_text(json.dumps({"server": name}))
    host.activate("1")
    host.write_settings()
    host.start()
    assert host.get()["code"] == "1"
    done = host.deploy("2")
    assert done.returncode == 1
    assert "server has changed: farrier-release --app example restart" in done.stderr
    assert host.get()["code"] == "1"
    assert host.stop() == 0
    host.start()
    assert status.read_master(host.run_directory).worker_class == worker_class
    assert host.get()["code"] == "2"
