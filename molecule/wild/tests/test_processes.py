"""What runs beside the web process goes live with a release, ends its job, and comes back with a rollback."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from testinfra.host import Host

from tests.harness.deploys import run

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
STATE = "/var/lib/farrier/jobs"
# Longer than a deploy and its watch take, at whose end the copies of the former release are told to stop.
JOB_SECONDS = 45
LIMIT_SECONDS = 90


def wait(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.5)


def live(host: Host) -> str:
    """Id of the release that is live."""
    return host.check_output("readlink /srv/jobs/current").rpartition("/")[2]


def beating(host: Host) -> list[str]:
    """Releases of the copies that run, those of both processes."""
    return sorted(host.check_output(f"cd {STATE} && for one in heartbeat-*; do cat $one; echo; done").split())


def test_the_processes_of_the_live_release_run(host: Host) -> None:
    """After the first release, a deploy and a rollback; the copy that has taken a job finishes it."""
    with host.sudo():
        first = live(host)
        assert beating(host) == [first] * 3
        host.check_output(f"echo {JOB_SECONDS} > {STATE}/a.new && chown jobs {STATE}/a.new")
        host.check_output(f"mv {STATE}/a.new {STATE}/a.job")
        wait(lambda: host.file(f"{STATE}/a.taken").exists, "no copy took the job")
        deployed = run(INVENTORY, "deploy", app="jobs", version="second")
        assert not deployed.failed, deployed.output
        second = live(host)
        wait(lambda: second in beating(host), "no new copy runs")
        wait(lambda: beating(host) == [second] * 3, "the old copies did not end")
        assert host.file(f"{STATE}/a.done").content_string == first
        rolled_back = run(INVENTORY, "rollback", app="jobs")
        assert not rolled_back.failed, rolled_back.output
        wait(lambda: beating(host) == [first] * 3, "the copies of the first release did not come back")
        assert "PROBLEM" not in host.check_output("farrier-release --app jobs status")


def test_the_timer_runs_in_the_live_release(host: Host) -> None:
    """It was started with the first release."""
    with host.sudo():
        before = len(host.file(f"{STATE}/ticks").content_string.split())
        wait(lambda: len(host.file(f"{STATE}/ticks").content_string.split()) > before, "it does not tick")
        assert host.file(f"{STATE}/ticks").content_string.split()[-1] == live(host)
