"""Hosts go away and come back: the others go on, and a deploy does not go where it cannot come back from."""

from __future__ import annotations

import time

from fleet_under_load import CONNECTIONS, OUTAGE, Fleet, check_as_before, check_live, other_version

from tests.harness.machines import cut_off, shut_down, switch_on, unplugged

ENOUGH_REQUESTS = 300
GIVEN_UP_SECONDS = 35.0


# --- a host dies


def test_an_app_host_that_dies_costs_what_was_under_way_there(fleet: Fleet, all_on: None) -> None:
    """No GET, since an edge may ask another host; of the rest, no more than can be on their way."""
    fleet.begin(f"{OUTAGE}app2 is cut off")
    cut_off("app2")
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    switch_on("app2")
    fleet.wait_for_answers("app2")
    fleet.check_what_an_outage_may_cost()
    fleet.begin("app2 is back")
    check_live(fleet.look())
    fleet.check_nothing_was_lost()


def test_an_app_host_that_vanishes_is_given_up(fleet: Fleet) -> None:
    """A cable is pulled, and nobody says so: no edge waits for the host for as long as for a slow app."""
    fleet.begin(f"{OUTAGE}app3 is unplugged")
    with unplugged("app3"):
        # Longer than an edge may wait, so that what it waited for has come to its end.
        time.sleep(GIVEN_UP_SECONDS)
        fleet.check_what_an_outage_may_cost()
    fleet.wait_for_answers("app3")
    fleet.begin("app3 is plugged in again")
    check_live(fleet.look())
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    fleet.check_nothing_was_lost()


def test_an_edge_that_goes_away_is_left_to_the_other(fleet: Fleet, all_on: None) -> None:
    """Clients with two addresses go on; the edge comes back without anyone's help."""
    fleet.begin(f"{OUTAGE}edge1 is shut down")
    shut_down("edge1")
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    switch_on("edge1")
    fleet.wait_for_edge("edge1")
    fleet.load.wait_for_requests(CONNECTIONS)
    fleet.check_what_an_outage_may_cost()
    fleet.begin("edge1 is back")
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    fleet.check_nothing_was_lost()


# --- a deploy, while a host is away


def test_a_deploy_does_not_begin_without_a_host_unless_it_is_told_to(fleet: Fleet, all_on: None) -> None:
    """A fleet on two versions is somebody's decision, which is asked for before anything is touched."""
    before = fleet.begin(f"{OUTAGE}app3 is shut down")
    shut_down("app3")
    fleet.load.wait_for_requests(ENOUGH_REQUESTS)
    fleet.check_what_an_outage_may_cost()
    version = other_version(before)

    fleet.load.mark("deploy without app3, refused")
    refused = fleet.run("deploy", version=version)
    assert refused.failed, refused.output
    assert "app3" in refused.output, refused.output
    after = fleet.look("app3")
    check_as_before(before, after)
    for name, state in after.items():
        assert state.attempts == before[name].attempts, name
        assert state.serving == before[name].serving, name

    fleet.load.mark("deploy without app3, told to skip it")
    skipped = fleet.run("deploy", version=version, unreachable="skip")
    assert not skipped.failed, skipped.output
    assert "app3" in skipped.output, skipped.output
    check_live(fleet.look("app3"), version)

    switch_on("app3")
    fleet.wait_for_answers("app3")
    mixed = fleet.run("deploy", version=other_version(fleet.look()))
    assert mixed.failed, mixed.output
    assert "mixed=accept" in mixed.output, mixed.output
