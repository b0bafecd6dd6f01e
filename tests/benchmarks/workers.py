"""What the hand-over costs while nothing is handed over, in requests per second of either worker.

Both serve the same release behind the same nginx, and log every request. They are measured in turn,
round after round, and the bar is a ratio of 0.98.
"""

from __future__ import annotations

import statistics
import sys

from tests.benchmarks.remote import Remote, arguments
from tests.benchmarks.throughput import requests_per_second

BAR = 0.98
WORKER_CLASSES = ("stock", "handover")


def main() -> int:
    """Print a line a round and the median of the rounds' ratios; exit 1 when it is under the bar."""
    parser = arguments(__doc__)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    given = parser.parse_args()
    remote = Remote(given.host, given.ssh)
    url = given.url + given.path
    ratios = []
    for number in range(1, given.rounds + 1):
        figures = {}
        for worker_class in WORKER_CLASSES:
            with remote.changed_gunicorn_settings(given.app, worker_class=worker_class):
                requests_per_second(url, connections=given.connections, seconds=1)
                figures[worker_class] = requests_per_second(
                    url, connections=given.connections, seconds=given.seconds
                )
        ratios.append(figures["handover"] / figures["stock"])
        told = ", ".join(f"{name} {figures[name]:.0f}/s" for name in WORKER_CLASSES)
        print(f"round {number}: {told}, ratio {ratios[-1]:.2f}", flush=True)
    ratio = statistics.median(ratios)
    print(f"hand-over worker against the stock one: median ratio {ratio:.2f} (bar: at least {BAR})")
    return 0 if ratio >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
