"""A Celery and an arq worker through deploys under a stream of jobs: which are lost, and which run twice.

Usage: python -m tests.benchmarks.jobs [DEPLOYS]. Takes a host of its own and removes it. Bar: each job that
was queued is done once.
"""

from __future__ import annotations

import collections
import itertools
import sys
import threading
import time

from tests.benchmarks.remote import ROOT, Remote, play
from tests.harness.deploys import run
from tests.harness.outside import Outside
from tests.harness.repository import make_two_versions

INVENTORY = ROOT / "tests/benchmarks/jobs_inventory"
APPLICATIONS = {
    "celery": ROOT / "molecule/wild/applications/queue",
    "arq": ROOT / "tests/benchmarks/jobs_application",
}
REPOSITORIES = ROOT / "build/jobs"
HOST, ADDRESS = "jobs", "10.77.77.142"
DEPLOYS = 20
JOBS_PER_SECOND = 3.0
# At its end the copies of the former release are told to stop.
WATCH_SECONDS = 20.0
DONE_WITHIN_SECONDS = 120.0


class Stream(threading.Thread):
    """Queues jobs of one app, each with a number of its own, until it is told to stop."""

    def __init__(self, app: str) -> None:
        super().__init__(daemon=True)
        self.app = app
        self.queued: list[int] = []
        self.refused: list[int] = []
        self.is_over = threading.Event()

    def run(self) -> None:
        """Queue one after the other."""
        for number in itertools.count(1):
            if self.is_over.wait(1 / JOBS_PER_SECOND):
                return
            answer = Outside(ADDRESS).https(f"{self.app}.lab.test", f"/queue/{number}")
            if answer.status == 200:
                self.queued.append(number)
            else:
                self.refused.append(number)


def done(remote: Remote, app: str) -> list[tuple[int, str]]:
    """Return the numbers of the jobs that were done, each with its release."""
    lines = remote.run("cat", f"/var/lib/farrier/{app}/done").splitlines()
    return [(int(number), release) for number, _, release in (line.partition(" ") for line in lines)]


def report(remote: Remote, stream: Stream) -> bool:
    """Print what came of the jobs of one app; whether each was done once."""
    until = time.monotonic() + DONE_WITHIN_SECONDS
    wanted = set(stream.queued)
    while wanted - {number for number, _ in done(remote, stream.app)} and time.monotonic() < until:
        time.sleep(1)
    found = done(remote, stream.app)
    times = collections.Counter(number for number, _ in found)
    lost = len(wanted - set(times))
    twice = sum(count > 1 for count in times.values())
    releases = len({release for _, release in found})
    print(
        f"{stream.app}: {lost} of {len(wanted)} jobs lost, {twice} done twice, by {releases} releases;"
        f" {len(stream.refused)} could not be queued"
    )
    return lost == twice == len(stream.refused) == 0


def main() -> int:
    """Print a line for each app; exit 1 if a job was lost or done twice."""
    deploys = int(sys.argv[1]) if len(sys.argv) > 1 else DEPLOYS
    for app, source in APPLICATIONS.items():
        make_two_versions(source, REPOSITORIES / app)
    remote = Remote(HOST)
    try:
        play(INVENTORY, "lab/up.yml")
        remote.run("apt-get", "install", "--yes", "--no-install-recommends", "redis-server")
        play(INVENTORY, "site.yml")
        streams = [Stream(app) for app in APPLICATIONS]
        for stream in streams:
            stream.start()
        for number in range(1, deploys + 1):
            for app in APPLICATIONS:
                ended = run(INVENTORY, "deploy", app=app, version=("second", "first")[number % 2 - 1])
                if ended.failed:
                    raise SystemExit(ended.output)
            print(f"deploy {number}: {[len(stream.queued) for stream in streams]} jobs", flush=True)
            time.sleep(WATCH_SECONDS)
        for stream in streams:
            stream.is_over.set()
            stream.join()
        verdicts = [report(remote, stream) for stream in streams]
    finally:
        play(INVENTORY, "lab/down.yml")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
