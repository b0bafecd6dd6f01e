"""Processor time of a request on a host that is everything, with all of monitoring and without, in turn.

Counted is what the cgroups of the host have used, SSH left out: app, nginx, databases, systemd, the journal,
and whatever monitors. Without: its units are frozen, so that no start of them is in it. Requests come at a
fixed rate, since what monitoring costs does not grow with them. Prints the ratio of each round, their median,
and what the units of monitoring take of processor and memory. Bar: 1.03. Takes a host of its own and removes
it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import sys
import time
from collections import Counter

import aiohttp

from tests.benchmarks.remote import ROOT, Remote, play

INVENTORY = ROOT / "tests/benchmarks/monitoring_inventory"
HOST = "measured"
NAME = "observatory.lab.test"
BAR = 1.03
MONITORING = ("farrier-metrics.service", "prometheus*.service")
CLIENTS = 4
# What the units catch up with when they are thawed is not counted.
SETTLE_SECONDS = 2.0
MEMORY_SECONDS = 60.0
# Apps are in a slice of their own.
USED = "cd /sys/fs/cgroup && grep -H usage_usec {init.scope,farrier.slice,system.slice/*}/cpu.stat"
MEMORY = """
for unit in $(systemctl list-units --plain --no-legend --state=active "$@" | cut -d' ' -f1); do
    pid=$(systemctl show --value --property=MainPID "$unit")
    echo "$unit" $(awk '/^VmHWM|^VmRSS/ {print $2}' "/proc/$pid/status")
done"""


def used_milliseconds(remote: Remote) -> Counter[str]:
    """Return how much processor time each unit of the host has used since it was started."""
    found = re.findall(r"([^/\n]+)/cpu\.stat:usage_usec (\d+)", remote.run("bash", "-c", USED))
    return Counter({unit: int(used) / 1000 for unit, used in found if unit != "ssh.service"})


async def ask(address: str, given: argparse.Namespace) -> int:
    """Ask the app at a rate, by some clients in turn; return how many requests there were."""
    began, answered = time.monotonic(), 0

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        nonlocal answered
        for index in range(number, int(given.rate * given.seconds), CLIENTS):
            await asyncio.sleep(began + index / given.rate - time.monotonic())
            url, headers = f"https://{address}{given.path}", {"Host": NAME}
            async with session.get(url, server_hostname=NAME, headers=headers) as response:
                response.raise_for_status()
                await response.read()
                answered += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        await asyncio.gather(*(client(session, number) for number in range(CLIENTS)))
    return answered


def per_request(remote: Remote, given: argparse.Namespace) -> Counter[str]:
    """Return the processor time of a request by unit, in milliseconds."""
    before = used_milliseconds(remote)
    answered = asyncio.run(ask(remote.address(), given))
    after = used_milliseconds(remote)
    return Counter({unit: (after[unit] - before[unit]) / answered for unit in after})


def measure(remote: Remote, given: argparse.Namespace) -> float:
    """Print a line a round, and the processor time of each unit; return the median of the ratios."""
    ratios, without, own = [], [], Counter[str]()
    for number in range(1, given.rounds + 1):
        sums = {}
        # Each of the two comes first in every second round.
        for verb in ("thaw", "freeze") if number % 2 else ("freeze", "thaw"):
            remote.run("systemctl", verb, *MONITORING)
            time.sleep(SETTLE_SECONDS)
            figures = per_request(remote, given)
            sums[verb] = sum(figures.values())
            own.update(
                {unit: used for unit, used in figures.items() if unit.startswith(("farrier-", "prometheus"))}
            )
        ratios.append(sums["thaw"] / sums["freeze"])
        without.append(sums["freeze"])
        print(
            f"round {number}: {sums['thaw']:.3f} ms with monitoring, {sums['freeze']:.3f} ms without, "
            f"ratio {ratios[-1]:.3f}",
            flush=True,
        )
    part = 100 * sum(own.values()) / given.rounds / statistics.median(without)
    print(f"processor time of the units, at {given.rate} requests/s, together {part:.1f} % of a request:")
    for unit, milliseconds in own.most_common():
        print(f"  {unit}: {given.rate * milliseconds / given.rounds:.1f} ms/s")
    return statistics.median(ratios)


def print_memory(remote: Remote) -> None:
    """Print what each unit takes, and what it has taken at most."""
    remote.run("systemctl", "thaw", *MONITORING)
    time.sleep(MEMORY_SECONDS)
    print("memory, and at most:")
    for line in remote.run("sh", "-c", MEMORY, "sh", *MONITORING).splitlines():
        unit, most, now = line.split()
        print(f"  {unit}: {int(now) / 1024:.0f} MB, {int(most) / 1024:.0f} MB")


def main() -> int:
    """Print the figures; exit 1 above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of a measurement: metrics are written once"
    )
    parser.add_argument("--rate", type=int, default=1000, help="requests per second")
    given = parser.parse_args()
    remote = Remote(HOST)
    try:
        play(INVENTORY, "lab/up.yml")
        play(INVENTORY, "site.yml")
        print(f"load average {', '.join(f'{one:.1f}' for one in os.getloadavg())}", flush=True)
        ratio = measure(remote, given)
        print_memory(remote)
    finally:
        play(INVENTORY, "lab/down.yml")
    print(f"with monitoring against without: median ratio {ratio:.3f} (bar: at most {BAR})")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
