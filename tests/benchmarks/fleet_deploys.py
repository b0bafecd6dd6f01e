"""Wall time, processor time and memory of a code-only deploy to app hosts in one batch, up to a thousand.

Usage: python -m tests.benchmarks.fleet_deploys [ROUNDS]. Starts a fleet of its own, deploys ROUNDS times (3)
to 1, 2, 4 and 8 hosts of this machine, which share its processors with the controller. Then it deploys to 1
and 8 hosts that take as long and next to no processor (see `away.py`), ROUNDS times, and once to 100 and to
1 000 of them. Bars: 8 hosts take at most 6 times as long as one on this machine, 1.5 times away from it; each
further host costs the controller at most 60 MB at the same time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from configparser import ConfigParser
from dataclasses import astuple, dataclass
from pathlib import Path

import yaml

from tests.benchmarks import away
from tests.benchmarks.remote import ROOT, Remote, play

INVENTORY = ROOT / "tests/benchmarks/fleet_inventory"
LOG = ROOT / "build/bench-fleet.log"
COUNTS = (1, 2, 4, 8)
RATIO_BAR = 6.0
AWAY_RATIO_BAR = 1.5
MEGABYTES_BAR = 60.0
AWAY_COUNTS = (1, 8)
MANY_COUNTS = (100, 1000)
SAMPLE_SECONDS = 0.1
# Reading how much memory a process has keeps it from working.
SAMPLES_BUSY_PART = 0.1
PROGRESS_SECONDS = 30.0
LIMIT_SECONDS = 300.0
LIMIT_SECONDS_OF_HOST = 3.0
WATCH = "systemctl --quiet is-active farrier-observatory-transaction.service"


@dataclass(frozen=True)
class Measure:
    """One deploy.

    Args:
        seconds: wall time of ansible-playbook.
        controller_seconds: processor time of ansible-playbook, its processes and its SSH connections.
        megabytes: most that ansible-playbook and its processes held together (PSS: shared pages in parts), in
            MB of 2**20 bytes.
        connection_megabytes: most that its SSH connections held.
    """

    seconds: float
    controller_seconds: float
    megabytes: float
    connection_megabytes: float


class Controller:
    """The processes of an ansible-playbook: those of its group, and SSH connections, which it leaves behind.

    Args:
        group: of the processes.
        sockets: directory with the control sockets of its connections.
    """

    def __init__(self, group: int, sockets: str) -> None:
        self._group = group
        self._sockets = sockets.encode()
        self._others: set[int] = set()
        self.megabytes = self.connection_megabytes = 0.0

    def look(self) -> None:
        """Keep how much they hold, if it is the most so far."""
        held = {"own": 0.0, "connections": 0.0}
        for process, kind in self._processes():
            with contextlib.suppress(OSError, StopIteration):
                lines = (process / "smaps_rollup").read_text().splitlines()
                held[kind] += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        self.megabytes = max(self.megabytes, held["own"])
        self.connection_megabytes = max(self.connection_megabytes, held["connections"])

    def close(self) -> float:
        """End the connections and return how much processor time they took, in seconds."""
        ticks = 0
        for process, kind in self._processes():
            if kind == "connections":
                with contextlib.suppress(OSError):
                    ticks += sum(map(int, (process / "stat").read_text().rpartition(")")[2].split()[11:13]))
                    os.kill(int(process.name), signal.SIGTERM)
        return ticks / os.sysconf("SC_CLK_TCK")

    def _processes(self) -> Iterator[tuple[Path, str]]:
        for process in Path("/proc").glob("[0-9]*"):
            pid = int(process.name)
            if pid in self._others:
                continue
            with contextlib.suppress(OSError):
                if os.getpgid(pid) == self._group:
                    yield process, "own"
                elif self._sockets in (process / "cmdline").read_bytes():
                    yield process, "connections"
                else:
                    self._others.add(pid)


def deploy(count: int, inventory: Path, *options: str) -> Measure:
    """Deploy to some hosts, over connections of its own, and measure it."""
    limit = LIMIT_SECONDS + LIMIT_SECONDS_OF_HOST * count
    before = os.times()
    with tempfile.TemporaryDirectory(prefix="cp") as sockets, LOG.open("w") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            ["ansible-playbook", "--inventory", str(inventory), "playbooks/deploy.yml", *options],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        controller = Controller(process.pid, sockets)
        is_over = threading.Event()

        def sample() -> None:
            pause = SAMPLE_SECONDS
            while not is_over.wait(pause):
                began = time.monotonic()
                controller.look()
                pause = max(SAMPLE_SECONDS, (time.monotonic() - began) / SAMPLES_BUSY_PART)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            wait(process, count, limit)
            seconds = time.monotonic() - started
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            is_over.set()
            sampler.join()
            connection_seconds = controller.close()
    if process.returncode != 0:
        raise SystemExit(f"the deploy to {count} host(s) has failed: see {LOG}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Measure(seconds, used + connection_seconds, controller.megabytes, controller.connection_megabytes)


def wait(process: subprocess.Popen[bytes], count: int, limit_seconds: float) -> None:
    """Wait for the end of a deploy, and say from time to time how far it is.

    Raises:
        SystemExit: it takes too long.
    """
    began = time.monotonic()
    while True:
        try:
            process.wait(PROGRESS_SECONDS)
            return
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - began
        tasks = [line for line in LOG.read_text().splitlines() if line.startswith("TASK ")]
        print(f"  {count} host(s), {seconds:.0f} s: {tasks[-1] if tasks else 'no task yet'}", flush=True)
        if seconds > limit_seconds:
            raise SystemExit(
                f"the deploy to {count} host(s) has not ended in {limit_seconds:.0f} s: see {LOG}"
            )


def app_hosts(count: int) -> list[str]:
    """Return the names of the first app hosts."""
    return [f"fleet-app{number}" for number in range(1, count + 1)]


def settle() -> None:
    """Wait until every host has done with the last release."""
    for host in app_hosts(COUNTS[-1]):
        Remote(host).run("sh", "-c", f"while {WATCH}; do sleep 0.5; done")


def change(source: Path) -> None:
    """Make another version of the app."""
    with (source / "src/observatory/main.py").open("a") as code:
        code.write(f"# {time.time()}\n")


class Fleet:
    """Deploys of an app that changes each time.

    Args:
        directory: for what it needs, which is empty.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._source = directory / "app"
        ignore = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache")
        shutil.copytree(ROOT / "app", self._source, ignore=ignore)
        fleet = yaml.safe_load((INVENTORY / "group_vars/all/apps.yml").read_text())
        fleet["apps"][0]["source"] = {"path": str(self._source)}
        self._apps = directory / "apps.json"
        self._apps.write_text(json.dumps({**fleet, "mixed": "accept"}))

    def here(self, count: int) -> Measure:
        """Deploy to the first app hosts of the lab."""
        change(self._source)
        settle()
        hosts = ",".join(["fleet-edge", *app_hosts(count)])
        return deploy(count, INVENTORY, "--limit", hosts, "--extra-vars", f"@{self._apps}")

    def away(self, count: int) -> Measure:
        """Deploy to hosts that take their time and no processor."""
        change(self._source)
        inventory = self._directory / f"{count}.json"
        inventory.write_text(json.dumps(away.inventory(count)))
        return deploy(count, inventory, "--extra-vars", f"@{self._apps}")


