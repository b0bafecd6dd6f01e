"""Wall time and memory of a code-only deploy to 1, 2, 4 and 8 app hosts in one batch, and a look at 100.

Usage: python -m tests.benchmarks.fleet [ROUNDS]. Starts a fleet of its own, deploys ROUNDS times (3) to each
number of hosts, and removes it. Controller and hosts share this machine's processors. Bars: 8 hosts take at
most twice one host's time, and the controller at most 60 MB for each further host at the same time.
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
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.benchmarks.remote import ROOT

INVENTORY = ROOT / "tests/benchmarks/fleet_inventory"
COUNTS = (1, 2, 4, 8)
RATIO_BAR = 2.0
MEGABYTES_BAR = 60.0
PROJECTED_HOSTS = 100
SAMPLE_SECONDS = 0.1
WATCH = "systemctl --quiet is-active farrier-observatory-watch.service"


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
    hosts = ",".join(["fleet-edge", *(f"fleet-app{number}" for number in range(1, count + 1))])
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


def settle() -> None:
    """Wait until every host has done with the last release."""
    for number in range(1, COUNTS[-1] + 1):
        ssh = ["ssh", "-F", str(ROOT / "build/lab/ssh_config"), f"fleet-app{number}"]
        subprocess.run([*ssh, f"while {WATCH}; do sleep 0.5; done"], check=True, timeout=120)


def line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Return intercept and slope of the straight line through points, by least squares."""
    slope, intercept = statistics.linear_regression([x for x, _ in points], [y for _, y in points])
    return intercept, slope


def main() -> int:
    """Print medians for each number of hosts, the line through them and the projection; exit 1 over a bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    measures: dict[int, list[Measure]] = {count: [] for count in COUNTS}
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "app")
        ignore = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        shutil.copytree(ROOT / "app", source, ignore=ignore)
        fleet = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())
        fleet["apps"][0]["source"] = {"path": str(source)}
        apps = Path(directory, "apps.json")
        apps.write_text(json.dumps({**fleet, "mixed": "accept"}))
        try:
            playbook("playbooks/lab/up.yml")
            playbook("site.yml")
            for number in range(rounds + 1):
                for count in COUNTS:
                    with (source / "src/observatory/main.py").open("a") as code:
                        code.write(f"# {time.time()}\n")
                    settle()
                    measure = deploy(count, apps)
                    if number:  # the first round fills caches
                        measures[count].append(measure)
        finally:
            playbook("playbooks/lab/down.yml")
    return report(measures)


def report(measures: dict[int, list[Measure]]) -> int:
    """Print what was measured; return 1 when a bar was missed."""
    seconds, used, megabytes = (
        {count: statistics.median(getattr(one, name) for one in found) for count, found in measures.items()}
        for name in ("seconds", "controller_seconds", "megabytes")
    )
    for count in COUNTS:
        print(
            f"{count} host(s): {seconds[count]:.1f} s, {used[count]:.1f} s of the controller's processor, "
            f"at most {megabytes[count]:.0f} MB"
        )
    begin, each = line(list(seconds.items()))
    begin_used, each_used = line(list(used.items()))
    _, each_megabytes = line(list(megabytes.items()))
    print(
        f"fit: {begin:.1f} s + {each:.2f} s a host; controller alone {begin_used:.1f} s + {each_used:.2f} s"
    )
    everything = begin + each * PROJECTED_HOSTS
    controller = begin_used + each_used * PROJECTED_HOSTS
    print(
        f"{PROJECTED_HOSTS} hosts in one batch, forks 20: {everything:.0f} s, all of them on this machine; "
        f"with machines of their own {controller:.0f} s of one processor of the controller"
    )
    ratio = seconds[COUNTS[-1]] / seconds[COUNTS[0]]
    print(f"{COUNTS[-1]} hosts against one: {ratio:.2f} (at most {RATIO_BAR:g})")
    print(f"memory for each further host: {each_megabytes:.0f} MB (at most {MEGABYTES_BAR:g})")
    return int(ratio > RATIO_BAR or each_megabytes > MEGABYTES_BAR)


if __name__ == "__main__":
    sys.exit(main())
