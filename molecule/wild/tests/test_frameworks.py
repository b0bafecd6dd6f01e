"""Flask, Django and Channels see their clients as nginx does, without a line of code for it."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable

import pytest
from testinfra.host import Host
from websockets.sync.client import connect

Get = Callable[..., tuple[int, str]]


@pytest.mark.parametrize(("name", "prefix"), [("flask-site", "/shop"), ("django-site", ""), ("channels", "")])
def test_app_knows_its_client_and_its_place(get: Get, name: str, prefix: str) -> None:
    """As nginx knows it, which takes this machine for a proxy and believes it about the address alone."""
    status, body = get(name, "/client", {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Ssl": "off"})
    assert status == 200
    assert json.loads(body) == {
        "address": "192.0.2.1",
        "scheme": "https",
        "url": f"https://{name}.lab.test{prefix}/client",
    }


def test_channels_answers_on_a_websocket(host: Host) -> None:
    """By Daphne, which came with the kit."""
    address = host.check_output("hostname -I").split()[0]
    # Self-signed: what is tested here is the app.
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((address, 443), timeout=10) as connection,
        connect("wss://channels.lab.test/echo", sock=connection, ssl=context) as websocket,
    ):
        websocket.send("hello")
        assert websocket.recv(timeout=10) == "hello"


def test_environment_has_no_server_but_gunicorn(host: Host) -> None:
    """A WSGI app needs no uvicorn."""
    packages = host.check_output("ls /srv/flask-site/current/.venv/lib/python3*/site-packages")
    assert "gunicorn" in packages
    assert "uvicorn" not in packages


def test_access_log_has_the_id_of_the_request(host: Host, get: Get) -> None:
    """As that of ASGI apps does."""
    get("flask-site", "/client")
    with host.sudo():
        host.check_output("journalctl --sync")
        log = host.check_output("journalctl --unit flask-site --output cat --lines 50")
    line = [json.loads(line) for line in log.splitlines() if line.startswith("{")][-1]
    assert (line["path"], line["status"], len(line["request_id"])) == ("/shop/client", 200, 32)
