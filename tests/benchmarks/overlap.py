"""Another master, by an overlap and by a restart, beside reloads: the longest that clients wait for each."""

from __future__ import annotations

import sys
import time
from statistics import median

from tests.benchmarks.remote import ROOT, Remote, arguments
from tests.harness.load import Load

OUTPUT = ROOT / "build" / "benchmarks"
QUIET_SECONDS = 3.0
# What came before is still draining for the longest that nginx keeps a connection, and stands by for 10 s.
SETTLE_SECONDS = 12.0
SLOWEST_MILLISECONDS_MAX = 500


def ways(app: str) -> dict[str, list[str]]:
    """What is compared: a command by its name."""
    return {
        "reload": ["systemctl", "reload", f"{app}.service"],
        "overlap": ["farrier-release", "--app", app, "restart"],
        "restart": ["systemctl", "restart", f"{app}.service"],
    }


def main() -> int:
    """Print what each way costs; exit 1 when an overlap has failed a request or kept one waiting."""
    parser = arguments(__doc__)
    parser.add_argument("--ca", default=str(ROOT / "build/lab/acme/ca.pem"))
    parser.add_argument("--name", default="observatory.lab.test", help="the name in the URL")
    parser.add_argument("--rate", type=float, default=500, help="at most so many requests a second")
    parser.add_argument("--rounds", type=int, default=10, help="how often each way is taken, in turn")
    given = parser.parse_args()
    remote = Remote(given.host, given.ssh)
    load = Load(
        given.url,
        ca=given.ca,
        resolve={given.name: remote.address()},
        name="overlap",
        output=OUTPUT,
        connections=given.connections,
        rate=given.rate,
        seconds=36_000,
        downloads=0,
    )
    took_seconds: dict[str, list[float]] = {name: [] for name in ways(given.app)}
    with load:
        time.sleep(QUIET_SECONDS)
        for number in range(1, given.rounds + 1):
            for name, command in ways(given.app).items():
                load.mark(f"{name} {number}")
                started = time.monotonic()
                remote.run(*command)
                took_seconds[name].append(time.monotonic() - started)
                time.sleep(SETTLE_SECONDS)
        load.mark("after")
        report = load.stop()
    print(f"{report}\n{'':8} failed  slowest ms  gap ms  seconds (medians, and the most of {given.rounds})")
    slowest_overlap = 0.0
    for name, seconds in took_seconds.items():
        marks = [report.mark(f"{name} {number}") for number in range(1, given.rounds + 1)]
        slowest = [mark["milliseconds"]["slowest"] for mark in marks]
        gaps = [mark["longest_gap_milliseconds"] for mark in marks]
        failed = sum(mark["failed"] for mark in marks)
        columns = "  ".join(
            f"{median(values):.1f} ({max(values):.1f})" for values in (slowest, gaps, seconds)
        )
        print(f"{name:8} {failed}  {columns}")
        if name == "overlap":
            slowest_overlap = max(slowest)
    return 1 if report.failed or slowest_overlap > SLOWEST_MILLISECONDS_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
