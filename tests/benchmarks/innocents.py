"""Do requests that fail take others with them? Innocent clients beside some that ask for what no app may do.

Usage: python -m tests.benchmarks.innocents [SECONDS]. Takes the hosts of two scenarios: one host with a unix
socket, and a fleet of two edges and three app hosts. Each measurement lasts SECONDS (30). Bar: no innocent
request fails with the hand-over workers. The stock ones are printed beside them.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import yaml

from tests.benchmarks.remote import ROOT, Remote
from tests.harness.load.innocents import Site, beside_offenders
from tests.harness.load.offenders import EVERY_WAY, RAISE_AFTER, STREAMS

SCENARIOS = {"zero_downtime": "zero.lab.test", "rolling": "rolling.lab.test"}
WORKER_CLASSES = ("handover", "handover_h11", "stock", "stock_h11")
OFFENCES = {
    "75/s raise after their answer": (RAISE_AFTER, 75.0),
    "300/s raise after their answer": (RAISE_AFTER, 300.0),
    "75/s raise within a stream": (STREAMS, 75.0),
    "75/s of every way": (EVERY_WAY, 75.0),
}


def read(scenario: str, domain: str) -> tuple[Site, list[str]]:
    """Return a site of a scenario, and the names of its app hosts."""
    inventory = ROOT / "molecule" / scenario / "inventory/hosts.yml"
    groups = yaml.safe_load(inventory.read_text())["all"]["children"]
    hosts = groups["lab"]["hosts"]
    addresses = [hosts[name]["ansible_host"] for name in groups["edge"]["hosts"]]
    authority = next(iter(groups["lab_acme"]["hosts"]))
    site = Site(domain, addresses, ROOT / "build/lab" / authority / "ca.pem")
    return site, list(groups["app"]["hosts"])


def measure(scenario: str, seconds: float) -> int:
    """Print a line for each worker class and offence; return what the hand-over workers lost."""
    site, apps = read(scenario, SCENARIOS[scenario])
    lost = 0
    for worker_class in WORKER_CLASSES:
        with ExitStack() as stack:
            for host in apps:
                changed = Remote(host).changed_gunicorn_settings("observatory", worker_class=worker_class)
                stack.enter_context(changed)
            for offence, (ways, per_second) in OFFENCES.items():
                report, outcomes = beside_offenders(site, ways, per_second=per_second, seconds=seconds)
                got = ", ".join(f"{count} times {outcome}" for outcome, count in outcomes.most_common())
                print(
                    f"{scenario}, {worker_class}, {offence}: {report.failed} of {report.requests} innocent "
                    f"requests failed; the others got {got}",
                    flush=True,
                )
                lost += report.failed if worker_class.startswith("handover") else 0
    return lost


def main() -> int:
    """Measure both sites; exit 1 if a hand-over worker has lost an innocent request."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    lost = 0
    for scenario in SCENARIOS:
        try:
            subprocess.run(["molecule", "converge", "-s", scenario], cwd=ROOT, check=True)
            lost += measure(scenario, seconds)
        finally:
            subprocess.run(["molecule", "destroy", "-s", scenario], cwd=ROOT, check=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
