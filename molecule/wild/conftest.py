"""What the tests of the applications share: what one of them answers through nginx."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from testinfra.host import Host

TIMEOUT_SECONDS = 20.0
INVENTORY = Path(__file__).resolve().parent / "inventory"
APPS = {
    app["name"]: app for app in yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())["apps"]
}

Get = Callable[..., tuple[int, str]]


@pytest.fixture
def get(host: Host) -> Get:
    """Return a function that asks an app for a path and returns the status and the body of its answer."""
    address = host.check_output("hostname -I").split()[0]

    def ask(app: str, path: str = "/healthz", headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        prefix = APPS[app].get("path", "")
        domain = APPS[app]["domains"][0]
        # Self-signed: what is tested here is the app.
        context = ssl._create_unverified_context()
        plain = socket.create_connection((address, 443), timeout=TIMEOUT_SECONDS)
        with context.wrap_socket(plain, server_hostname=domain) as secured:
            connection = http.client.HTTPConnection(domain)
            connection.sock = secured
            connection.request("GET", prefix + path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    return ask
