"""The same load and the same reloads on the stock worker and on the hand-over worker, side by side."""

from __future__ import annotations

import sys
import time

from tests.benchmarks.remote import ROOT, Remote, arguments
from tests.harness.load import Load, Report
from tests.harness.load.compare import compare

STOCK = "stock"
HANDOVER = "handover"
OUTPUT = ROOT / "build" / "benchmarks"
QUIET_SECONDS = 3.0


def measure(remote: Remote, load: Load, app: str, *, reloads: int, pause_seconds: float) -> Report:
    """Reload the app again and again under load and return what the clients saw."""
    with load:
        time.sleep(QUIET_SECONDS)
        for number in range(1, reloads + 1):
            load.mark(f"reload {number}")
            remote.run("systemctl", "reload", f"{app}.service")
            time.sleep(pause_seconds)
        load.mark("after")
        time.sleep(QUIET_SECONDS)
        return load.stop()


def main() -> int:
    """Print both reports and their comparison; exit 1 when the hand-over worker has failed a request."""
    parser = arguments(__doc__)
    parser.add_argument("--ca", default=str(ROOT / "build/lab/acme/ca.pem"))
    parser.add_argument("--name", default="observatory.lab.test", help="the name in the URL")
    parser.add_argument("--rate", type=float, help="at most so many requests a second")
    parser.add_argument("--reloads", type=int, default=12)
    parser.add_argument("--pause-seconds", type=float, default=1.0, help="between reloads")
    given = parser.parse_args()
    remote = Remote(given.host, given.ssh)
    reports = {}
    for worker_class in (STOCK, HANDOVER):
        options = {"rate": given.rate} if given.rate else {}
        load = Load(
            given.url,
            ca=given.ca,
            resolve={given.name: remote.address()},
            name=f"reload-{worker_class}",
            output=OUTPUT,
            connections=given.connections,
            # The stock worker waits for a stream without end until it is killed: a reload takes a minute.
            events=0,
            downloads=0,
            **options,
        )
        with remote.changed_gunicorn_settings(given.app, worker_class=worker_class):
            reports[worker_class] = measure(
                remote, load, given.app, reloads=given.reloads, pause_seconds=given.pause_seconds
            )
        print(f"{worker_class} worker, {given.reloads} reloads: {reports[worker_class]}")
    print(compare(reports[STOCK].summary, reports[HANDOVER].summary, (STOCK, HANDOVER)))
    return 1 if reports[HANDOVER].failed else 0


if __name__ == "__main__":
    sys.exit(main())
