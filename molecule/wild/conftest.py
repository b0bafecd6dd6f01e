"""What the tests of the applications share: what one of them answers through nginx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from testinfra.host import Host

from tests.harness.outside import Outside

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
        answer = Outside(address).https(APPS[app]["domains"][0], prefix + path, headers=headers)
        return answer.status, answer.body.decode()

    return ask
