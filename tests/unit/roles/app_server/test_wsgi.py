"""A WSGI app under the hand-over master: nothing is lost in a reload, and the app sees its clients."""

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

from tests.unit.roles.app_server.host import Host, wait_for
from tests.unit.roles.app_server.load import Load
from tests.unit.roles.app_server.test_handover import assert_stops_cleanly, codes_without_errors

APP = """
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
    texts = {name: value for name, value in environ.items() if isinstance(value, str)}
    return answer({"code": RELEASE, "pid": os.getpid(), "environ": texts,
                   "uvicorn": [name for name in sys.modules if name.startswith("uvicorn")]})

HELD = []
"""


@pytest.fixture
def make_wsgi_host(make_host: Callable[..., Host]) -> Callable[..., Host]:
    """Hosts of WSGI apps, release 1 live and release 2 beside it."""

    def make(**settings: object) -> Host:
        host = make_host(worker_class="handover_wsgi", **settings)
        for name in ("1", "2"):
            add_release(host, name)
        host.activate("1")
        return host

    return make


@pytest.fixture
def wsgi_host(make_wsgi_host: Callable[..., Host]) -> Host:
    return make_wsgi_host()


def add_release(host: Host, name: str, code: str = APP) -> None:
    """A release whose module is `code`."""
    release = host.add_release(name)
    (release / "source" / "project" / "example.py").write_text(code)


def access_log(host: Host) -> list[dict[str, Any]]:
    """The lines of the access log."""
    return [json.loads(line) for line in host.log.read_text().splitlines() if line.startswith("{")]


def test_reloads_lose_nothing(wsgi_host: Host) -> None:
    """Good and bad releases in turn, under POSTs on connections that are kept."""
    add_release(wsgi_host, "broken", "import a_module_that_nobody_installed")
    wsgi_host.start()
    with Load(wsgi_host.socket) as load:
        for release, code in [("2", 0), ("broken", 1), ("1", 0), ("2", 0)]:
            done = wsgi_host.deploy(release)
            assert done.returncode == code, done.stderr
            load.wait_for_more(100)
    assert load.failures == []
    assert set(load.releases) == {"1", "2"}
    assert {wsgi_host.get()["code"] for _ in range(20)} == {"2"}
    assert wsgi_host.get()["uvicorn"] == []
    assert_stops_cleanly(wsgi_host)


def test_requests_under_way_are_answered_by_the_release_that_took_them(wsgi_host: Host) -> None:
    """For as long as the graceful timeout says; the answer asks for another connection."""
    wsgi_host.start()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(wsgi_host.get, "/slow?3")
        time.sleep(0.5)
        assert wsgi_host.deploy("2").returncode == 0
        assert slow.result()["code"] == "1"
        slow = threads.submit(wsgi_host.get, "/slow?2")
        time.sleep(0.5)
        assert wsgi_host.stop() == 0
        assert slow.result()["code"] == "2"


def test_old_workers_serve_again_when_the_new_release_dies(wsgi_host: Host) -> None:
    """They stand by for ten seconds."""
    add_release(wsgi_host, "dies", f"import os, threading\nthreading.Timer(2, os._exit, [7]).start()\n{APP}")
    wsgi_host.start()
    workers = {worker.pid for worker in wsgi_host.ready()}
    assert wsgi_host.deploy("dies").returncode == 0
    wait_for(lambda: codes_without_errors(wsgi_host) == {"1"}, "release 1 serves again", wsgi_host)
    wait_for(lambda: {w.pid for w in wsgi_host.ready()} == workers, "its workers are the same", wsgi_host)
    assert {wsgi_host.get()["pid"] for _ in range(20)} <= workers


@pytest.mark.parametrize(
    ("settings", "use"),
    [
        ({"max_requests": 30}, lambda host: [host.get("/") for _ in range(200)]),
        ({"worker_memory_max_mb": 200}, lambda host: host.get("/hold?250")),
    ],
)
def test_used_up_workers_are_replaced_without_a_loss(
    make_wsgi_host: Callable[..., Host], settings: dict[str, int], use: Callable[[Host], object]
) -> None:
    """By number of requests and by memory."""
    host = make_wsgi_host(**settings)
    host.start()
    workers = {worker.pid for worker in host.ready()}
    with Load(host.socket, connections=2) as load:
        use(host)
        wait_for(lambda: {worker.pid for worker in host.ready()} - workers, "a worker is replaced", host)
    assert load.failures == []


