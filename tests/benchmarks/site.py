"""Time a site.yml that changes nothing, in units of `ansible -m ping` to the same host in the same minutes.

Usage: python -m tests.benchmarks.site [ROUNDS]. Makes hosts of its own and installs them. A round is a
ping as ansible.cfg has it, a run with mitogen and one without. Bars: 4.5 pings with mitogen, 8 without.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time

from tests.benchmarks.remote import ROOT

INVENTORY = ["--inventory", str(ROOT / "tests/benchmarks/inventory")]
HOST = "bench-kit"
PING = ["ansible", *INVENTORY, HOST, "--module-name", "ansible.builtin.ping"]
SITE = ["ansible-playbook", *INVENTORY, "site.yml"]
BARS = {"mitogen": 4.5, "linear": 8.0}


def seconds(*command: str, strategy: str = "") -> float:
    """Run a command of Ansible and return the seconds that it took.

    Raises:
        SystemExit: It failed, or a run with a strategy of its own changed something.
    """
    started = time.monotonic()
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "FARRIER_STRATEGY": strategy},
        capture_output=True,
        text=True,
    )
    taken = time.monotonic() - started
    if run.returncode or (strategy and re.search(r"changed=[1-9]", run.stdout)):
        raise SystemExit(f"{' '.join(command)} failed or changed something:\n{run.stdout}{run.stderr}")
    return taken


def main() -> int:
    """Print each round and the medians; exit 1 when a median is over its bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    lab = ["ansible-playbook", *INVENTORY]
    measured: dict[str, list[float]] = {"ping": [], **{strategy: [] for strategy in BARS}}
    try:
        seconds(*lab, "lab/up.yml")
        seconds(*lab, "site.yml")
        for number in range(1, rounds + 1):
            measured["ping"].append(seconds(*PING))
            for strategy in BARS:
                measured[strategy].append(seconds(*SITE, strategy=strategy))
            print(
                f"round {number}:",
                *(f"{name} {values[-1]:.2f} s" for name, values in measured.items()),
                flush=True,
            )
    finally:
        seconds(*lab, "lab/down.yml")
    ping = statistics.median(measured["ping"])
    pings = {strategy: statistics.median(measured[strategy]) / ping for strategy in BARS}
    print(f"median ping {ping:.2f} s")
    for strategy, bar in BARS.items():
        print(f"site.yml with {strategy}: median {pings[strategy]:.1f} pings (at most {bar:g})")
    return int(any(pings[strategy] > bar for strategy, bar in BARS.items()))


if __name__ == "__main__":
    sys.exit(main())
