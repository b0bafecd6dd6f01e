"""Whatever serves, no client notices a deploy, a bad release, or the way back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.deploys import AppHost, run
from tests.harness.load import Load

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
# `make bench-servers` asks for 20, and has more apps.
DEPLOYS = int(os.environ.get("SERVERS_DEPLOYS", "2"))
MORE_SERVERS = ("h11", "threads") if "SERVERS_DEPLOYS" in os.environ else ()
SERVERS = ("hypercorn", "daphne", "asgi", "uwsgi", *MORE_SERVERS)
REQUESTS_BETWEEN = 200
BACK_WITHIN_SECONDS = 30.0

Apps = Callable[[str], AppHost]
Loads = Callable[[str], Load]


def other_version(site: AppHost) -> str:
    """The good version that is not live."""
    return "green" if site.look().live.endswith("-blue") else "blue"


def play(load: Load, label: str, playbook: str, *, fails: bool = False, **variables: str) -> str:
    """Run a playbook while the clients go on, and return what it has said."""
    load.mark(label)
    done = run(INVENTORY, playbook, **variables)
    assert done.failed == fails, done.output
    status = load.status()
    load.wait_for_requests(REQUESTS_BETWEEN)
    print(f"{label:32} {done.seconds:6.1f} s: {status['failed']} of {status['requests']} failed", flush=True)
    return done.output


@pytest.mark.parametrize("server", SERVERS)
def test_no_request_fails_while_releases_come_and_go(app: Apps, load_on: Loads, server: str) -> None:
    """Good ones, one that does not import, and the way back; POSTs, WebSockets, events and downloads."""
    site = app(server)
    with load_on(server) as load:
        load.wait_for_requests(REQUESTS_BETWEEN)
        for number in range(1, DEPLOYS + 1):
            version = other_version(site)
            play(load, f"{server} deploy {number}", "deploy", app=server, version=version)
            state = site.look()
            assert state.live.endswith(f"-{version}")
            assert state.problem == ""
            assert state.attempts[-1]["how"] == "reload"
        play(load, f"{server} broken", "deploy", fails=True, app=server, version="broken")
        assert site.look().live == state.live
        play(load, f"{server} rollback", "rollback", app=server)
        assert site.look().live != state.live
        report = load.stop()
    print(report)
    assert report.failed == 0, report


def test_app_gets_to_another_server_and_back(app: Apps, load_on: Loads) -> None:
    """By site.yml and a deploy; the release before keeps its own server, to which a rollback returns."""
    site = app("changing")
    was = {"servers_of_changing": "hypercorn", "app": "changing"}
    with load_on("changing") as load:
        load.wait_for_requests(REQUESTS_BETWEEN)
        play(load, "site with another server", "site", servers_of_changing="hypercorn")
        before = site.look()
        assert before.problem == ""
        told = play(load, "deploy to another server", "deploy", **was, version=other_version(site))
        deployed = site.look()
        assert (deployed.attempts[-1]["how"], deployed.problem) == ("overlap", "")
        assert "worker_class was handover and is handover_hypercorn" in told
        play(load, "rollback to the server before", "rollback", **was)
        back = site.look()
        assert (back.live, back.attempts[-1]["how"], back.problem) == (before.live, "overlap", "")
        report = load.stop()
    print(report)
    assert report.failed == 0, report


@pytest.mark.parametrize("server", ["hypercorn", "daphne"])
def test_worker_or_master_that_is_killed_comes_back(app: Apps, server: str) -> None:
    """By itself, and soon."""
    site = app(server)
    before = site.look()
    master = int(before.status["service"]["main_pid"])
    worker = min(before.serving - {master})
    for pid in (worker, master):
        site.host.check_output(f"kill -KILL {pid}")
        deadline = time.monotonic() + BACK_WITHIN_SECONDS
        while pid in (state := site.look()).serving or state.problem:
            assert time.monotonic() < deadline, state
            time.sleep(0.2)


def test_ways_to_run_an_app_are_measured_beside_it(app: Apps) -> None:
    """Each serves, and none is left; nobody is loaded without being asked."""
    site = app("asgi")
    before = site.look()
    refused = run(INVENTORY, "measure", app="asgi")
    assert refused.failed
    assert "Nothing was loaded." in refused.output
    command = "farrier-release --app asgi measure --path /healthz --rounds 1 --json"
    result = json.loads(site.host.check_output(command))
    print(*result["text"], sep="\n")
    rows = {row["candidate"]: row for row in result["rows"]}
    assert next(iter(rows)) == "handover_asgi x 2"
    assert {"handover x 2", "handover_h11 x 2", "uvicorn alone x 2"} <= set(rows)
    assert {row["problem"] for row in rows.values()} == {""}
    assert {row["failed"] for name, row in rows.items() if name.startswith("handover")} == {0}
    assert site.host.check_output("systemctl list-units --all --plain --no-legend '*-measure*'") == ""
    assert site.host.check_output("ls /run/farrier | grep measure || true") == ""
    after = site.look()
    assert (after.live, after.problem, after.serving) == (before.live, "", before.serving)
