"""Hosts that v0.1 installed become hosts of today, and no client may notice."""

from __future__ import annotations

from pathlib import Path

import pytest
from sight import APP, Takeover, changed_files, changes, remove, restarted, see

from tests.harness.deploys import AppHost, run

INVENTORY = Path(__file__).parents[1] / "inventory"
HOSTS = ("old12", "old13")
SERVICE = f"{APP}.service"
# Of v0.1's journal nobody knows whether it has taken up its settings. systemd keeps its sockets meanwhile.
MAY_RESTART = {SERVICE, "systemd-journald.service"}
# A master takes these up at its start alone.
RESTARTS_FOR = ("/usr/local/lib/farrier/", f"/etc/systemd/system/{SERVICE}")
REQUESTS_MIN = 1000
# Known, and harmless.
LEFT: set[str] = set()

each_host = pytest.mark.parametrize("name", HOSTS)


@each_host
def test_no_request_failed(takeover: Takeover, name: str) -> None:
    """The promise, for the run that takes over as for each run afterwards."""
    report = takeover.reports[name]
    assert report.requests > REQUESTS_MIN
    assert report.failed == 0, report


@each_host
def test_nothing_restarts_but_the_app_and_the_journal(takeover: Takeover, name: str) -> None:
    """nginx and the sockets hold the connections of others: they take up what is new while they run."""
    before, after = takeover.installed[name], takeover.taken[name]
    assert {"nginx.service", f"{APP}.socket", SERVICE} <= before.units.keys()
    assert restarted(before, after) <= MAY_RESTART


@each_host
def test_the_app_restarts_when_its_master_is_outdated_and_only_then(takeover: Takeover, name: str) -> None:
    """What the master has imported it keeps; what it has not imported is no reason to end it."""
    before, after = takeover.installed[name], takeover.taken[name]
    reasons = {path for path in changed_files(before, after) if path.startswith(RESTARTS_FOR)}
    assert (before.main_pid != after.main_pid) == bool(reasons), reasons


@each_host
def test_the_first_run_leaves_the_release_alone(takeover: Takeover, name: str) -> None:
    """The release that v0.1 built is live, good and known."""
    before, after = takeover.installed[name].state, takeover.taken[name].state
    assert (after.live, after.releases, after.problem) == (before.live, before.releases, "")
    new = after.attempts[len(before.attempts) :]
    assert after.attempts[: len(before.attempts)] == before.attempts
    # The one restart is a transaction, and on record.
    assert [(attempt["what"], attempt["result"]) for attempt in new] == [("restart", "live")]


@each_host
def test_a_deploy_goes_live(takeover: Takeover, name: str) -> None:
    """On top of what v0.1 left, built by today's tool."""
    after = takeover.deployed[name].state
    assert after.live.endswith("-today")
    assert (after.attempts[-1]["result"], after.problem) == ("live", "")
    assert after.live in takeover.reports[name].releases


@each_host
def test_a_rollback_goes_to_the_release_that_v01_built(takeover: Takeover, name: str) -> None:
    """On the day after the takeover it is the only one to go back to."""
    after = takeover.back[name].state
    assert after.live == takeover.installed[name].state.live
    assert (after.attempts[-1]["what"], after.problem) == ("rollback", "")


@each_host
def test_the_second_run_changes_nothing(takeover: Takeover, name: str) -> None:
    """Once is enough."""
    assert changes(takeover.runs["second site"], name) == 0
    assert restarted(takeover.back[name], takeover.again[name]) == set()
    assert changed_files(takeover.back[name], takeover.again[name]) == set()


def test_nothing_is_left_that_only_v01_used(takeover: Takeover, apps: dict[str, AppHost]) -> None:
    """Last of all, on one host: of what v0.1 has put there, site.yml puts back whatever is in use."""
    name = HOSTS[-1]
    before, now = takeover.installed[name], takeover.again[name]
    old = before.files.keys() & now.files.keys() - changed_files(before, now)
    remove(apps[name], old)
    done = run(INVENTORY, "site", ["--limit", name])
    assert not done.failed, done.output
    assert old - see(apps[name]).files.keys() == LEFT
