"""What the tests of the servers share: an app on its host, and load on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

# What they assert is to be told in full, as in a test.
pytest.register_assert_rewrite("tests.harness.deploys")

from tests.harness.deploys import AppHost  # noqa: E402 - not before the line above
from tests.harness.load import Load  # noqa: E402 - the same
from tests.harness.outside import authority  # noqa: E402 - the same

SCENARIO = Path(__file__).parent
# Few enough to leave two processors room for the deploys; `make bench-servers` asks for more.
REQUESTS_PER_SECOND = float(os.environ.get("SERVERS_REQUESTS_PER_SECOND", "100"))

STREAMS = {"websockets": 2, "events": 2, "downloads": 1}


@pytest.fixture(scope="session")
def app(host: Host) -> Callable[[str], AppHost]:
    """Return a function that finds an app on the host."""
    return lambda name: AppHost(host, host.check_output("hostname"), name)


@pytest.fixture(scope="session")
def load_on(host: Host) -> Callable[[str], Load]:
    """Return a function that makes load of every kind on an app."""

    def load(name: str) -> Load:
        domain = f"{name}.lab.test"
        streams = {"websockets": 0, "events": 0, "downloads": 0} if name in ("threads", "uwsgi") else STREAMS
        return Load(
            f"https://{domain}",
            ca=authority(SCENARIO),
            resolve={domain: host.check_output(f"getent ahostsv4 {domain} | head -n 1 | cut -d' ' -f 1")},
            name=f"servers_{name}",
            connections=16,
            **streams,
            rate=REQUESTS_PER_SECOND,
            seconds=3000,
        )

    return load
