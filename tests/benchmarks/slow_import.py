"""The slowest request while an app is reloaded whose import takes three seconds, quiet and beside other work.

Usage: python -m tests.benchmarks.slow_import [RELOADS]. Takes the hosts of the scenario `zero_downtime`. Each
reload is followed by as long a time of the same load without one. Bars: none fails; with nothing else to do,
the slowest request takes 300 ms; beside `stress-ng` on every processor, three times as long as the slowest
without a reload.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tests.benchmarks.innocents import read
from tests.benchmarks.remote import ROOT, Remote
from tests.harness.load import Load, Report

SCENARIO = "zero_downtime"
DOMAIN, APP = "slow.lab.test", "slow"
RELOADS = 10
PER_SECOND = 300.0
QUIET_MILLISECONDS_MAX = 300.0
BUSY_RATIO_MAX = 3.0


@contextmanager
def stress() -> Iterator[None]:
    """Keep every processor busy meanwhile."""
    with subprocess.Popen(["stress-ng", "--quiet", "--cpu", str(os.cpu_count())]) as process:
        try:
            yield
        finally:
            process.terminate()


def measured(name: str, reloads: int) -> Report:
    """Reload the app again and again under load, and let the load go on for as long after each."""
    site, (host,) = read(SCENARIO, DOMAIN)
    remote = Remote(host)
    with Load(
        f"https://{DOMAIN}",
        ca=site.ca,
        resolve={DOMAIN: site.addresses},
        name=f"slow_import_{name}",
        connections=32,
        rate=PER_SECOND,
        seconds=3000,
    ) as load:
        load.wait_for_requests(500)
        for number in range(1, reloads + 1):
            load.mark(f"reload {number}")
            began = time.monotonic()
            remote.run("systemctl", "reload", f"{APP}.service")
            seconds = time.monotonic() - began
            load.mark(f"calm {number}")
            time.sleep(seconds)
        return load.stop()


def slowest(report: Report, label: str, reloads: int) -> list[float]:
    """Return the milliseconds of the slowest request of each part of that label, in order of time."""
    marks = (report.mark(f"{label} {number}") for number in range(1, reloads + 1))
    return [float(mark["milliseconds"]["slowest"]) for mark in marks]


def main() -> int:
    """Print the slowest requests; exit 1 when a bar is missed."""
    reloads = int(sys.argv[1]) if len(sys.argv) > 1 else RELOADS
    missed = False
    try:
        subprocess.run(["molecule", "converge", "-s", SCENARIO], cwd=ROOT, check=True)
        for name, meanwhile in (("quiet", nullcontext), ("busy", stress)):
            with meanwhile():
                report = measured(name, reloads)
            during, calm = slowest(report, "reload", reloads), slowest(report, "calm", reloads)
            said = ", ".join(f"{milliseconds:.0f}" for milliseconds in during)
            print(
                f"{name}: {report.failed} of {report.requests} failed; slowest of each reload: {said} ms;"
                f" slowest without a reload: {max(calm):.0f} ms"
            )
            most = QUIET_MILLISECONDS_MAX if name == "quiet" else BUSY_RATIO_MAX * max(calm)
            missed = missed or bool(report.failed) or max(during) > most
    finally:
        subprocess.run(["molecule", "destroy", "-s", SCENARIO], cwd=ROOT, check=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
