"""What the tests of this scenario share: one load for all of them, which nothing may disturb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

# What they assert is to be told in full, as in a test.
pytest.register_assert_rewrite("tests.harness.deploys", "app_under_load")

from app_under_load import AppUnderLoad  # noqa: E402 - the same

from tests.harness.deploys import ROOT, AppHost  # noqa: E402 - not before the line above
from tests.harness.load import Load  # noqa: E402 - the same

SCENARIO = Path(__file__).parent


@pytest.fixture(scope="session")
def site(host: Host) -> AppHost:
    """The app on its host."""
    return AppHost(host, host.check_output("hostname"), "observatory")


@pytest.fixture(scope="session")
def load(host: Host) -> Iterator[Load]:
    """Requests of every kind, few enough to leave the machine room for the deploys."""
    domain = "bad.lab.test"
    with Load(
        f"https://{domain}",
        ca=ROOT / "build/lab/bad-ca/ca.pem",
        resolve={domain: host.check_output(f"getent ahostsv4 {domain} | head -n 1 | cut -d' ' -f 1")},
        name="bad_release",
        connections=16,
        websockets=2,
        events=1,
        downloads=1,
        rate=100,
        seconds=3600,
    ) as load:
        load.wait_for_requests(100)
        yield load


@pytest.fixture(scope="session")
def app_under_load(site: AppHost, load: Load) -> AppUnderLoad:
    """The app under load."""
    return AppUnderLoad(site, load, SCENARIO / "inventory")
