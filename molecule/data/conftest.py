"""What the tests share: the application asked through nginx, and the machines of both inventories."""

from __future__ import annotations

import json
from typing import Any

import pytest
from places import APART, DOMAINS, Ask, passwords
from testinfra.host import Host

from tests.harness.connections import reached
from tests.harness.deploys import run
from tests.harness.outside import Outside


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Return a function that asks an app on a host for a path, and returns the JSON that it answers."""

    def ask(host: Host, app: str, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        address = host.check_output("hostname -I").split()[0]
        answer = Outside(address).https(DOMAINS[app], path, method=method, body=body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    return ask


@pytest.fixture(scope="session")
def alone() -> Host:
    """Return the machine that has everything."""
    return reached("data")


@pytest.fixture(scope="session")
def apart() -> tuple[Host, Host]:
    """Return the database host and the app host of the other inventory, set up by `site.yml`."""
    site = run(APART, "site", ["-vvv"])
    assert not site.failed, site.output
    # Nothing that a run says has a secret in it.
    app_host = reached("data-app")
    database = reached("data-database")
    of_replication = database.check_output("cut -d: -f5 /etc/postgresql/17/main/farrier.pgpass")
    for password in [*passwords(app_host), of_replication]:
        assert password not in site.output
    return database, app_host
