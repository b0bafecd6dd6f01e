"""A fleet under load: what is done to it, and what has to be true of its hosts and its clients afterwards."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testinfra.host import Host
from versions import GOOD, SERVER

from tests.harness.deploys import AppHost, Run, State, run
from tests.harness.load import Load
from tests.harness.meanwhile import repeated
from tests.harness.outside import Outside

APP = "observatory"
DOMAIN = "rolling.lab.test"
CONNECTIONS = 16
OUTAGE = "outage: "
BACK_WITHIN_SECONDS = 60.0
ASK_EVERY_SECONDS = 0.05

States = dict[str, State]


@dataclass(frozen=True)
class Row:
    """What the table at the end of a deploy says of a host."""

    before: str
    after: str
    path: str
    result: str


class Fleet:
    """The app on all of its hosts.

    Args:
        apps: the app's hosts by name, in the order of the inventory.
        edges: the edges by name, as the world sees them.
        edge_host: one of the edges, where commands run as root.
        stranger: a host that is neither, where commands run as root.
        load: what keeps the fleet busy.
        inventory: with which it is deployed.
    """

    def __init__(
        self,
        apps: dict[str, AppHost],
        edges: dict[str, Outside],
        edge_host: Host,
        stranger: Host,
        load: Load,
        inventory: Path,
    ) -> None:
        self.apps = apps
        self.edges = edges
        self.edge_host = edge_host
        self.stranger = stranger
        self.load = load
        self.inventory = inventory
        self._status: dict[str, Any] = {}

    def begin(self, label: str) -> States:
        """Mark the beginning of a step in the load's record, and return what there is on each host."""
        self.load.mark(label)
        self._status = self.load.status()
        return self.look()

    def look(self, *but: str) -> States:
        """What there is on each host, when nothing works on the app any more.

        Args:
            but: hosts that are away.
        """
        return {name: app.wait_until_quiet() for name, app in self.apps.items() if name not in but}

    def run(self, playbook: str, **variables: Any) -> Run:
        """Run a playbook for the app to its end."""
        return run(self.inventory, playbook, app=APP, **variables)

    def site(self, *options: str) -> Run:
        """Run site.yml."""
        return run(self.inventory, "site", options)

    @contextmanager
    def drained(self, name: str) -> Iterator[None]:
        """Take an app host out of rotation meanwhile."""
        try:
            self._drain(name, "on")
            yield
        finally:
            self._drain(name, "off")

    @contextmanager
    def asked(self, path: str) -> Iterator[None]:
        """Ask for a path through all edges meanwhile, whatever the answer."""

        def ask() -> None:
            for edge in self.edges.values():
                with suppress(OSError, http.client.HTTPException):
                    edge.https(DOMAIN, path)

        with repeated(ask, every_seconds=ASK_EVERY_SECONDS):
            yield

    def make_whole(self) -> None:
        """One version on all hosts, whatever a test has left."""
        states = self.look()
        if len({version_of(state.live) for state in states.values()}) > 1:
            done = self.run("deploy", version=other_version(states), mixed="accept")
            assert not done.failed, done.output
            check_live(self.look())

    def answers(self, name: str) -> int:
        """How many answers have named this app host so far."""
        return int(self.load.status()["answers_by_host"].get(name, 0))

    def wait_for_answers(self, name: str) -> None:
        """Wait until this app host answers (again)."""
        before = self.answers(name)
        self.load.wait_for(
            lambda status: status["answers_by_host"].get(name, 0) > before,
            what=f"get an answer of {name}",
            within_seconds=BACK_WITHIN_SECONDS,
        )

    def wait_for_edge(self, name: str) -> None:
        """Wait until this edge serves the app (again)."""
        wait_until(lambda: self._serves(name), f"{name} serves {DOMAIN}")

    def check_nothing_was_lost(self) -> None:
        """Since `begin` no request failed, none had to be repeated, and no stream was cut."""
        status = self.load.status()
        for what in ("failed", "repeated", "streams_lost"):
            assert status[what] == self._status[what], f"{what}: build/load/rolling.json says which"

    def check_what_an_outage_may_cost(self) -> None:
        """Since `begin` nothing failed but requests that must not be repeated and were under way."""
        failed = Counter(self.load.status()["failed_by_method"])
        failed.subtract(self._status["failed_by_method"])
        assert +failed <= Counter(POST=CONNECTIONS), "build/load/rolling.json says which"

    def _drain(self, name: str, state: str) -> None:
        done = run(self.inventory, "drain", host=name, drain=state)
        assert not done.failed, done.output

    def _serves(self, name: str) -> bool:
        try:
            return self.edges[name].https(DOMAIN, "/healthz").status == 200
        except OSError:
            return False


def version_of(release: str) -> str:
    """The version in a release's id."""
    return release.partition("Z-")[2]


def other_version(states: States) -> str:
    """A version that can live, and is live nowhere."""
    live = {version_of(state.live) for state in states.values()}
    return next(version for version in (*GOOD, SERVER) if version not in live)


def check_live(states: States, version: str | None = None) -> None:
    """All hosts run one version, which is this one if it is told, and nothing is left over."""
    wanted = version or version_of(next(iter(states.values())).live)
    for name, state in states.items():
        assert state.problem == "", name
        assert version_of(state.live) == wanted, name
        assert state.lease is None, name
        assert state.incoming == [], name


def check_as_before(before: States, after: States) -> None:
    """Each of these hosts runs the release that it ran, and nothing is left over."""
    for name, state in after.items():
        assert state.problem == "", name
        assert state.live == before[name].live, name
        assert state.lease is None, name


def attempts_since(before: States, after: States, name: str) -> list[dict[str, Any]]:
    """What a host's log has gained."""
    return after[name].attempts[len(before[name].attempts) :]


def row(done: Run, name: str) -> Row:
    """What the table at the end of a run says of a host."""
    columns = rf"\b{name} +(\S+) +(\S+) +(reload|overlap|start|-) +(?:[\d.]+|-) +(\w+)"
    found = re.search(columns, done.output)
    assert found, f"no row of {name}:\n{done.output}"
    return Row(*found.groups())


def wait_until(reached: Callable[[], bool], what: str) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it is not in time.
    """
    deadline = time.monotonic() + BACK_WITHIN_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"not within {BACK_WITHIN_SECONDS:g} s: {what}"
        time.sleep(0.2)
