"""What runs beside the web process goes live with a release, ends its job, and comes back with a rollback."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from testinfra.host import Host

from tests.harness.deploys import run
from tests.harness.meanwhile import repeated

INVENTORY = Path(__file__).resolve().parents[1] / "inventory"
STATE = "/var/lib/farrier/jobs"
QUEUE = "/var/lib/farrier/queue"
# Longer than a deploy and its watch take, at whose end the copies of the former release are told to stop.
JOB_SECONDS = 45
LIMIT_SECONDS = 90
WATCHED_SECONDS = 20


def wait(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.5)


def live(host: Host, app: str = "jobs") -> str:
    """Id of the release of an app that is live."""
    return host.check_output(f"readlink /srv/{app}/current").rpartition("/")[2]


def beating(host: Host) -> list[str]:
    """Releases of the copies that run, those of both processes."""
    return sorted(host.check_output(f"cd {STATE} && for one in heartbeat-*; do cat $one; echo; done").split())


def test_the_processes_of_the_live_release_run(host: Host) -> None:
    """After the first release, a deploy and a rollback; the copy that has taken a job finishes it."""
    with host.sudo():
        first = live(host)
        # An earlier rollback may still be watched.
        wait(lambda: beating(host) == [first] * 3, "the copies of the live release do not run alone")
        host.check_output(f"echo {JOB_SECONDS} > {STATE}/a.new && chown jobs {STATE}/a.new")
        host.check_output(f"mv {STATE}/a.new {STATE}/a.job")
        wait(lambda: host.file(f"{STATE}/a.taken").exists, "no copy took the job")
        deployed = run(INVENTORY, "deploy", app="jobs", version="second")
        assert not deployed.failed, deployed.output
        second = live(host)
        assert second != first
        wait(lambda: second in beating(host), "no new copy runs")
        wait(lambda: beating(host) == [second] * 3, "the old copies did not end")
        assert host.file(f"{STATE}/a.done").content_string == first
        rolled_back = run(INVENTORY, "rollback", app="jobs")
        assert not rolled_back.failed, rolled_back.output
        assert live(host) == first
        wait(lambda: beating(host) == [first] * 3, "the copies of the first release did not come back")
        assert "PROBLEM" not in host.check_output("farrier-release --app jobs status")


def test_the_timer_runs_in_the_live_release(host: Host) -> None:
    """It was started with the first release."""
    with host.sudo():
        before = len(host.file(f"{STATE}/ticks").content_string.split())
        wait(lambda: len(host.file(f"{STATE}/ticks").content_string.split()) > before, "it does not tick")
        assert host.file(f"{STATE}/ticks").content_string.split()[-1] == live(host)


def test_an_app_without_domains_is_its_processes_alone(host: Host) -> None:
    """No socket, no server in its environment, and the status says that all is well."""
    with host.sudo():
        release = host.check_output("readlink /srv/bot/current").rpartition("/")[2]
        note = host.file("/var/lib/farrier/bot/note")
        wait(
            lambda: note.content_string.startswith(f"{release}."), "the bot of the live release does not run"
        )
        assert host.run("systemctl cat bot.service bot.socket").rc != 0
        assert "gunicorn" not in host.check_output("ls /srv/bot/current/.venv/bin")
        status = host.check_output("farrier-release --app bot status")
        assert release in status
        assert "PROBLEM" not in status


def test_celery_loses_no_job_and_runs_none_twice(host: Host, get: Callable[..., tuple[int, str]]) -> None:
    """Jobs come through a deploy and a rollback: the signal to stop reaches no child of Celery."""
    # Others than those of an earlier run.
    numbers = itertools.count(start := int(time.time()))

    def queue() -> tuple[int, int]:
        number = next(numbers)
        return number, get("queue", f"/queue/{number}")[0]

    def done() -> list[tuple[int, str]]:
        lines = map(str.split, host.file(f"{QUEUE}/done").content_string.splitlines())
        return [(int(number), release) for number, release in lines if int(number) >= start]

    with host.sudo():
        first, current = live(host, "queue"), []
        with repeated(queue, every_seconds=0.2) as answers:
            for playbook, variables in (("deploy", {"version": "second"}), ("rollback", {})):
                ended = run(INVENTORY, playbook, app="queue", **variables)
                assert not ended.failed, ended.output
                current.append(live(host, "queue"))
                beats = "systemctl list-units --plain --no-legend 'queue-beat@*'"
                assert len(host.check_output(beats).splitlines()) == 1
                # At its end the former copy of the worker is told to stop.
                time.sleep(WATCHED_SECONDS)
        assert {status for _, status in answers} == {200}
        queued = [number for number, _ in answers]
        wait(lambda: len({number for number, _ in done()}) == len(queued), "jobs are lost")
        assert sorted(number for number, _ in done()) == queued
        assert len({release for _, release in done()}) == 2
        assert (current[0] != first, current[1]) == (True, first)
