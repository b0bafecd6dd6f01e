"""Processor time of a request on a host that is everything, with all of monitoring and without, in turn.

Counted is what the cgroups of the host have used, SSH left out: app, nginx, databases, systemd, the journal,
and whatever monitors. Prints the ratio of each round, their median, and the memory of monitoring by unit.
Bar: 1.03. Takes a host of its own and removes it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time

import aiohttp

from tests.benchmarks.remote import ROOT, Remote

INVENTORY = ROOT / "tests/benchmarks/monitoring_inventory"
HOST = "measured"
NAME = "observatory.lab.test"
BAR = 1.03
MONITORING = ("farrier-metrics.service", "prometheus*.service")
CLIENTS = 2
# What the units do at their start is not counted.
SETTLE_SECONDS = 5.0
MEMORY_SECONDS = 60.0
# Apps are in a slice of their own.
USED = "cd /sys/fs/cgroup && grep -H usage_usec {init.scope,farrier.slice,system.slice/*}/cpu.stat"
MEMORY = """
for unit in $(systemctl list-units --plain --no-legend --state=active "$@" | cut -d' ' -f1); do
    pid=$(systemctl show --value --property=MainPID "$unit")
    echo "$unit" $(awk '/^VmHWM|^VmRSS/ {print $2}' "/proc/$pid/status")
done"""


def play(playbook: str, *arguments: str) -> None:
    """Run a playbook against the host."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), playbook, *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def used_seconds(remote: Remote) -> float:
    """Return how much processor time the host has used so far; a unit that ends takes its part with it."""
    lines = remote.run("bash", "-c", USED).splitlines()
    return sum(int(line.split()[-1]) for line in lines if "/ssh.service/" not in line) / 1e6


async def ask(address: str, path: str, seconds: float) -> int:
    """Ask the app for so long, by some clients side by side; return how many requests there were."""
    url, until, answered = f"https://{address}{path}", time.monotonic() + seconds, 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < until:
            async with session.get(url, server_hostname=NAME, headers={"Host": NAME}) as response:
                response.raise_for_status()
                await response.read()
                answered += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return answered


def milliseconds_a_request(remote: Remote, path: str, seconds: float) -> tuple[float, int]:
    """Return the processor time of a request, and how many requests there were."""
    before = used_seconds(remote)
    answered = asyncio.run(ask(remote.address(), path, seconds))
    return 1000 * (used_seconds(remote) - before) / answered, answered


def measure(remote: Remote, given: argparse.Namespace) -> float:
    """Print a line a round; return the median of the ratios."""
    ratios = []
    for number in range(1, given.rounds + 1):
        figures = {}
        # Each of the two comes first in every second round.
        for verb in ("start", "stop") if number % 2 else ("stop", "start"):
            remote.run("systemctl", verb, "--all", *MONITORING)
            time.sleep(SETTLE_SECONDS)
            figures[verb], answered = milliseconds_a_request(remote, given.path, given.seconds)
        ratios.append(figures["start"] / figures["stop"])
        print(
            f"round {number}: {figures['start']:.3f} ms with monitoring, {figures['stop']:.3f} ms without, "
            f"ratio {ratios[-1]:.3f} ({answered / given.seconds:.0f} requests/s)",
            flush=True,
        )
    return statistics.median(ratios)


def print_memory(remote: Remote) -> None:
    """Print what each unit takes, and what it has taken at most."""
    remote.run("systemctl", "start", "--all", *MONITORING)
    time.sleep(MEMORY_SECONDS)
    print(f"memory after {MEMORY_SECONDS:.0f} s, and at most:")
    for line in remote.run("sh", "-c", MEMORY, "sh", *MONITORING).splitlines():
        unit, most, now = line.split()
        print(f"  {unit}: {int(now) / 1024:.0f} MB, {int(most) / 1024:.0f} MB")


def main() -> int:
    """Print the figures; exit 1 above the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", default="/version")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of each measurement: metrics are written once"
    )
    given = parser.parse_args()
    remote = Remote(HOST)
    try:
        play("lab/up.yml")
        play("site.yml")
        print(f"load average {', '.join(f'{one:.1f}' for one in os.getloadavg())}", flush=True)
        ratio = measure(remote, given)
        print_memory(remote)
    finally:
        play("lab/down.yml")
    print(f"with monitoring against without: median ratio {ratio:.3f} (bar: at most {BAR})")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
