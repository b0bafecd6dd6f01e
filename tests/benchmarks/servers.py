"""What each server costs and loses: 20 deploys under load, innocent requests, processor time, memory.

The hosts are those of the scenario `servers`, whose app `changing` has the default server. Processor time is
what `measure` finds, in alternating rounds: what else the machine does falls on all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from tests.benchmarks.innocents import read
from tests.benchmarks.remote import ROOT, Remote
from tests.harness.load.innocents import Site, beside_offenders
from tests.harness.load.offenders import EVERY_WAY

SCENARIO = "servers"
APPS = {
    "changing": "the default",
    "asgi": "gunicorn's own",
    "hypercorn": "Hypercorn",
    "daphne": "Daphne",
    "threads": "gunicorn's threads",
    "uwsgi": "uWSGI",
}
# The others answer the requests of `changing` as they do.
MEASURED = ("changing", "hypercorn", "daphne", "uwsgi")
DEPLOYS = 20
ROUNDS = 10
INNOCENTS_SECONDS = 12.0
# A server through the kit, and by hand.
PAIRS = {
    "handover x 2": "uvicorn alone x 2",
    "handover_asgi x 2": "gunicorn alone x 2",
    "handover_hypercorn x 2": "hypercorn alone x 2",
    "handover_daphne x 1": "daphne alone x 1",
    "handover_wsgi x 2": "gthread alone x 2",
    "handover_uwsgi x 2": "uwsgi alone x 2",
}


def measured(remote: Remote, app: str) -> list[str]:
    """Return the table of ways to run an app, and how each server of it compares with itself by hand."""
    command = f"farrier-release --app {app} measure --path /healthz --rounds {ROUNDS} --json"
    result = json.loads(remote.run(*command.split()))
    rows = {row["candidate"]: row["processor_milliseconds"] for row in result["rows"]}
    ratios = []
    for candidate, alone in PAIRS.items():
        if candidate in rows and alone in rows:
            each = [kit / by_hand for kit, by_hand in zip(rows[candidate], rows[alone], strict=True)]
            ratios.append(
                f"{candidate}: {statistics.median(each):.2f} of the processor time of {alone}"
                f" ({min(each):.2f} to {max(each):.2f})"
            )
    return [*result["text"], *ratios]


def main() -> int:
    """Print a line for each figure; exit 1 if a request was lost."""
    environment = {**os.environ, "SERVERS_DEPLOYS": str(DEPLOYS), "SERVERS_REQUESTS_PER_SECOND": "400"}
    lost = 0
    try:
        subprocess.run(["molecule", "converge", "-s", SCENARIO], cwd=ROOT, env=environment, check=True)
        deploys = subprocess.run(["molecule", "verify", "-s", SCENARIO], cwd=ROOT, env=environment)
        site, (host,) = read(SCENARIO, "changing.lab.test")
        remote = Remote(host)
        for app, told in APPS.items():
            if app in MEASURED:
                print(*measured(remote, app), sep="\n", flush=True)
            if app in ("threads", "uwsgi"):  # they have no paths to misbehave on
                continue
            beside = Site(f"{app}.lab.test", site.addresses, site.ca)
            report, outcomes = beside_offenders(beside, EVERY_WAY, per_second=75.0, seconds=INNOCENTS_SECONDS)
            print(
                f"{told}: {report.failed} of {report.requests} innocent requests failed; others: {outcomes}"
            )
            lost += report.failed
    finally:
        subprocess.run(["molecule", "destroy", "-s", SCENARIO], cwd=ROOT, check=True)
    return 1 if lost or deploys.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
