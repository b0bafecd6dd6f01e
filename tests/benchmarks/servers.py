"""What each server costs and loses: 20 deploys under load, innocent requests, processor time, memory.

The hosts are those of the scenario `servers`, whose app `changing` has the default server. Processor time is
what the cgroup of each service has used, in alternating rounds: what else the machine does falls on all.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections import defaultdict

from tests.benchmarks.innocents import read
from tests.benchmarks.remote import ROOT, Remote
from tests.harness.load import Load
from tests.harness.load.innocents import Site, beside_offenders
from tests.harness.load.offenders import EVERY_WAY

SCENARIO = "servers"
APPS = {"changing": "the default", "hypercorn": "Hypercorn", "daphne": "Daphne"}
DEPLOYS = 20
REQUESTS_PER_SECOND = 300.0
ROUNDS = 10
ROUND_SECONDS = 3.0
INNOCENTS_SECONDS = 12.0

_MEMORY = """
import json, pathlib, sys
workers = [json.loads(path.read_text())["pid"] for path in pathlib.Path(sys.argv[1]).glob("workers/*.json")]
lines = [line for pid in workers for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Pss:")]
print(sum(int(line.split()[1]) for line in lines) / len(workers) / 1024)
"""


def used_seconds(remote: Remote, app: str) -> float:
    """Processor time that the service of an app has used since its start."""
    shown = remote.run("systemctl", "show", "--property=CPUUsageNSec", "--value", f"{app}.service")
    return int(shown) / 1e9


def milliseconds_per_request(remote: Remote, site: Site, app: str) -> float:
    """Processor time of one request, of those that the load harness sends most often."""
    with Load(
        f"https://{app}.lab.test",
        ca=site.ca,
        resolve={f"{app}.lab.test": site.addresses[0]},
        name=f"bench_servers_{app}",
        output=ROOT / "build" / "benchmarks",
        connections=16,
        websockets=0,
        events=0,
        downloads=0,
        rate=REQUESTS_PER_SECOND,
    ) as load:
        load.wait_for_requests(50)
        before, sent = used_seconds(remote, app), load.status()["requests"]
        load.wait_for_requests(int(ROUND_SECONDS * REQUESTS_PER_SECOND))
        after, answered = used_seconds(remote, app), load.status()["requests"]
        load.stop()
    return 1000 * (after - before) / int(answered - sent)


def main() -> int:
    """Print a line for each figure; exit 1 if a request was lost."""
    environment = {**os.environ, "SERVERS_DEPLOYS": str(DEPLOYS), "SERVERS_REQUESTS_PER_SECOND": "400"}
    lost = 0
    try:
        subprocess.run(["molecule", "converge", "-s", SCENARIO], cwd=ROOT, check=True)
        site, (host,) = read(SCENARIO, "changing.lab.test")
        remote = Remote(host)
        rounds = defaultdict(list)
        for _ in range(ROUNDS):
            for app in APPS:
                rounds[app].append(milliseconds_per_request(remote, site, app))
        reference = statistics.median(rounds["changing"])
        for app, told in APPS.items():
            memory_mb = float(remote.run("python3", "-c", _MEMORY, f"/run/farrier/{app}"))
            own = statistics.median(rounds[app])
            print(
                f"{told}: {own:.2f} ms of processor time a request ({own / reference:.2f} of the default),"
                f" {memory_mb:.0f} MB a worker",
                flush=True,
            )
            beside = Site(f"{app}.lab.test", site.addresses, site.ca)
            report, outcomes = beside_offenders(beside, EVERY_WAY, per_second=75.0, seconds=INNOCENTS_SECONDS)
            print(
                f"{told}: {report.failed} of {report.requests} innocent requests failed; others: {outcomes}"
            )
            lost += report.failed
        deploys = subprocess.run(["molecule", "verify", "-s", SCENARIO], cwd=ROOT, env=environment)
    finally:
        subprocess.run(["molecule", "destroy", "-s", SCENARIO], cwd=ROOT, check=True)
    return 1 if lost or deploys.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
