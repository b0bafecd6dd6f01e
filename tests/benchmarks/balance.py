"""How requests spread over the workers of an app, and what waits behind requests that compute.

Usage: python -m tests.benchmarks.balance [ROUNDS]. Takes the hosts of the scenario `servers`. Clients ask for
/version, 200 times a second over 32 kept connections; then a tenth of them ask for 20 ms of a processor
instead, which no event loop can interrupt. All servers have two workers and are asked in turn, round after
round. No bar: it prints what to expect.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import nullcontext

from tests.benchmarks.innocents import read
from tests.benchmarks.remote import ROOT, Remote
from tests.harness.load.innocents import Site

SCENARIO = "servers"
# Of each, the app that has it, and the worker class that it gets for the time of the measurement.
SERVERS = {
    "stock": ("changing", "stock"),
    "the default": ("changing", "handover"),
    "handover_asgi": ("asgi", None),
    "hypercorn": ("hypercorn", None),
}
CLIENTS = 32
PER_SECOND = 200.0
SECONDS = 10.0
EVERY_TENTH = 10


class Client(threading.Thread):
    """Asks again and again over one connection, `PER_SECOND / CLIENTS` times a second.

    Args:
        site: that is asked.
        number: of the client, which spreads them over the second.
        compute: whether every tenth request is for time of a processor.
    """

    def __init__(self, site: Site, number: int, *, compute: bool) -> None:
        super().__init__(daemon=True)
        self.milliseconds: list[float] = []
        self.workers: Counter[int] = Counter()
        self._site, self._number, self._compute = site, number, compute
        trusted = ssl.create_default_context(cafile=str(site.ca))
        self._connection = http.client.HTTPSConnection(site.domain, context=trusted, timeout=20)
        self._connection.sock = trusted.wrap_socket(
            socket.create_connection((site.addresses[0], 443)), server_hostname=site.domain
        )

    def run(self) -> None:
        """Ask until the time is over."""
        interval = CLIENTS / PER_SECOND
        began = time.monotonic() + interval * self._number / CLIENTS
        for turn in range(int(SECONDS / interval)):
            time.sleep(max(0.0, began + turn * interval - time.monotonic()))
            computes = self._compute and (turn + self._number) % EVERY_TENTH == 0
            asked = time.monotonic()
            self._connection.request("GET", "/compute" if computes else "/version")
            answer = self._connection.getresponse()
            content = json.loads(answer.read())
            if answer.status != 200:
                raise RuntimeError(f"{answer.status} {content}")
            self.workers[content if computes else content["pid"]] += 1
            if not computes:
                self.milliseconds.append(1000 * (time.monotonic() - asked))


def measured(site: Site, *, compute: bool) -> tuple[float, float, float]:
    """Return the share of the busiest worker, the median and the 99th percentile of answers of /version."""
    clients = [Client(site, number, compute=compute) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    milliseconds = sorted(value for client in clients for value in client.milliseconds)
    workers = sum((client.workers for client in clients), Counter[int]())
    expected = CLIENTS * int(SECONDS * PER_SECOND / CLIENTS)
    if workers.total() != expected:
        raise RuntimeError(f"{workers.total()} of {expected} requests were answered")
    return (
        max(workers.values()) / workers.total(),
        statistics.median(milliseconds),
        milliseconds[len(milliseconds) * 99 // 100],
    )


def main() -> int:
    """Print a line for each server."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    environment = {**os.environ, "SERVERS_DEPLOYS": "1"}
    figures: dict[tuple[str, bool], list[tuple[float, float, float]]] = {}
    try:
        subprocess.run(["molecule", "converge", "-s", SCENARIO], cwd=ROOT, env=environment, check=True)
        site, (host,) = read(SCENARIO, "changing.lab.test")
        remote = Remote(host)
        for _ in range(rounds):
            for name, (app, worker_class) in SERVERS.items():
                changed = (
                    remote.changed_gunicorn_settings(app, worker_class=worker_class)
                    if worker_class
                    else nullcontext()
                )
                with changed:
                    for compute in (False, True):
                        one = measured(Site(f"{app}.lab.test", site.addresses, site.ca), compute=compute)
                        figures.setdefault((name, compute), []).append(one)
    finally:
        subprocess.run(["molecule", "destroy", "-s", SCENARIO], cwd=ROOT, check=True)
    for (name, compute), found in figures.items():
        share, median, slowest = (statistics.median(values) for values in zip(*found, strict=True))
        beside = "a tenth computes" if compute else "nothing else"
        print(f"{name}, {beside}: busiest of 2 {share:.0%}, median {median:.1f} ms, p99 {slowest:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