def measured(
    where: str, rounds: int, counts: Sequence[int], deploy_to: Callable[[int], Measure]
) -> dict[int, Measure]:
    """Return medians of deploys to each number of hosts, in turn; a first round does not count."""
    measures: dict[int, list[Measure]] = {count: [] for count in counts}
    for number in range(rounds + 1):
        for count in counts:
            measure = deploy_to(count)
            print(f"{where}, round {number}, {count} host(s): {measure.seconds:.1f} s", flush=True)
            if number:
                measures[count].append(measure)
    return {
        count: Measure(*(statistics.median(column) for column in zip(*map(astuple, found), strict=True)))
        for count, found in measures.items()
    }


def record(fleet: Fleet) -> None:
    """Record deploys to one and to two app hosts, and have stand-ins play them."""
    with away.Recorder(app_hosts(2)) as recorder:
        for count in (1, 2, 1, 2):
            fleet.here(count)
        settle()
        played = away.answers(recorder.calls())
        away.start(played, recorder.outputs())
    print("\nrecorded, seconds of the call and of the run that it starts:")
    for phase, answer in sorted(played.items()):
        print(f"  {phase:12}{answer.call_seconds:6.2f}{answer.run_seconds:6.2f}", flush=True)


def report(what: str, measures: dict[int, Measure], ratio_bar: float) -> bool:
    """Print what was measured; return whether it is within the bars."""
    print(f"\n{what}:")
    print("  hosts  seconds  processor seconds  MB of Ansible  MB of SSH connections")
    for count, found in measures.items():
        print(
            f"{count:7}{found.seconds:9.1f}{found.controller_seconds:19.1f}"
            f"{found.megabytes:15.0f}{found.connection_megabytes:23.0f}"
        )
    ratio = measures[8].seconds / measures[1].seconds
    most, least = max(measures), min(measures)
    more_megabytes = (_held(measures[most]) - _held(measures[least])) / (most - least)
    print(f"8 hosts take {ratio:.2f} times as long as one (at most {ratio_bar:g})")
    print(f"memory for each further host: {more_megabytes:.1f} MB (at most {MEGABYTES_BAR:g})")
    return ratio <= ratio_bar and more_megabytes <= MEGABYTES_BAR


def _held(found: Measure) -> float:
    return found.megabytes + found.connection_megabytes


def main() -> int:
    """Print a table for hosts of this machine and one for stand-ins; return 1 over a bar."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    LOG.parent.mkdir(exist_ok=True)
    settings = ConfigParser()
    settings.read(ROOT / "ansible.cfg")
    with tempfile.TemporaryDirectory() as directory:
        fleet = Fleet(Path(directory))
        try:
            play(INVENTORY, "lab/up.yml")
            play(INVENTORY, "site.yml")
            here = measured("on this machine", rounds, COUNTS, fleet.here)
            is_good = report("hosts and controller share this machine", here, RATIO_BAR)
            record(fleet)
            apart = measured("stand-ins", rounds, AWAY_COUNTS, fleet.away)
            apart |= {count: fleet.away(count) for count in MANY_COUNTS}
        finally:
            play(INVENTORY, "lab/down.yml")
    forks = settings["defaults"]["forks"]
    what = f"hosts that take their time and no processor, {forks} at a time (forks of ansible.cfg)"
    return int(not (report(what, apart, AWAY_RATIO_BAR) and is_good))


if __name__ == "__main__":
    sys.exit(main())
