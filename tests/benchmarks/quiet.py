"""Deploys under load for an hour, with alerts as operators have them: none may ring but notices.

Usage: python -m tests.benchmarks.quiet [--minutes 60] [--every-seconds 60] [--rate 100]. Takes the host of
`bench-monitoring`, which is everything and watches itself, and removes it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tests.benchmarks.monitoring import HOST, INVENTORY, NAME
from tests.benchmarks.remote import ROOT, Remote, play
from tests.harness.changes import same
from tests.harness.deploys import run
from tests.harness.load import Load
from tests.harness.repository import Repository

VERSIONS = ("blue", "green")
CERTIFICATE = "/etc/farrier/tls/observatory/fullchain.pem"
# The host has been set up: what is new is told in this time.
SETTLE_SECONDS = 120.0


def query(remote: Remote, expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus finds."""
    url = "http://127.0.0.1:9090/api/v1/query"
    answer = remote.run("curl", "-sS", "--get", "--data-urlencode", f"query={expression}", url)
    found: list[dict[str, Any]] = json.loads(answer)["data"]["result"]
    return found


def versions(repository: Path) -> dict[str, Any]:
    """Return the app with a repository as its source, which has it as `blue` and as `green`."""
    made = Repository(ROOT / "app", repository)
    made.change(same)
    for version in VERSIONS:
        made.tag(version, same)
    [app] = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())["apps"]
    return {**app, "source": {"git": str(repository), "version": VERSIONS[0]}}


def main() -> int:
    """Print what rang, and what became of the requests; exit 1 if either is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--every-seconds", type=float, default=60, help="between two deploys")
    parser.add_argument("--rate", type=int, default=100, help="requests per second")
    given = parser.parse_args()
    remote, deploys = Remote(HOST), 0
    try:
        play(INVENTORY, "lab/up.yml")
        play(INVENTORY, "site.yml")
        with TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "ca.pem").write_bytes(remote.read_bytes(CERTIFICATE))
            app, order = versions(directory / "app"), itertools.cycle(VERSIONS)
            time.sleep(SETTLE_SECONDS)
            began = time.monotonic()
            with Load(
                f"https://{NAME}",
                ca=directory / "ca.pem",
                resolve={NAME: remote.address()},
                name="quiet",
                rate=given.rate,
                seconds=60 * given.minutes + 600,
            ) as load:
                while time.monotonic() - began < 60 * given.minutes:
                    next_at = began + (deploys + 1) * given.every_seconds
                    ended = run(INVENTORY, "deploy", app="observatory", version=next(order), apps=[app])
                    if ended.failed:
                        raise SystemExit(ended.output)
                    deploys += 1
                    time.sleep(max(0.0, next_at - time.monotonic()))
                report = load.stop()
            seconds = int(time.monotonic() - began)
        firing = f'ALERTS{{alertstate="firing",severity=~"page|warning"}}[{seconds}s]'
        rung = query(remote, f"count by (alertname, instance, app) (count_over_time({firing}))")
        news = f'ALERTS{{alertname="ReleaseLive",alertstate="firing"}}[{seconds}s]'
        told = query(remote, f"count by (release) (count_over_time({news}))")
    finally:
        play(INVENTORY, "lab/down.yml")
    print(
        f"{report.failed} of {report.requests} requests failed in {deploys} deploys, {seconds / 60:.0f} min"
    )
    print(f"releases that were told: {len(told)}")
    print("alerts that rang:", *([str(one["metric"]) for one in rung] or ["none"]))
    return 1 if rung or report.failed or len(told) < deploys else 0


if __name__ == "__main__":
    sys.exit(main())
