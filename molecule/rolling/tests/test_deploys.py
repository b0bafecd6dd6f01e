"""Releases roll over the fleet batch by batch; a bad one gets as far as the first host on which it is bad."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fleet_under_load import (
    Fleet,
    States,
    attempts_since,
    check_as_before,
    check_live,
    other_version,
    row,
    version_of,
)
from versions import (
    BAD_ERROR,
    BAD_ON_A_PATH,
    BAD_ON_APP3,
    BAD_ON_APP3_ERROR,
    BAD_PATH,
    BAD_WHEN_LIVE,
    SERVER,
)

from tests.harness.deploys import Run

CANARY, *OTHERS = ("app1", "app2", "app3")


def check_rolled(done: Run, before: States, after: States, version: str, path: str) -> None:
    """All hosts have it, the canary had it first, and the operator reads just that."""
    assert not done.failed, done.output
    check_live(after, version)
    attempts = {name: attempts_since(before, after, name) for name in after}
    for name, state in after.items():
        assert [(attempt["to"], attempt["result"]) for attempt in attempts[name]] == [(state.live, "live")]
        assert attempts[name][0]["how"] == path
        told = row(done, name)
        assert (told.before, told.after) == (before[name].live, state.live)
        assert (told.path, told.result) == (path, "live")
    for name in OTHERS:
        assert attempts[CANARY][0]["at"] <= attempts[name][0]["at"], attempts


def check_not_drained(done: Run) -> None:
    """No edge was asked to leave a host out."""
    assert re.findall(r"\(item=(\w+): (.*)\)", done.output) == []


# --- a release that is good


def test_a_release_rolls_over_the_fleet(fleet: Fleet, tmp_path: Path) -> None:
    """The daily case: every host has it, one before the others, and no client has noticed."""
    before = fleet.begin("rolling deploy")
    version = other_version(before)
    # The canary is watched for a moment, as it would be for a minute.
    done = fleet.run("deploy", version=version, release_soak_seconds=3, release_error_percent_max=1)
    after = fleet.look()
    path = "overlap" if SERVER in {version_of(state.live) for state in before.values()} else "reload"
    check_rolled(done, before, after, version, path)
    fleet.check_nothing_was_lost()
    said = fleet.run("status", release_status_file=str(tmp_path / "status.json"))
    assert not said.failed, said.output
    status = json.loads((tmp_path / "status.json").read_text())
    assert {name: apps[0]["live"] for name, apps in status.items()} == {
        name: state.live for name, state in after.items()
    }


def test_a_rollback_rolls_over_the_fleet(fleet: Fleet) -> None:
    """The way back is the one that is needed in a hurry, on all hosts."""
    if any(state.status["previous"] is None for state in fleet.look().values()):
        done = fleet.run("deploy", version=other_version(fleet.look()))
        assert not done.failed, done.output
    before = fleet.begin("rolling rollback")
    done = fleet.run("rollback")
    after = fleet.look()
    assert not done.failed, done.output
    check_live(after)
    for name, state in after.items():
        assert state.live == before[name].status["previous"], name
    fleet.check_nothing_was_lost()


# --- releases that are bad


def test_the_canary_stops_a_release_that_is_bad_when_live(fleet: Fleet) -> None:
    """What no rehearsal shows costs one host a moment, and the others nothing at all."""
    before = fleet.begin("bad on the canary")
    done = fleet.run("deploy", version=BAD_WHEN_LIVE)
    assert done.failed, done.output
    for text in (CANARY, BAD_ERROR):
        assert text in done.output, done.output
    after = fleet.look()
    check_as_before(before, after)
    (last,) = attempts_since(before, after, CANARY)
    assert (version_of(last["to"]), last["result"]) == (BAD_WHEN_LIVE, "undone")
    for name in OTHERS:
        tried = [attempt["to"] for attempt in after[name].attempts]
        assert [release for release in tried if version_of(release) == BAD_WHEN_LIVE] == [], name
    releases = fleet.load.status()["releases"]
    assert [release for release in releases if version_of(release) == BAD_WHEN_LIVE] == []
    fleet.check_nothing_was_lost()


def test_errors_that_clients_get_stop_a_release(fleet: Fleet, one_version: None) -> None:
    """It boots, it is healthy, and it fails some who ask: only the edges' logs know."""
    before = fleet.begin("errors of the canary")
    with fleet.asked(BAD_PATH):
        done = fleet.run("deploy", version=BAD_ON_A_PATH, release_soak_seconds=5, release_error_percent_max=1)
    assert done.failed, done.output
    assert "release_error_percent_max is 1" in done.output, done.output
    after = fleet.look()
    check_as_before(before, after)
    assert version_of(attempts_since(before, after, CANARY)[0]["to"]) == BAD_ON_A_PATH
    for name in OTHERS:
        assert attempts_since(before, after, name) == [], name
    fleet.check_nothing_was_lost()


def test_a_failure_in_the_second_batch_takes_all_hosts_back(fleet: Fleet, one_version: None) -> None:
    """Half a fleet on a release that fails on the other half is no place to stay."""
    before = fleet.begin("bad in the second batch, rollback")
    done = fleet.run("deploy", version=BAD_ON_APP3, release_on_failure="rollback")
    assert done.failed, done.output
    assert BAD_ON_APP3_ERROR in done.output, done.output
    assert row(done, "app3").result != "live"
    after = fleet.look()
    check_as_before(before, after)
    went_live = attempts_since(before, after, CANARY)[0]
    assert (version_of(went_live["to"]), went_live["result"]) == (BAD_ON_APP3, "live")
    fleet.check_nothing_was_lost()


def test_a_failure_in_the_second_batch_holds_when_it_is_told_to(fleet: Fleet, one_version: None) -> None:
    """Who wants to look into it finds each host where the output says, the failed one as it was."""
    before = fleet.begin("bad in the second batch, hold")
    done = fleet.run("deploy", version=BAD_ON_APP3, release_on_failure="hold")
    assert done.failed, done.output
    assert BAD_ON_APP3_ERROR in done.output, done.output
    after = fleet.look()
    assert version_of(after[CANARY].live) == BAD_ON_APP3
    assert after["app3"].live == before["app3"].live
    for name, state in after.items():
        assert state.problem == "", name
        assert (row(done, name).result == "live") == (version_of(state.live) == BAD_ON_APP3), done.output
    fleet.check_nothing_was_lost()


# --- a release that needs other masters


def test_another_server_package_gets_other_masters_and_drains_no_host(fleet: Fleet) -> None:
    """On each host a stand-in serves while the service restarts."""
    before = fleet.begin("server package")
    if version_of(before[CANARY].live) == SERVER:
        pytest.fail("the server package is live already: run test_a_release_rolls_over_the_fleet first")
    done = fleet.run("deploy", version=SERVER)
    after = fleet.look()
    check_rolled(done, before, after, SERVER, "overlap")
    for name, state in after.items():
        assert state.status["service"]["main_pid"] != before[name].status["service"]["main_pid"], name
    check_not_drained(done)
    fleet.check_nothing_was_lost()


def test_the_way_back_from_it_drains_no_host_either(fleet: Fleet) -> None:
    """The way back is the one that is needed in a hurry."""
    before = fleet.begin("rollback of the server package")
    assert {version_of(state.live) for state in before.values()} == {SERVER}
    done = fleet.run("rollback")
    after = fleet.look()
    assert not done.failed, done.output
    check_live(after)
    for name in after:
        assert row(done, name).path == "overlap", done.output
    check_not_drained(done)
    fleet.check_nothing_was_lost()
