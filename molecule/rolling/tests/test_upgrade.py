"""Upgrades and reboots, one host after the other, while the others serve."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from fleet_under_load import OUTAGE, Fleet, check_live

from tests.harness.connections import reached
from tests.harness.deploys import Playbook, Run
from tests.harness.machines import is_on, switch_on

POLL_SECONDS = 1.0


def maintained(fleet: Fleet, group: str, names: Iterable[str]) -> Run:
    """Run upgrade.yml for a group of hosts and start what it shuts down, as a machine's firmware does."""
    with Playbook(fleet.inventory, "upgrade", {"reboot": "always"}, ["--limit", group]) as playbook:
        while playbook.runs:
            for name in names:
                if not is_on(name):
                    switch_on(name)
            time.sleep(POLL_SECONDS)
        return playbook.end()


def began(fleet: Fleet, names: Iterable[str]) -> dict[str, str]:
    """When the first process of each host began, as the kernel says it."""
    started = "cut --delimiter=' ' --fields=22 /proc/1/stat"
    return {name: reached(name).check_output(started) for name in names}


@pytest.mark.usefixtures("all_on")
def test_app_hosts_start_anew_and_no_client_notices(fleet: Fleet) -> None:
    """Each is out of the rotation before it goes, and in it again when it serves."""
    before = fleet.begin("maintenance of the app hosts")
    began_before = began(fleet, before)
    done = maintained(fleet, "app", before)
    assert not done.failed, done.output
    for name, moment in began(fleet, before).items():
        assert moment != began_before[name], name
    check_live(fleet.look())
    for name in before:
        fleet.wait_for_answers(name)
    fleet.check_nothing_was_lost()


@pytest.mark.usefixtures("all_on")
def test_edges_start_anew_one_after_the_other(fleet: Fleet) -> None:
    """Clients have the other one; what was on its way through this one may be lost with it."""
    fleet.begin(f"{OUTAGE}maintenance of the edges")
    began_before = began(fleet, fleet.edges)
    done = maintained(fleet, "edge", fleet.edges)
    assert not done.failed, done.output
    for name, moment in began(fleet, fleet.edges).items():
        assert moment != began_before[name], name
    for name in fleet.edges:
        fleet.wait_for_edge(name)
    fleet.check_what_an_outage_may_cost()