def test_killed_worker_is_replaced(wsgi_host: Host) -> None:
    """And SIGTERM from somebody else is a drain."""
    wsgi_host.start()
    before = {worker.pid for worker in wsgi_host.ready()}
    with pytest.raises(http.client.RemoteDisconnected):
        wsgi_host.get("/end?7")
    wait_for(lambda: len({w.pid for w in wsgi_host.ready()} & before) == 1, "one has ended", wsgi_host)
    wsgi_host.wait_until_serving()
    pid = wsgi_host.ready()[0].pid
    with Load(wsgi_host.socket) as load:
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: pid not in {w.pid for w in status.read_workers(wsgi_host.run_directory)}, "it ends")
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


def test_app_sees_the_client_as_the_proxy_does(wsgi_host: Host) -> None:
    """Address, scheme and port, without a line of code; the log has them, too."""
    wsgi_host.start()
    code, headers, body = ask(wsgi_host, "/?secret=1", FORWARDED)
    environ = json.loads(body)["environ"]
    assert (code, headers["x-release"]) == (200, "1")
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("203.0.113.7", "https")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("shop.example.org", "443")
    lines = wait_for(lambda: access_log(wsgi_host), "the line is written", wsgi_host)
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
    assert "secret" not in wsgi_host.log.read_text()


def test_app_below_a_prefix_knows_it(make_wsgi_host: Callable[..., Host]) -> None:
    """nginx takes the prefix away; the URLs that the app makes, and the log, have it."""
    host = make_wsgi_host(root_path="/shop")
    host.start()
    environ = json.loads(ask(host, "/cart", FORWARDED)[2])["environ"]
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", "/cart")
    lines = wait_for(lambda: access_log(host), "the line is written", host)
    assert lines[-1]["path"] == "/shop/cart"


def test_nobody_but_the_proxy_is_believed(wsgi_host: Host) -> None:
    """On a TCP port that anybody on the machine reaches, from addresses that were not named."""
    wsgi_host.start(FARRIER_BIND="127.0.0.1:0", FORWARDED_ALLOW_IPS="192.0.2.1")
    port = int(re.search(r"Listening at: http://127.0.0.1:(\d+)", wsgi_host.log.read_text())[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/", headers=FORWARDED)
    environ = json.loads(connection.getresponse().read())["environ"]
    connection.close()
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")


def test_exception_is_a_500_on_a_connection_that_stays(wsgi_host: Host) -> None:
    """And in the log with the id of its request. In the middle of an answer, the answer is cut."""
    wsgi_host.start()
    with wsgi_host.connection() as connection:
        for _ in range(2):
            connection.request("POST", "/fail", body=b"x" * 100_000, headers=FORWARDED)
            response = connection.getresponse()
            assert (response.status, response.read()) == (500, b"Internal Server Error")
            assert response.getheader("connection") != "close"
            assert response.getheader("x-release") == "1"
    log = wsgi_host.log.read_text()
    assert "Exception in WSGI application, request the-id: POST /fail" in log
    assert "RuntimeError: a mistake of the app" in log
    wait_for(lambda: [line["status"] for line in access_log(wsgi_host)] == [500, 500], "the lines", wsgi_host)
    with wsgi_host.connection() as connection:
        connection.request("GET", "/fail-later")
        with pytest.raises(Exception, match="IncompleteRead"):
            connection.getresponse().read()


def test_threads_answer_at_the_same_time(make_wsgi_host: Callable[..., Host]) -> None:
    """As many as the settings say."""
    host = make_wsgi_host(workers=1, threads=3)
    host.start()
    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: host.get("/slow?1"), range(3)))
        assert time.monotonic() - began < 1.9
        list(threads.map(lambda _: host.get("/slow?1"), range(4)))
    assert time.monotonic() - began > 2.9
