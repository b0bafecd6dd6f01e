"""What the tests of this scenario share: one load through both edges, and the fleet under it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

# What they assert is to be told in full, as in a test.
pytest.register_assert_rewrite("tests.harness.deploys", "fleet_under_load")

from fleet_under_load import APP, CONNECTIONS, DOMAIN, Fleet  # noqa: E402 - not before the line above

from tests.harness.connections import reached  # noqa: E402 - the same
from tests.harness.deploys import AppHost  # noqa: E402 - the same
from tests.harness.load import Load  # noqa: E402 - the same
from tests.harness.machines import switch_on  # noqa: E402 - the same
from tests.harness.outside import Outside, authority  # noqa: E402 - the same

SCENARIO = Path(__file__).parent


@pytest.fixture(scope="session")
def edges() -> dict[str, Outside]:
    """The edges by name."""
    groups = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())["all"]["children"]
    lab = groups["lab"]["hosts"]
    return {name: Outside(lab[name]["ansible_host"], authority(SCENARIO)) for name in groups["edge"]["hosts"]}


@pytest.fixture(scope="session")
def load(edges: dict[str, Outside]) -> Iterator[Load]:
    """Requests of every kind but notes, few enough to leave the machine room for the deploys."""
    with Load(
        f"https://{DOMAIN}",
        ca=authority(SCENARIO),
        resolve={DOMAIN: [edge.address for edge in edges.values()]},
        name="rolling",
        connections=CONNECTIONS,
        websockets=2,
        events=2,
        downloads=1,
        rate=100,
        seconds=3600,
        no_notes=True,
        retry_safe=True,
    ) as load:
        load.wait_for_requests(100)
        yield load


@pytest.fixture(scope="session")
def fleet(edges: dict[str, Outside], load: Load) -> Fleet:
    """The app on all of its hosts, under load."""
    groups = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())["all"]["children"]
    return Fleet(
        {name: AppHost(reached(name), name, APP) for name in groups["app"]["hosts"]},
        edges,
        reached("edge1"),
        reached("rolling-ca"),
        load,
        SCENARIO / "inventory",
    )


@pytest.fixture
def one_version(fleet: Fleet) -> Iterator[None]:
    """Whatever the test does to the fleet, afterwards all hosts run one version."""
    yield
    fleet.make_whole()


@pytest.fixture
def all_on(fleet: Fleet, one_version: None) -> Iterator[None]:
    """Whatever the test does to the machines, afterwards all are on; then, they run one version."""
    yield
    for name in (*fleet.apps, *fleet.edges):
        switch_on(name)
    for name in fleet.edges:
        fleet.wait_for_edge(name)
