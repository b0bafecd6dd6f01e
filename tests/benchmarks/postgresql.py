"""Transactions per second of PostgreSQL as Farrier sets it up, tuned by hand, and as Debian installs it.

Usage: python -m tests.benchmarks.postgresql [ROUNDS] [SECONDS]. Takes a host of its own and removes it. The
cluster, its data and the connection, which is the app's, are the same each time: only the settings change,
in an order that rotates from round to round. Bar: 0.95 of tuned by hand, both with WAL archived and without.
"""

from __future__ import annotations

import json
import re
import statistics
import sys

from tests.benchmarks.remote import ROOT, Remote, play

INVENTORY = ROOT / "tests/benchmarks/restore_inventory"
HOST = "restore"
ROUNDS, SECONDS = 5, 30
SCALE = 30  # about 450 MB: more than Debian's buffers, less than the others'
CLIENTS = 8
BAR = 0.95
BY_HAND = """
max_connections = 100
shared_buffers = {shared_mb}MB
effective_cache_size = {cache_mb}MB
maintenance_work_mem = 1GB
work_mem = 16MB
wal_buffers = 16MB
min_wal_size = 1GB
max_wal_size = 4GB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
random_page_cost = 1.1
effective_io_concurrency = 200
max_parallel_workers = {vcpus}
max_parallel_workers_per_gather = 1
listen_addresses = ''
"""
WARM = """
CREATE EXTENSION IF NOT EXISTS pg_prewarm;
SELECT pg_prewarm(oid) FROM pg_class WHERE relname LIKE 'pgbench%' AND relkind IN ('r', 'i');
CHECKPOINT;
"""
FARRIER, HAND, DEBIAN = "Farrier", "tuned by hand", "Debian's defaults"
ARCHIVED = ", WAL archived"

Figures = dict[str, dict[str, list[float]]]


def settings(remote: Remote, own: str) -> dict[str, str]:
    """Return what is compared: files of settings by name.

    Args:
        remote: The host.
        own: The file that Farrier has written, for a host whose WAL is archived.
    """
    memory_mb = int(remote.run("sed", "-n", "s/MemTotal: *\\([0-9]*\\) kB/\\1/p", "/proc/meminfo")) // 1024
    memory_mb //= 2  # apps run on the host, too
    by_hand = BY_HAND.format(
        shared_mb=memory_mb // 4, cache_mb=memory_mb * 3 // 4, vcpus=remote.run("nproc").strip()
    )
    archive = "\n".join(line for line in own.splitlines() if line.startswith("archive_"))
    # As the role writes it where there is no backup host.
    idle = "archive_mode = on\narchive_command = '/bin/true'\narchive_timeout = 0"
    return {
        FARRIER: own.replace(archive, idle),
        HAND: by_hand,
        DEBIAN: "",
        FARRIER + ARCHIVED: own,
        HAND + ARCHIVED: by_hand + archive,
    }


def pgbench(remote: Remote, *options: str) -> str:
    """Return what pgbench says to the app's user, by the app's URL."""
    url = json.loads(remote.run("cat", "/etc/farrier/notes/environment.json"))["DATABASE_URL"]
    program = remote.run("sh", "-c", "echo /usr/lib/postgresql/*/bin/pgbench").strip()
    return remote.run("runuser", "-u", "notes", "--", program, *options, url)


def speed(remote: Remote, seconds: int, *options: str) -> float:
    """Return transactions per second."""
    load = [f"--client={CLIENTS}", "--jobs=2", "--protocol=prepared", f"--time={seconds}"]
    return float(re.findall(r"tps = ([\d.]+)", pgbench(remote, *load, *options))[0])


def processor_seconds(remote: Remote) -> float:
    """Return what PostgreSQL has used of the processors since its start."""
    unit = remote.run(
        "sh", "-c", "cat /sys/fs/cgroup/system.slice/system-postgresql.slice/*-main.service/cpu.stat"
    )
    return int(re.findall(r"usage_usec (\d+)", unit)[0]) / 1e6


def measure(remote: Remote, rounds: int, seconds: int) -> Figures:
    """Return the figures of each round, by the settings and by what was measured."""
    path = remote.run("sh", "-c", "echo /etc/postgresql/*/main/conf.d/farrier.conf").strip()
    compared = settings(remote, remote.run("cat", path))
    pgbench(remote, "--initialize", "--quiet", f"--scale={SCALE}")
    found: Figures = {name: {"writes": [], "reads": [], "µs": []} for name in compared}
    for number in range(rounds):
        names = list(compared)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            remote.write(path, compared[name])
            remote.run("systemctl", "restart", "postgresql@*-main.service")
            remote.run("sudo", "-u", "postgres", "psql", "-qXd", "notes", stdin=WARM)
            found[name]["reads"].append(speed(remote, seconds, "--select-only"))
            before = processor_seconds(remote)
            found[name]["writes"].append(speed(remote, seconds))
            used = processor_seconds(remote) - before
            found[name]["µs"].append(1e6 * used / (seconds * found[name]["writes"][-1]))
    return found


def told(values: list[float]) -> str:
    """Return median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def report(found: Figures) -> bool:
    """Print the figures; return whether they keep to the bar."""
    for name, figures in found.items():
        medians = {kind: statistics.median(values) for kind, values in figures.items()}
        print(
            f"{name}: {medians['writes']:.0f} transactions per second that write, each with"
            f" {medians['µs']:.0f} µs of PostgreSQL's processor time; {medians['reads']:.0f} that read"
        )
    pairs = [(FARRIER, HAND), (FARRIER + ARCHIVED, HAND + ARCHIVED), (FARRIER, DEBIAN)]
    pairs.append((FARRIER + ARCHIVED, FARRIER))
    is_good = True
    for one, other in pairs:
        for kind, what in (("writes", "writes"), ("reads", "reads"), ("µs", "processor time of a write")):
            ratios = [a / b for a, b in zip(found[one][kind], found[other][kind], strict=True)]
            has_bar = other.startswith(HAND) and kind != "µs"
            print(f"{one} / {other}: {what} {told(ratios)}{f', bar {BAR}' if has_bar else ''}")
            is_good = is_good and (not has_bar or statistics.median(ratios) >= BAR)
    return is_good


def main() -> int:
    """Print the figures; exit 1 below the bar."""
    numbers = [int(argument) for argument in sys.argv[1:]]
    rounds, seconds = (*numbers, *(ROUNDS, SECONDS)[len(numbers) :])
    remote = Remote(HOST)
    try:
        play(INVENTORY, "lab/up.yml")
        remote.run("sh", "-c", "pg_dropcluster --stop $(pg_lsclusters -h | cut -d' ' -f1) main")
        play(INVENTORY, "site.yml")
        is_good = report(measure(remote, rounds, seconds))
    finally:
        play(INVENTORY, "lab/down.yml")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
