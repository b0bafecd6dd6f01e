"""Wall time and memory of a code-only deploy to 1, 2, 4 and 8 app hosts in one batch, and a look at 100.

Usage: python -m tests.benchmarks.fleet_deploys [ROUNDS]. Starts a fleet of its own, deploys ROUNDS times (3)
to each number of hosts, and removes it. Bars: 8 hosts take at most twice one host's time, and the controller
at most 60 MB for each further host at the same time.

The hosts share the controller's processors, which is what limits them together. So the same deploys are
measured once more with hosts that take their time and no processor, as machines of their own would: see
`stand_in.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import yaml

from tests.benchmarks.remote import ROOT, Remote

INVENTORY = ROOT / "tests/benchmarks/fleet_inventory"
COUNTS = (1, 2, 4, 8)
RATIO_BAR = 2.0
MEGABYTES_BAR = 60.0
PROJECTED_HOSTS = 100
FORKS = 20  # of ansible.cfg
SAMPLE_SECONDS = 0.1
TOOL = "/usr/local/bin/farrier-release"
KEPT = "/var/lib/farrier-stand-in"
KEPT_SECONDS = "map({(.phase): .seconds}) | add"
WATCH = "systemctl --quiet is-active farrier-observatory-transaction.service"


@dataclass(frozen=True)
class Measure:
    """One deploy.

    Args:
        seconds: wall time of ansible-playbook.
        controller_seconds: processor time of ansible-playbook and its processes.
        megabytes: most that they held together (PSS: shared pages in parts), in MB of 2**20 bytes.
    """

    seconds: float
    controller_seconds: float
    megabytes: float


def playbook(*arguments: str) -> None:
    """Run a playbook against the fleet."""
    command = ["ansible-playbook", "--inventory", str(INVENTORY), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def held_megabytes(group: int) -> float:
    """Return the proportional set size of a process group in MB."""
    kilobytes = 0
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ProcessLookupError):
            if os.getpgid(int(directory.name)) == group:
                lines = (directory / "smaps_rollup").read_text().splitlines()
                kilobytes += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes / 1024


def deploy(count: int, apps: Path) -> Measure:
    """Deploy to the first `count` app hosts and measure it."""
    hosts = ",".join(["fleet-edge", *app_hosts(count)])
    before = os.times()
    started = time.monotonic()
    options = ["--limit", hosts, "--extra-vars", f"@{apps}"]
    process = subprocess.Popen(
        ["ansible-playbook", "--inventory", str(INVENTORY), "playbooks/deploy.yml", *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    samples = [0.0]

    def sample() -> None:
        while process.poll() is None:
            samples.append(held_megabytes(process.pid))
            time.sleep(SAMPLE_SECONDS)

    sampler = threading.Thread(target=sample)
    sampler.start()
    sampler.join()
    seconds = time.monotonic() - started
    after = os.times()
    if process.returncode != 0:
        raise SystemExit(f"the deploy to {count} host(s) has failed: run it by hand to see why")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Measure(seconds, used, max(samples))


def app_hosts(count: int) -> list[str]:
    """Return the names of the first app hosts."""
    return [f"fleet-app{number}" for number in range(1, count + 1)]


def settle() -> None:
    """Wait until every host has done with the last release."""
    for host in app_hosts(COUNTS[-1]):
        Remote(host).run("sh", "-c", f"while {WATCH}; do sleep 0.5; done")


def measured(rounds: int, source: Path, apps: Path) -> dict[int, list[Measure]]:
    """Deploy a change to each number of hosts, in turn; a first round fills caches and does not count."""
    measures: dict[int, list[Measure]] = {count: [] for count in COUNTS}
    for number in range(rounds + 1):
        for count in COUNTS:
            change(source)
            settle()
            measure = deploy(count, apps)
            if number:
                measures[count].append(measure)
    return measures


def change(source: Path) -> None:
    """Make another version of the app."""
    with (source / "src/observatory/main.py").open("a") as code:
        code.write(f"# {time.time()}\n")


def stand_in(source: Path, apps: Path) -> None:
    """Have every app host play back a deploy to all, each phase as long as it takes with two hosts."""
    hosts = [Remote(host) for host in app_hosts(COUNTS[-1])]
    program = (Path(__file__).parent / "stand_in.py").read_text()
    for host in hosts:
        host.run("mv", TOOL, f"{TOOL}.real")
        host.write(TOOL, program)
        host.run("chmod", "755", TOOL)
    seconds: dict[str, float] = {}
    for count in (2, len(hosts)):
        change(source)
        settle()
        deploy(count, apps)
        if count == 2:
            for host in hosts[:2]:
                kept = json.loads(host.run("sh", "-c", f"cd {KEPT} && jq --slurp '{KEPT_SECONDS}' *.json"))
                seconds = kept | seconds
    for host in hosts:
        host.write(f"{KEPT}/seconds.json", json.dumps(seconds))


def line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of the straight line through points, by least squares."""
    slope, intercept = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return intercept, slope


def main() -> int:
    """Print medians for each number of hosts, the line through them and the projection; exit 1 over a bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "app")
        ignore = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        shutil.copytree(ROOT / "app", source, ignore=ignore)
        fleet = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())
        fleet["apps"][0]["source"] = {"path": str(source)}
        apps = Path(directory, "apps.json")
        apps.write_text(json.dumps({**fleet, "mixed": "accept"}))
        try:
            playbook("lab/up.yml")
            playbook("site.yml")
            shared = medians(measured(rounds, source, apps))
            stand_in(source, apps)
            apart = medians(measured(rounds, source, apps))
        finally:
            playbook("lab/down.yml")
    together = report("hosts and controller share this machine", shared)
    return together | report("hosts only take their time", apart)


def medians(measures: dict[int, list[Measure]]) -> dict[int, Measure]:
    """Return one measure for each number of hosts."""
    return {
        count: Measure(*(statistics.median(column) for column in zip(*map(astuple, found), strict=True)))
        for count, found in measures.items()
    }


def report(what: str, measures: dict[int, Measure]) -> int:
    """Print what was measured; return 1 when a bar was missed."""
    print(f"\n{what}:")
    for count, found in measures.items():
        print(
            f"{count} host(s): {found.seconds:.1f} s, {found.controller_seconds:.1f} s of the controller's "
            f"processor, at most {found.megabytes:.0f} MB"
        )
    begin, each = line([(count, found.seconds) for count, found in measures.items()])
    _, each_megabytes = line([(count, found.megabytes) for count, found in measures.items()])
    ratio = measures[COUNTS[-1]].seconds / measures[COUNTS[0]].seconds
    print(f"fit: {begin:.1f} s + {each:.2f} s a host")
    everything = begin + each * PROJECTED_HOSTS
    print(f"so {everything:.0f} s for {PROJECTED_HOSTS} hosts in one batch, {FORKS} at the same time")
    print(f"{COUNTS[-1]} hosts against one: {ratio:.2f} (at most {RATIO_BAR:g})")
    print(f"memory for each further host: {each_megabytes:.1f} MB (at most {MEGABYTES_BAR:g})")
    return int(ratio > RATIO_BAR or each_megabytes > MEGABYTES_BAR)


if __name__ == "__main__":
    sys.exit(main())
